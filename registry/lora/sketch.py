"""A few hundred numbers whose angles are those of whole adapters: a count sketch of ΔW.

Row i and column j of a layer fall into bucket `(h(i) + g(j)) mod SIZE` with the sign `s(i) t(j)`, so the
inner product of two sketches estimates that of the adapters without bias (Pham and Pagh, KDD 2013, for the
product; Charikar, Chen and Farach-Colton 2002 for one side). The hashes are drawn by the names of layer and
side, from SHAKE-256: the same everywhere and for ever. Within a run of `SIZE` rows they follow each other,
from a drawn place on, which makes them slices.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from registry.lora.numbers import Floats

SIZE: Final = 512
_ROWS: Final = "rows"
_COLUMNS: Final = "columns"


# Which bucket a pair of buckets falls into.
_PAIRED: Final = (np.add.outer(np.arange(SIZE), np.arange(SIZE)) % SIZE).ravel()


class Sketch:
    """Adds up layers; `numbers()` is the sketch of what was added so far, linear in all of it."""

    def __init__(self) -> None:
        self._spectrum: NDArray[np.complex64] = np.zeros(SIZE // 2 + 1, np.complex64)
        self._direct = np.zeros(SIZE)

    def add_small(self, layer: str, up: Floats, down: Floats) -> None:
        """Add `up @ down` of the shapes (rows, rank) and (rank, columns)."""
        left = np.fft.rfft(_Drawn(layer, _ROWS, up.shape[0]).rows(up), axis=0)
        right = np.fft.rfft(_Drawn(layer, _COLUMNS, down.shape[1]).columns(down), axis=1)
        self._spectrum += np.einsum("fr,rf->f", left, right)

    def add_kronecker(self, layer: str, first: Floats, second: Floats) -> None:
        """Add the Kronecker product of two matrices, which is never made."""
        drawn = _Drawn(layer, _ROWS, len(first) * len(second))
        folded = np.stack([drawn.rows(second, number * len(second)) for number in range(len(first))])
        by_row = np.tensordot(first, folded, (0, 0)).swapaxes(0, 1).reshape(SIZE, -1)
        self._add_folded(layer, by_row)

    def add_dense(self, layer: str, block: Floats, first: int, rows: int) -> None:
        """Add some rows of a matrix, from row `first` of `rows` on."""
        self._add_folded(layer, _Drawn(layer, _ROWS, rows).rows(block, first))

    def add(self, other: Sketch) -> None:
        """Add all that another sketch was made of."""
        self._spectrum += other._spectrum
        self._direct += other._direct

    def _add_folded(self, layer: str, by_row: Floats) -> None:
        by_both = _Drawn(layer, _COLUMNS, by_row.shape[1]).columns(by_row)
        self._direct += np.bincount(_PAIRED, by_both.ravel(), SIZE)

    def numbers(self) -> Floats:
        """Return the sketch, `SIZE` numbers."""
        found: Floats = (np.fft.irfft(self._spectrum, SIZE) + self._direct).astype(np.float32)
        return found


class _Drawn:
    """The signs and buckets of one side of a layer."""

    def __init__(self, layer: str, side: str, length: int) -> None:
        runs = -(-length // SIZE)
        drawn = hashlib.shake_256(f"{layer}\0{side}".encode()).digest(2 * runs + -(-length // 8))
        self._starts = np.frombuffer(drawn[: 2 * runs], "<u2") % SIZE
        bits = np.unpackbits(np.frombuffer(drawn[2 * runs :], np.uint8), count=length)
        self._signs = bits.astype(np.float32)
        self._signs *= 2
        self._signs -= 1

    def rows(self, matrix: Floats, first: int = 0) -> Floats:
        """Add up the rows of a matrix, from row `first` on, that fall into one bucket, with their signs."""
        folded = np.zeros((SIZE, matrix.shape[1]), np.float32)
        for source, target, signs in self._pieces(first, len(matrix)):
            folded[target] += matrix[source] * signs[:, None]
        return folded

    def columns(self, matrix: Floats) -> Floats:
        """Add up the columns of a matrix that fall into one bucket, with their signs."""
        folded = np.zeros((len(matrix), SIZE), np.float32)
        for source, target, signs in self._pieces(0, matrix.shape[1]):
            folded[:, target] += matrix[:, source] * signs
        return folded

    def _pieces(self, first: int, count: int) -> Iterator[tuple[slice, slice, Floats]]:
        """Yield slices of what is folded, of the buckets that they fall into, and their signs."""
        done = 0
        while done < count:
            run, within = divmod(first + done, SIZE)
            start = (int(self._starts[run]) + within) % SIZE
            size = min(SIZE - within, SIZE - start, count - done)
            signs = self._signs[first + done : first + done + size]
            yield slice(done, done + size), slice(start, start + size), signs
            done += size
