"""The exact angle between two adapters, layer by layer, from their factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import UnsupportedKind
from registry.lora import delta
from registry.lora.fingerprint import PARAMETERS, part_of, pieces
from registry.lora.keys import read_layers
from registry.lora.tensors import number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.lora.fingerprint import Tensors
    from registry.lora.keys import Layer
    from registry.lora.numbers import Floats


@dataclass(frozen=True, slots=True)
class Angle:
    """How two adapters stand to each other in one sketched part: inner product and both squared norms.

    `shared` layers are changed by both, and the product is over them; `layers` by at least one.
    """

    product: float
    first: float
    second: float
    shared: int
    layers: int

    @property
    def cosine(self) -> float | None:
        """The cosine of the angle, `None` where one of the two changes nothing."""
        length = (self.first * self.second) ** 0.5
        return self.product / length if length > 0 else None


def compare(first: Tensors, second: Tensors, before: Callable[[], object] = lambda: None) -> dict[str, Angle]:
    """Return the angle of each sketched part (`unet`, `te`) that one of two adapters changes.

    `before` is called before each layer and may raise. Raises UnsupportedKind for families whose change
    depends on the weights of the base model, and what reading raises.
    """
    ours, theirs = _Cut(first), _Cut(second)
    angles: dict[str, Angle] = {}
    for part in dict.fromkeys([*ours.parts, *theirs.parts]):
        product = squares1 = squares2 = 0.0
        shared = 0
        names = dict.fromkeys([*ours.parts.get(part, ()), *theirs.parts.get(part, ())])
        for name in names:
            before()
            one, two = ours.piece(name), theirs.piece(name)
            squares1 += 0.0 if one is None else _product(one, one)
            squares2 += 0.0 if two is None else _product(two, two)
            if one is not None and two is not None:
                product += _product(one, two)
                shared += 1
        angles[part] = Angle(product, squares1, squares2, shared, len(names))
    return angles


class _Cut:
    """The canonical layers of one file, each read when it is asked for."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._layers: dict[str, tuple[Layer, int]] = {}
        self.parts: dict[str, list[str]] = {}
        self._last: tuple[Layer, delta.Small | Floats] | None = None
        for layer in read_layers(tensors.names, tensors.metadata).layers:
            if layer.family in PARAMETERS:
                raise UnsupportedKind(f"the change of {layer.family} depends on the base model")
            names = [split.name for split in layer.splits] or [layer.name]
            for place, name in enumerate(names):
                whole = f"{layer.part}/{name}"
                self._layers.setdefault(whole, (layer, place))
                self.parts.setdefault(part_of(layer.part), []).append(whole)

    def piece(self, name: str) -> delta.Small | Floats | None:
        """Return the change of one layer, in small factors where it has them."""
        found = self._layers.get(name)
        if found is None:
            return None
        layer, number = found
        # The pieces of a fused layer follow each other.
        if self._last is None or self._last[0] is not layer:
            self._last = layer, self._change(layer)
        change = self._last[1]
        if isinstance(change, delta.Small):
            span = _span(layer, number, change.up.shape[0], change.down.shape[1])
            return delta.Small(change.up[span], change.down)
        return change[_span(layer, number, *change.shape)]

    def _change(self, layer: Layer) -> delta.Small | Floats:
        factors = _without_magnitude(layer.read(self._tensors.read, number))
        small = delta.small(layer.family, factors)
        return delta.dense(layer.family, factors) if small is None else small


def _span(layer: Layer, number: int, rows: int, columns: int) -> slice:
    return list(pieces(layer, rows, columns))[number][1]


def _without_magnitude(factors: Mapping[str, Floats]) -> dict[str, Floats]:
    return {role: factor for role, factor in factors.items() if role != "magnitude"}


def _product(one: delta.Small | Floats, two: delta.Small | Floats) -> float:
    """Return the inner product of two changes; 0 where their shapes differ."""
    if isinstance(one, delta.Small) and isinstance(two, delta.Small):
        if one.up.shape[0] != two.up.shape[0] or one.down.shape[1] != two.down.shape[1]:
            return 0.0
        return float(((one.up.T @ two.up) * (one.down @ two.down.T)).sum(dtype=np.float64))
    left = one.up @ one.down if isinstance(one, delta.Small) else one
    right = two.up @ two.down if isinstance(two, delta.Small) else two
    return 0.0 if left.shape != right.shape else float(np.vdot(left, right))
