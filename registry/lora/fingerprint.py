"""What the weights of an adapter alone tell of it: how strong it is where, its health, and two sketches.

Nothing here needs the base model. Where a change depends on its weights, what is there is measured instead:
a DoRA before its magnitudes, the parameters themselves of OFT, (IA)3 and GLoRA.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from registry.errors import UnsupportedKind
from registry.lora import delta
from registry.lora.keys import read_layers
from registry.lora.sketch import Folded, Sketch, kronecker_steps
from registry.lora.tensors import number
from registry.measured import EXPLODING, INCOMPLETE, INFINITE, NAN, OK, UNTRAINED, MeasuredBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from registry.lora.keys import Layer
    from registry.lora.numbers import Floats

VERSION: Final = 2
"""Raised whenever the same file would get another fingerprint."""

# Weights of diffusion models are of the order of 0.02 to 0.1.
_EXPLODING_RMS: Final = 1.0
_BLOCK: Final = re.compile(
    r"(?:[a-z]+_)+\d+(?:_(?:attentions|resnets|downsamplers|upsamplers|motion_modules)_\d+)?|mid_block_[a-z]+_\d+"
)
PARAMETERS: Final = ("oft", "ia3", "glora")
"""Families whose ΔW needs the base model, and of which the parameters are measured."""
_JITTER: Final = 1e-6
_LARGEST_SPECTRUM: Final = 160
_MOST_FIRST: Final = 1 << 22
_MOST_STEPS: Final = 1 << 13


class Tensors(Protocol):
    """The tensors of one file."""

    @property
    def names(self) -> Iterable[str]:
        """Their names, in the order of their data."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What is told beside them."""

    def read(self, name: str) -> Floats:
        """Return one in an array of its own; raises UnsupportedKind, UnreadableFile."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the weights of one adapter tell; `health` are keys of `registry.measured.HEALTH`.

    `basis` is `change` where everything is of ΔW, `before-magnitude` for DoRA, `parameters` for families
    whose ΔW needs the base model. Norms are Frobenius norms, `spectral` the largest singular value of a
    layer, `effective_rank` the exponential of the entropy of the singular values, averaged over layers by
    their squared norms; both `None` where the family does not tell them cheaply.
    `unet` and `te` are sketches of `registry.lora.sketch.SIZE` numbers of the denoiser (with all else) and of
    the text encoders, `None` where a file has nothing for them or its numbers are unusable.
    """

    basis: str
    health: tuple[str, ...]
    layers: int
    unet_norm: float
    te_norm: float
    spectral: float | None
    effective_rank: float | None
    blocks: tuple[MeasuredBlock, ...]
    unet: Floats | None
    te: Floats | None
    version: int = VERSION


class _Spectrum(NamedTuple):
    """The largest singular value of a change, and how many there are in effect."""

    largest: float
    rank: float


@dataclass(slots=True)
class _Sums:
    """What is added up over the layers of one file."""

    squares: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    layers: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    sketches: dict[str, Sketch] = field(default_factory=lambda: defaultdict(Sketch))
    health: set[str] = field(default_factory=set)
    spectral: float | None = None
    rank: float = 0.0
    rank_weight: float = 0.0
    basis: str = "change"

    def add(self, layer: Layer, square: float, elements: int, spectrum: _Spectrum | None = None) -> None:
        """Count one layer whose change has this squared norm."""
        key = (layer.part, block_of(layer.name))
        self.layers[key] += 1
        self.squares[key] += square
        if square > elements * _EXPLODING_RMS**2:
            self.health.add(EXPLODING)
        if spectrum is not None:
            self.spectral = max(self.spectral or 0.0, spectrum.largest)
            self.rank += square * spectrum.rank
            self.rank_weight += square

    def add_unusable(self, factors: Iterable[Floats]) -> None:
        """Count a layer whose change cannot be calculated."""
        self.health.add(NAN if any(np.isnan(factor).any() for factor in factors) else INFINITE)


