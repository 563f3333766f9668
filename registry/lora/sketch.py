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

    from registry.lora.numbers import Floats

SIZE: Final = 512
_ROWS: Final = "rows"
_COLUMNS: Final = "columns"


_NEAR: Final = 1 << 17
"""So many numbers made on the way stay near the processor."""
_TOGETHER: Final = _NEAR // 2 // SIZE
"""Rows of `SIZE` columns that are added at once."""
# Bucket k of a pair is made of the buckets h of the rows and k - h of the columns.
_PAIRED: Final = (np.arange(SIZE)[None, :] - np.arange(SIZE)[:, None]) % SIZE


class Sketch:
    """Adds up layers; `numbers()` is the sketch of what was added so far, linear in all of it."""

    def __init__(self) -> None:
        # What falls into which two buckets; pairing them is the same for all layers, and left to the end.
        self._both: Floats = np.zeros((SIZE, SIZE), np.float32)

    def add_small(self, layer: str, up: Floats, down: Floats) -> None:
        """Add `up @ down` of the shapes (rows, rank) and (rank, columns)."""
        left, right = (np.zeros(shape, np.float32) for shape in ((SIZE, up.shape[1]), (down.shape[0], SIZE)))
        _Drawn(layer, _ROWS, up.shape[0]).add_rows(left, up, 0)
        _Drawn(layer, _COLUMNS, down.shape[1]).add_columns(right, down, 0)
        self._both += left @ right

    def add_kronecker(self, layer: str, first: Floats, second: Floats) -> None:
        """Add the Kronecker product of two matrices, which is never made."""
        (height, width), (rows, columns) = first.shape, second.shape
        of_rows = _Drawn(layer, _ROWS, height * rows)
        of_columns = _Drawn(layer, _COLUMNS, width * columns)
        signs = of_rows.signs.reshape(height, rows).T[:, :, None]
        step = _rows_at_once(first)
        for start in range(0, rows, step):
            some = second[start : start + step]
            folded = np.zeros((len(some), width, SIZE), np.float32)
            for number in range(width):
                of_columns.add_columns(folded[:, number], some, number * columns)
            blocks = (signs[start : start + step] * first) @ folded
            for number in range(height):
                for source, target in of_rows.pieces(number * rows + start, len(some)):
                    self._both[target] += blocks[source, number]

    def add_folded(self, folded: Folded) -> None:
        """Add a matrix of which all rows have come."""
        self._both += folded.sums

    def numbers(self) -> Floats:
        """Return the sketch, `SIZE` numbers."""
        paired = np.take_along_axis(self._both, _PAIRED, 1)
        found: Floats = paired.sum(0, dtype=np.float64).astype(np.float32)
        return found


class Folded:
    """A matrix that comes some rows at a time, with what falls into the same two buckets added up."""

    def __init__(self, layer: str, rows: int, columns: int) -> None:
        self.sums: Floats = np.zeros((SIZE, SIZE), np.float32)
        self._rows = _Drawn(layer, _ROWS, rows)
        self._columns = _Drawn(layer, _COLUMNS, columns)

    def add(self, block: Floats, first: int) -> None:
        """Add some rows, the first of which is row `first` of the matrix."""
        by_column = np.zeros((len(block), SIZE), np.float32)
        self._columns.add_columns(by_column, block, 0)
        self._rows.add_rows(self.sums, by_column, first)


def kronecker_steps(first: Floats, second: Floats) -> int:
    """Return how many small steps `Sketch.add_kronecker` takes."""
    height, width = first.shape
    return int(-(-len(second) // _rows_at_once(first)) * (height + width))


def _rows_at_once(first: Floats) -> int:
    height, width = first.shape
    return max(1, int(_NEAR // (SIZE * max(height, width))))


class _Drawn:
    """The signs and buckets of one side of a layer."""

    def __init__(self, layer: str, side: str, length: int) -> None:
        runs = -(-length // SIZE)
        drawn = hashlib.shake_256(f"{layer}\0{side}".encode()).digest(2 * runs + -(-length // 8))
        self._starts = np.frombuffer(drawn[: 2 * runs], "<u2") % SIZE
        bits = np.unpackbits(np.frombuffer(drawn[2 * runs :], np.uint8), count=length)
        self.signs = bits.astype(np.float32)
        self.signs *= 2
        self.signs -= 1

    def add_rows(self, sums: Floats, matrix: Floats, first: int) -> None:
        """Add rows with their signs to those of their buckets; the first of them is row `first`."""
        for source, target in self.pieces(first, len(matrix), max(1, _NEAR // 2 // max(1, matrix.shape[1]))):
            sums[target] += matrix[source] * self.signs[first:][source, None]

    def add_columns(self, sums: Floats, matrix: Floats, first: int) -> None:
        """Add columns with their signs to those of their buckets; the first of them is column `first`."""
        for source, target in self.pieces(first, matrix.shape[1]):
            signs = self.signs[first:][source]
            for start in range(0, len(matrix), _TOGETHER):
                rows = slice(start, start + _TOGETHER)
                sums[rows, target] += matrix[rows, source] * signs

    def pieces(self, first: int, count: int, most: int = SIZE) -> Iterator[tuple[slice, slice]]:
        """Yield slices of `count` that begin at `first`, each at most so long, and of their buckets."""
        done = 0
        while done < count:
            run, within = divmod(first + done, SIZE)
            start = (int(self._starts[run]) + within) % SIZE
            size = min(SIZE - within, SIZE - start, count - done, most)
            yield slice(done, done + size), slice(start, start + size)
            done += size
