"""What the weights of a lora tell, as it is kept and shown, and which others are like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

OK: Final = "ok"
NAN: Final = "nan"
INFINITE: Final = "infinite"
UNTRAINED: Final = "untrained"
EXPLODING: Final = "exploding"
INCOMPLETE: Final = "incomplete"
UNSUPPORTED: Final = "unsupported"
HEALTH: Final[Mapping[str, str]] = {
    OK: "nothing is wrong with the weights",
    NAN: "some weights are not numbers",
    INFINITE: "some weights are infinite, or too large to be calculated with",
    UNTRAINED: "the weights change nothing: one factor of each layer is zero",
    EXPLODING: "some layers change by more than the weights of a base model are large",
    UNSUPPORTED: "it is of a kind that cannot be measured",
    INCOMPLETE: "some layers lack a factor or have one that does not fit",
}

SAME: Final = "same-weights"
PRECISION: Final = "other-precision"
RESCALED: Final = "rescaled"
RESIZED: Final = "resized"
EPOCH: Final = "near-epoch"
FAMILY: Final = "family"
MERGE: Final = "merge"
UNRELATED: Final = "unrelated"
RELATIONS: Final[Mapping[str, str]] = {
    SAME: "the same change, stored in the same precision",
    PRECISION: "the same change, stored in another precision",
    RESCALED: "the same change, stronger or weaker",
    RESIZED: "the same change, cut to another rank",
    EPOCH: "nearly the same change, such as an epoch before or after",
    FAMILY: "much the same change: another epoch or run, or a merge",
    MERGE: "one of the two of which it is a weighted sum",
    UNRELATED: "no more alike than by chance",
}
RELATED: Final = 0.5
"""The smallest cosine of two adapters that have something to do with each other."""


class MeasuredBlock(NamedTuple):
    """One block of a part of the base model: how many layers change, and by how much (Frobenius norm)."""

    part: str
    name: str
    layers: int
    norm: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The fingerprint of a lora; all terms are those of `registry.lora.fingerprint.Fingerprint`.

    `health` is `unsupported` alone for adapters that cannot be measured, and `problem` says why; everything
    else is then zero or `None`.
    """

    basis: str
    health: tuple[str, ...]
    layers: int
    unet_norm: float
    te_norm: float
    spectral: float | None
    effective_rank: float | None
    blocks: tuple[MeasuredBlock, ...]
    version: int
    measured_at: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Relative:
    """A lora that is like another one.

    `relation` is a key of `RELATIONS`. `cosine` is of the changes of the denoiser, of those
    of the text encoders where one of the two changes nothing else; `te_cosine` of the text encoders where
    both change them. `exact` tells whether they were calculated from the files or estimated by sketches.
    `ratio` is the norm of this one's change by that of the other.
    """

    id: int
    name: str
    relation: str
    cosine: float
    te_cosine: float | None
    ratio: float
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Relatives:
    """The loras that are most like one, the most alike first.

    `parents` are the ids of two of which it is a weighted sum, if it is. `measured` is how many loras were
    compared.
    """

    id: int
    items: tuple[Relative, ...]
    parents: tuple[int, ...]
    measured: int