def fingerprint(tensors: Tensors, before: Callable[[], object] = lambda: None) -> Fingerprint:
    """Measure an adapter, one layer after the other; `before` is called before each and may raise.

    Raises UnsupportedKind where no tensor belongs to an adapter of a known family, and what reading raises.
    """
    found = read_layers(tensors.names, tensors.metadata)
    if not found.layers:
        raise UnsupportedKind("no tensor of this file is a factor of an adapter that we know")
    sums = _Sums()
    for layer in found.layers:
        before()
        factors = layer.read(tensors.read, number)
        if layer.family in PARAMETERS:
            sums.basis = "parameters"
        elif "magnitude" in factors and sums.basis == "change":
            sums.basis = "before-magnitude"
        try:
            _add_layer(sums, layer, factors)
        except UnsupportedKind:
            sums.health.add(INCOMPLETE)
    return _finished(sums, len(found.layers))


def block_of(layer: str) -> str:
    """Return the block of the base model that a layer belongs to; `other` for what belongs to none."""
    found = _BLOCK.match(layer)
    return found[0] if found else "other"


def part_of(part: str) -> str:
    """Return which of the two sketches a part of a model goes into."""
    return "te" if part.startswith("te") else "unet"


def pieces(layer: Layer, rows: int, columns: int) -> Iterator[tuple[str, slice]]:
    """Yield the canonical layers that a layer consists of, each with its rows."""
    start = 0
    for split in layer.splits:
        stop = min(rows, start + columns) if split.rows == "in" else rows
        yield split.name, slice(start, stop)
        start = stop
    if not layer.splits:
        yield layer.name, slice(0, rows)


def _add_layer(sums: _Sums, layer: Layer, factors: Mapping[str, Floats]) -> None:
    with np.errstate(all="ignore"):
        if layer.family in PARAMETERS:
            _add_parameters(sums, layer, factors)
            return
        found = delta.small(layer.family, factors)
        if found is not None:
            _add_small(sums, layer, found)
        elif layer.family == "lokr" and not layer.splits and _is_quick(*(pair := delta.kronecker(factors))):
            _add_kronecker(sums, layer, *pair)
        else:
            _add_dense(sums, layer, factors)


def _is_quick(first: Floats, second: Floats) -> bool:
    """Whether a Kronecker product is better sketched without making it, as of all that trainers write."""
    return 0 < first.size <= _MOST_FIRST and kronecker_steps(first, second) <= _MOST_STEPS


def _add_small(sums: _Sums, layer: Layer, found: delta.Small) -> None:
    up, down = found.up, found.down
    left, right = up.T @ up, down @ down.T
    square = float((left * right).sum(dtype=np.float64))
    if not np.isfinite(square):
        sums.add_unusable((up, down))
        return
    rows, columns = up.shape[0], down.shape[1]
    spectrum = _spectrum(_singular(left, right, min(rows, columns))) if square > 0 else None
    sums.add(layer, max(square, 0.0), rows * columns, spectrum)
    sketch = sums.sketches[part_of(layer.part)]
    for name, span in pieces(layer, rows, columns):
        sketch.add_small(f"{layer.part}/{name}", up[span], down)


def _singular(left: Floats, right: Floats, most: int) -> Floats:
    """Return the singular values of `up @ down`, at most so many, from `upᵀ up` and `down downᵀ`."""
    rank = len(left)
    jitter = np.float32(_JITTER * max(float(np.trace(left)) / rank, 1e-30))
    try:
        root = np.linalg.cholesky(left + jitter * np.eye(rank, dtype=np.float32))
        values = np.linalg.eigvalsh(root.T @ right @ root)
    except np.linalg.LinAlgError:
        return np.zeros(1, np.float32)
    # In ascending order.
    singular: Floats = np.sqrt(np.maximum(values[-most:], 0))
    return singular


def _spectrum(singular: Floats) -> _Spectrum | None:
    total = float(singular.sum())
    if not total > 0:
        return None
    shares = singular[singular > total * _JITTER] / total
    return _Spectrum(float(singular.max()), float(np.exp(-(shares * np.log(shares)).sum())))


