"""The shapes and dtypes of a file, counted by kind of module: widths, ranks, bytes."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import prod
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from registry.identify.names import BITS
from registry.identify.naming import DENOISER, Naming, read_names
from registry.identify.reading import Slot, read_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.views import TensorInfo

_MAX_SIZE = 1 << 24
_FACTORS = {"w1": "first", "w1_b": "first", "w2": "second", "w2_b": "second"}

Shape = tuple[int, ...]


class Sides(NamedTuple):
    """The sizes one tensor tells of its module; `ndim` counts the dimensions of the tensor itself."""

    wide_in: int | None
    wide_out: int | None
    ndim: int | None


class Survey:
    """What the names, shapes and dtypes of a file amount to."""

    def __init__(self, tensors: Mapping[str, TensorInfo]) -> None:
        """Count the tensors of a file."""
        self.names: Naming = read_names(tensors)
        infos = tensors.values()
        self.groups: Counter[tuple[Slot, str | None, Shape | None]] = Counter(
            zip(self.names.slots, map(attrgetter("dtype"), infos), map(attrgetter("shape"), infos), strict=True),
        )
        self.encoders: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        self.widths: defaultdict[tuple[str, str], Counter[bool]] = defaultdict(Counter)
        self.examples: dict[tuple[str, str, bool], tuple[str, int]] = {}
        self.sizes: set[int] = set()
        self.ranks: Counter[int] = Counter()
        self.bytes: Counter[str] = Counter()
        self.convolutions = self.names.convolutions
        for (slot, dtype, shape), count in self.groups.items():
            if shape is not None:
                if dtype is not None:
                    self.bytes[dtype] += count * prod(shape) * BITS.get(dtype, 8)
                if len(shape) >= 2:
                    self._add_matrix(slot, shape, count)
        if self.names.family("lokr"):
            self._add_kronecker(tensors)

    def _add_matrix(self, slot: Slot, shape: Shape, count: int) -> None:
        suffix = slot.suffix
        if suffix.rank is not None:
            rank = min(shape[:2]) if suffix.rank < 0 else shape[suffix.rank]
            if 0 < rank < _MAX_SIZE:
                self.ranks[rank] += count
        wide_in = shape[suffix.wide_in] if suffix.wide_in is not None else None
        wide_out = shape[suffix.wide_out] if suffix.wide_out is not None else None
        if suffix.family == "lora" and wide_in is not None and not slot.patcher and max(shape[2:], default=1) > 1:
            self.convolutions += count
        if slot.slot in DENOISER:
            self._add_sides(slot, Sides(wide_in, wide_out, None if wide_in is None else len(shape)), count)
        elif slot.slot is not None and slot.form is not None and wide_in is not None:
            self.encoders[slot.slot, slot.form].add(wide_in)

    def _add_sides(self, slot: Slot, sides: Sides, count: int) -> None:
        if sides.wide_in is not None and slot.architectures:
            self.sizes.add(sides.wide_in)
        for name, side, sizes in slot.widths:
            size = sides.wide_in if side == "in" else sides.wide_out if side == "out" else sides.ndim
            if size is not None:
                fits = size in sizes
                self.widths[name, side][fits] += count
                self.examples.setdefault((name, side, fits), (slot.module, size))

    def _add_kronecker(self, tensors: Mapping[str, TensorInfo]) -> None:
        """Multiply the input widths of the two Kronecker factors of each module."""
        pairs: defaultdict[str, dict[str, int]] = defaultdict(dict)
        slots: dict[str, Slot] = {}
        for name, info in tensors.items():
            slot, _, module = read_name(name)
            place = _FACTORS.get(slot.suffix.role) if slot.suffix.family == "lokr" else None
            if place is not None and info.shape is not None and len(info.shape) >= 2:
                pairs[module][place] = info.shape[1]
                slots[module] = slot
        for module, slot in slots.items():
            pair = pairs[module]
            if len(pair) == 2 and slot.slot in DENOISER:
                self._add_sides(slot, Sides(pair["first"] * pair["second"], None, None), 1)
