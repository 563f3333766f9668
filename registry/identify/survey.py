"""The shapes and dtypes of a file, counted by kind of module: widths, ranks, bytes."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from registry.formats.elements import count_elements
from registry.formats.header import MAX_U64
from registry.identify.names import BITS
from registry.identify.naming import DENOISER, Naming, read_names
from registry.identify.reading import Slot, read_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.views import TensorInfo

_MAX_SIZE = 1 << 24
_FACTORS = {"w1": "first", "w1_b": "first", "w2": "second", "w2_b": "second"}

Shape = tuple[int, ...]


class Size(NamedTuple):
    """A size seen on one side of a module, and whether it is one of an architecture."""

    architecture: str
    side: str
    fits: bool
    size: int


class Facts(NamedTuple):
    """What one tensor tells: its bits, a rank, whether it is a wide convolution, widths of its module."""

    bits: int
    rank: int | None
    convolution: bool
    encoder: int | None
    hidden: int | None
    sizes: tuple[Size, ...]


class Survey:
    """What the names, shapes and dtypes of a file amount to."""

    def __init__(self, tensors: Mapping[str, TensorInfo]) -> None:
        """Count the tensors of a file."""
        self.names: Naming = read_names(tensors)
        infos = tensors.values()
        self.groups: Counter[tuple[Slot, str | None, Shape | None]] = Counter(
            zip(
                self.names.slots,
                map(attrgetter("dtype"), infos),
                map(attrgetter("shape"), infos),
                strict=True,
            ),
        )
        self.encoders: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        self.widths: Counter[tuple[str, str, bool]] = Counter()
        self.examples: dict[tuple[str, str, bool], tuple[str, int]] = {}
        self.hidden: set[int] = set()
        self.ranks: Counter[int] = Counter()
        self.bits: Counter[str] = Counter()
        self.convolutions = self.names.convolutions
        self.shaped = False
        for (slot, dtype, shape), count in self.groups.items():
            if shape is not None:
                self.shaped = self.shaped or len(shape) > 0
                self._add(slot, dtype, _facts(slot, dtype, shape), count)
        if self.names.family("lokr"):
            self._add_kronecker(tensors)

    def _add(self, slot: Slot, dtype: str | None, facts: Facts, count: int) -> None:
        if dtype is not None:
            self.bits[dtype] += facts.bits * count
        if facts.rank is not None:
            self.ranks[facts.rank] += count
        if facts.convolution:
            self.convolutions += count
        if facts.encoder is not None:
            self.encoders[slot.slot or "", slot.form or ""].add(facts.encoder)
        if facts.hidden is not None:
            self.hidden.add(facts.hidden)
        for size in facts.sizes:
            key = size[:3]
            self.widths[key] += count
            if key not in self.examples:
                self.examples[key] = (slot.module, size.size)

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
                width = pair["first"] * pair["second"]
                self._add(slot, None, _no_facts(width, _sizes(slot, width, None, None)), 1)


def _no_facts(hidden: int, sizes: tuple[Size, ...]) -> Facts:
    return Facts(0, None, convolution=False, encoder=None, hidden=hidden, sizes=sizes)


@lru_cache(maxsize=1 << 14)
def _facts(slot: Slot, dtype: str | None, shape: Shape) -> Facts:
    suffix = slot.suffix
    elements = count_elements(shape)
    bits = (MAX_U64 if elements is None else elements) * BITS.get(dtype or "", 8)
    if len(shape) < 2:
        return Facts(bits, None, convolution=False, encoder=None, hidden=None, sizes=())
    rank = None
    if suffix.rank is not None:
        rank = shape[suffix.rank]
    wide_in = shape[suffix.wide_in] if suffix.wide_in is not None else None
    wide_out = shape[suffix.wide_out] if suffix.wide_out is not None else None
    if suffix.family == "plain" and 1 in shape[:2]:
        wide_in = wide_out = None
    denoiser = slot.slot in DENOISER
    return Facts(
        bits=bits,
        rank=rank if rank is not None and 0 < rank < _MAX_SIZE else None,
        convolution=suffix.family == "lora"
        and wide_in is not None
        and not slot.patcher
        and max(shape[2:], default=1) > 1,
        encoder=wide_in if not denoiser and slot.form is not None else None,
        hidden=wide_in if denoiser and slot.architectures else None,
        sizes=_sizes(slot, wide_in, wide_out, _dimensions(suffix.family, shape)) if denoiser else (),
    )


def _dimensions(family: str, shape: Shape) -> int | None:
    """Count the axes, where the factors of a family keep those of the weight they adapt (LoHa flattens)."""
    return len(shape) if family in ("lora", "diff", "plain") else None


def _sizes(slot: Slot, wide_in: int | None, wide_out: int | None, ndim: int | None) -> tuple[Size, ...]:
    seen = {"in": wide_in, "out": wide_out, "ndim": ndim}
    return tuple(
        Size(name, side, size in sizes, size)
        for name, side, sizes in sorted(slot.widths)
        if (size := seen[side]) is not None
    )