def _add_kronecker(sums: _Sums, layer: Layer, first: Floats, second: Floats) -> None:
    square = float(np.vdot(first, first)) * float(np.vdot(second, second))
    if not np.isfinite(square):
        sums.add_unusable((first, second))
        return
    one, two = _spectrum_of(first), _spectrum_of(second)
    spectrum = None
    if one is not None and two is not None:
        # The singular values of the product are all products of one of each, so their entropies add up.
        spectrum = _Spectrum(one.largest * two.largest, one.rank * two.rank)
    sums.add(layer, square, first.size * second.size, spectrum)
    sums.sketches[part_of(layer.part)].add_kronecker(f"{layer.part}/{layer.name}", first, second)


def _spectrum_of(matrix: Floats) -> _Spectrum | None:
    """Return the spectrum of a matrix of which one side is short."""
    if min(matrix.shape) > _LARGEST_SPECTRUM:
        return None
    square = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
    return _spectrum(np.sqrt(np.maximum(np.linalg.eigvalsh(square), 0)))


def _add_dense(sums: _Sums, layer: Layer, factors: Mapping[str, Floats]) -> None:
    if layer.family in ("diff", "norm") and not {"diff", "w_norm"} & factors.keys():
        # Only the bias changes, which no sketch and no norm counts.
        return
    rows, columns = delta.size(layer.family, factors)
    found = [
        (span, Folded(f"{layer.part}/{name}", span.stop - span.start, columns))
        for name, span in pieces(layer, rows, columns)
    ]
    square, first = 0.0, 0
    for block in delta.blocks(layer.family, factors):
        square += float(np.vdot(block, block))
        for span, folded in found:
            low, high = max(span.start, first), min(span.stop, first + len(block))
            if low < high:
                folded.add(block[low - first : high - first], low - span.start)
        first += len(block)
    if not np.isfinite(square):
        sums.add_unusable(factors.values())
        return
    sums.add(layer, square, rows * columns)
    for _, folded in found:
        sums.sketches[part_of(layer.part)].add_folded(folded)


def _add_parameters(sums: _Sums, layer: Layer, factors: Mapping[str, Floats]) -> None:
    matrices = {
        role: factor.reshape(-1, factor.shape[-1] if factor.ndim > 1 else 1)
        for role, factor in sorted(factors.items())
        if role not in ("alpha", "on_input")
    }
    square = sum(float(np.vdot(matrix, matrix)) for matrix in matrices.values())
    if not np.isfinite(square):
        sums.add_unusable(matrices.values())
        return
    sums.add(layer, square, sum(matrix.size for matrix in matrices.values()))
    for role, matrix in matrices.items():
        folded = Folded(f"{layer.part}/{layer.name}/{role}", *matrix.shape)
        folded.add(matrix, 0)
        sums.sketches[part_of(layer.part)].add_folded(folded)


def _finished(sums: _Sums, layers: int) -> Fingerprint:
    blocks = tuple(
        MeasuredBlock(part, name, sums.layers[part, name], float(np.sqrt(square)))
        for (part, name), square in sums.squares.items()
    )
    norms = {"unet": 0.0, "te": 0.0}
    for (part, _), square in sums.squares.items():
        norms[part_of(part)] += square
    whole = not sums.health & {NAN, INFINITE}
    if whole and blocks and not any(norms.values()):
        sums.health.add(UNTRAINED)
    sketches = {part: sketch.numbers() for part, sketch in sums.sketches.items() if whole and norms[part] > 0}
    return Fingerprint(
        sums.basis,
        tuple(sorted(sums.health)) or (OK,),
        layers,
        float(np.sqrt(norms["unet"])),
        float(np.sqrt(norms["te"])),
        sums.spectral,
        sums.rank / sums.rank_weight if sums.rank_weight else None,
        blocks,
        sketches.get("unet"),
        sketches.get("te"),
    )
