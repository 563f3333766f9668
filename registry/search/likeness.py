"""Which loras are like one: all sketches in a file that is mapped into memory, one product for all of them.

The file is derived from the catalog and follows it: whoever looks brings it up to date first. It grows by
rows, and is made anew where rows went. Of a lora it holds the sketch of the denoiser, of one that changes
text encoders alone that of these.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from registry.catalog.fingerprints import extent, sketches_after
from registry.errors import IndexDamaged, IndexTaken
from registry.lora.fingerprint import VERSION
from registry.lora.sketch import SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from registry.catalog.engine import Catalog
    from registry.catalog.fingerprints import Extent
    from registry.lora.numbers import Floats

_STATE: Final = "state.json"
_IDS: Final = "loras.i64"
_VECTORS: Final = "sketches.f32"
_ROW: Final = 4 * SIZE
_AT_ONCE: Final = 4096
"""Rows that are multiplied or copied at once."""
_PATIENCE: Final = 60.0


class Near(NamedTuple):
    """A lora and the cosine of its sketch to that of another."""

    lora_id: int
    cosine: float


@dataclass(frozen=True, slots=True)
class _State:
    """Which folder holds the sketches, how many, and what of the catalog they are of."""

    folder: str
    rows: int
    highest: int
    seen: int
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class _Held:
    """The sketches as they are now: the lora of each row, and rows of `SIZE` numbers of length one."""

    state: _State
    ids: NDArray[np.int64]
    vectors: Floats


class Likeness:
    """The sketches of one catalog, in a folder of their own; may be used by several threads and processes."""

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        self._catalog = catalog
        self._folder = folder
        self._turn = threading.Lock()
        self._now: _Held | None = None

    def nearest(self, lora_id: int, limit: int, least: float) -> tuple[list[Near], int]:
        """Return the loras of at least that cosine to one, the most alike first, and how many are held.

        None where that lora has no sketch. Raises IndexTaken where another process takes too long, and
        IndexDamaged where the file cannot be written.
        """
        held = self._refreshed()
        places = np.flatnonzero(held.ids == lora_id)
        if not len(places):
            return [], held.state.rows
        cosines = np.empty(len(held.ids), np.float32)
        wanted = np.array(held.vectors[places[0]])
        for start in range(0, len(cosines), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            np.dot(held.vectors[rows], wanted, out=cosines[rows])
        cosines[places] = -2
        count = min(limit, len(cosines) - 1)
        best = np.argpartition(-cosines, count - 1)[:count] if count else np.zeros(0, np.int64)
        best = best[np.argsort(-cosines[best], kind="stable")]
        found = [Near(int(held.ids[row]), max(-1.0, min(1.0, float(cosines[row])))) for row in best]
        return [near for near in found if near.cosine >= least], held.state.rows

    def sketches(self, lora_ids: Sequence[int]) -> dict[int, Floats]:
        """Return the sketches that are held of some loras."""
        held = self._refreshed()
        rows = np.flatnonzero(np.isin(held.ids, np.fromiter(lora_ids, np.int64)))
        return {int(held.ids[row]): np.array(held.vectors[row]) for row in rows}

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            self._now = None

    def _refreshed(self) -> _Held:
        with self._catalog.read() as conn:
            current = extent(conn)
        with self._turn:
            if self._now is not None and _is_of(self._now.state, current):
                return self._now
            try:
                self._now = self._opened(self._current(current))
            except FileNotFoundError:
                # Another process has just made it anew.
                self._now = self._opened(self._current(current))
            return self._now

    def _current(self, current: Extent) -> _State:
        state = self._state()
        return state if state is not None and _is_of(state, current) else self._followed()

    def _state(self) -> _State | None:
        try:
            found = _State(**json.loads((self._folder / _STATE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        sizes = [(_IDS, 8), (_VECTORS, _ROW)]
        try:
            whole = all((self._folder / found.folder / n).stat().st_size >= found.rows * s for n, s in sizes)
        except OSError:
            return None
        return found if whole and found.version == VERSION else None

    def _opened(self, state: _State) -> _Held:
        if not state.rows:
            return _Held(state, np.zeros(0, np.int64), np.zeros((0, SIZE), np.float32))
        place = self._folder / state.folder
        ids = np.memmap(place / _IDS, np.dtype("<i8"), "r", shape=(state.rows,))
        vectors = np.memmap(place / _VECTORS, np.dtype("<f4"), "r", shape=(state.rows, SIZE))
        return _Held(state, ids, vectors)

    def _followed(self) -> _State:
        """Bring the file up to date with the catalog, one process after the other."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / "writer.lock", timeout=_PATIENCE), self._catalog.read() as conn:
                current = extent(conn)
                state = self._state()
                if state is not None and current.rows - state.seen == extent(conn, state.highest).rows:
                    return self._grown(state)
                return self._made_anew()
        except Timeout:
            raise IndexTaken(
                "another process makes the list of sketches", remedy="try again in a moment"
            ) from None
        except OSError as error:
            raise IndexDamaged(
                f"the list of sketches cannot be written: {error.strerror}",
                remedy=f"look at {self._folder} and at how much room there is",
            ) from error

    def _made_anew(self) -> _State:
        old = [each for each in self._folder.glob("sketches-*") if each.is_dir()]
        numbers = [int(each.name[9:]) for each in old if each.name[9:].isdecimal()]
        folder = self._folder / f"sketches-{max(numbers, default=0) + 1}"
        folder.mkdir()
        state = self._grown(_State(folder.name, 0, 0, 0))
        for each in old:
            # Another process may have it open, and some systems keep it then.
            shutil.rmtree(each, ignore_errors=True)
        return state

    def _grown(self, state: _State) -> _State:
        place = self._folder / state.folder
        rows, highest, seen = state.rows, state.highest, state.seen
        with (place / _IDS).open("ab") as ids, (place / _VECTORS).open("ab") as vectors:
            # What was cut off in the middle is written again.
            ids.truncate(rows * 8)
            vectors.truncate(rows * _ROW)
            with self._catalog.read() as conn:
                for row in sketches_after(conn, highest):
                    highest, seen = row.id, seen + 1
                    sketch = row.unet or row.te
                    if row.version == VERSION and sketch is not None and len(sketch) == 2 * SIZE:
                        vectors.write(np.frombuffer(sketch, "<f2").astype("<f4").tobytes())
                        ids.write(row.lora_id.to_bytes(8, "little", signed=True))
                        rows += 1
        grown = _State(state.folder, rows, highest, seen)
        partial = self._folder / f"{_STATE}.{os.getpid()}"
        partial.write_text(json.dumps(asdict(grown)), encoding="utf-8")
        partial.replace(self._folder / _STATE)
        return grown


def _is_of(state: _State, current: Extent) -> bool:
    return (state.highest, state.seen) == (current.highest, current.rows)
