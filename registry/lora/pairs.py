"""What two adapters are to each other, judged by the angle between their changes and by how strong they are.

Thresholds were chosen on the families of `bench.likeness` (casts, scaling, SVD resizing, noise as of later
epochs, merges), which prints how often each class is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from registry.measured import EPOCH, FAMILY, PRECISION, RELATED, RESCALED, RESIZED, SAME, UNRELATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.lora.numbers import Floats

_SAME_COSINE: Final = 0.9995
_CAST_COSINE: Final = 0.998
_NEAR_COSINE: Final = 0.9
_EQUAL_NORM: Final = 0.01
_PROJECTED: Final = 0.03
_EXPLAINED: Final = 0.9
_LEAST_SHARE: Final = 0.2
_MOST_ALIKE: Final = 0.5


class Traits(NamedTuple):
    """What is known of one adapter of a pair: the norm of its change, its rank and precision."""

    norm: float
    rank: int | None
    precision: str | None


def classify(cosine: float, first: Traits, second: Traits) -> str:
    """Return what two are to each other, of `registry.measured.RELATIONS`; `parents` tells merges."""
    ratio = min(first.norm, second.norm) / max(first.norm, second.norm, 1e-30)
    equal = ratio > 1 - _EQUAL_NORM
    same_precision = first.precision == second.precision
    if cosine >= (_SAME_COSINE if same_precision else _CAST_COSINE):
        if not equal:
            return RESCALED
        return SAME if same_precision else PRECISION
    if cosine >= RELATED and _is_cut(cosine, ratio, first, second):
        return RESIZED
    if cosine >= _NEAR_COSINE:
        return EPOCH
    return FAMILY if cosine >= RELATED else UNRELATED


def _is_cut(cosine: float, ratio: float, first: Traits, second: Traits) -> bool:
    """Whether one is the other without its smallest singular values.

    Leaving them out projects, so the norm that is left is the cosine times the whole.
    """
    if first.rank is None or second.rank is None or first.rank == second.rank:
        return False
    weaker = first.norm < second.norm
    return weaker == (first.rank < second.rank) and abs(ratio - cosine) < _PROJECTED


def parents(child: Floats, others: Sequence[Floats]) -> tuple[int, ...]:
    """Return which two of some adapters one is a weighted sum of, by their sketches; none if it is not.

    Both must have a share of at least a fifth of the child, be unlike each other, and together leave at most
    a tenth of it unexplained.
    """
    length = float(np.linalg.norm(child))
    best: tuple[float, tuple[int, ...]] = (1 - _EXPLAINED, ())
    units = [other / max(float(np.linalg.norm(other)), 1e-30) for other in others]
    for number, one in enumerate(units):
        for place in range(number):
            two = units[place]
            if abs(float(one @ two)) > _MOST_ALIKE:
                continue
            basis = np.stack([one, two], axis=1)
            shares, *_ = np.linalg.lstsq(basis, child, rcond=None)
            left = float(np.linalg.norm(child - basis @ shares)) / max(length, 1e-30)
            if left**2 < best[0] and min(shares) > _LEAST_SHARE * length:
                best = left**2, (place, number)
    return best[1]
