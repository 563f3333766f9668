"""Decide when a file that was just touched is worth reading: a state machine without threads, clock or disk.

Events go in as they come, with the time they came. `due` names the files somebody should look at now,
`looked` takes what was seen, `actions` hands out what is ripe. Paths are relative path bytes of one root, and
events are hints only: whatever is unclear, or too much, becomes a `Rescan`.

A closed or renamed file is read after a short while, at once if its header fits its size. One that was only
created or modified (a move from elsewhere, a system that does not tell of closing) waits until its size and
time stay the same. Waiting is bounded, so that a broken file is looked at as well.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from registry.ingest.paths import parent

if TYPE_CHECKING:
    from collections.abc import Iterator


class Kind(Enum):
    """What happened to a path; `BESIDE` is any change of a sidecar or preview."""

    CREATED = auto()
    MODIFIED = auto()
    CLOSED = auto()
    DELETED = auto()
    FOLDER = auto()
    BESIDE = auto()


class Ready(NamedTuple):
    """A model file is there and complete, as far as can be seen."""

    rel: bytes


class Moved(NamedTuple):
    """A model file was renamed; `new` is ready to be read."""

    old: bytes
    new: bytes


class Gone(NamedTuple):
    """A model file is no longer there."""

    rel: bytes


class Beside(NamedTuple):
    """Sidecars or previews of a folder (`b""` the root) changed; the folders below it did not."""

    folder: bytes


class Rescan(NamedTuple):
    """Walk a folder (`b""` the root) and all below it; it may not be there any more."""

    folder: bytes


Action = Ready | Moved | Gone | Beside | Rescan

_FOLDER_KINDS = frozenset({Kind.FOLDER, Kind.BESIDE})

# Old names first, so that a file found at a new one can be known again; what replaces much work last.
_ORDER = (Moved, Gone, Ready, Beside, Rescan)


class Seen(NamedTuple):
    """What a look at a file showed; `fits` says that its size can hold what its header announces."""

    size: int
    mtime_ns: int
    fits: bool


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to wait, in seconds, and how much to hold.

    `fitting` after closing for a file whose header fits, `settled` for everything told for certain,
    `quiet` for what was only created or modified or was closed with a header that does not fit, `patience`
    for a header that never fits, `folder` the longest that a busy folder is put off. More than
    `folder_limit` waiting paths of one folder become a rescan of it, more than `limit` one of the root.
    """

    fitting: float = 0.2
    settled: float = 0.5
    quiet: float = 2.0
    patience: float = 10.0
    folder: float = 5.0
    folder_limit: int = 200
    limit: int = 5000


class _Waiting:
    """One path that waits: `due` to look or act, `queued` its place in the heap, `since` its last change."""

    __slots__ = ("certain", "due", "first", "kind", "old", "queued", "seen", "since")

    def __init__(self, kind: Kind, now: float) -> None:
        self.kind = kind
        self.first = now
        self.since = now
        self.due = now
        self.queued: float | None = None
        self.certain = False
        self.old: bytes | None = None
        self.seen: Seen | None = None


class Settle:
    """The waiting paths of one root."""

    def __init__(self, timing: Timing | None = None) -> None:
        self._timing = timing if timing is not None else Timing()
        self._waiting: dict[bytes, _Waiting] = {}
        self._in_folder: dict[bytes, int] = {}
        self._heap: list[tuple[float, bytes]] = []
        self._ripe: list[Action] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def happened(self, kind: Kind, rel: bytes, now: float) -> None:
        """Take note of an event; for `BESIDE` and `FOLDER` `rel` is the folder itself."""
        if kind is Kind.FOLDER:
            self._rescan(rel, now)
        elif not self._covered(rel, now):
            found = self._put(rel, kind, now)
            if found is not None and kind is Kind.DELETED:
                if found.old is not None:
                    self.happened(Kind.DELETED, found.old, now)
                found.old = None

    def moved(self, old: bytes, new: bytes, now: float) -> None:
        """Take note that a model file was renamed to another model file's name."""
        before = self._waiting.get(old)
        origin = before.old if before is not None and before.old is not None else old
        if before is not None and before.kind is not Kind.FOLDER:
            self._drop(old)
        if self._covered(new, now):
            self.happened(Kind.DELETED, origin, now)
            return
        found = self._put(new, Kind.CLOSED, now)
        if found is None:
            self.happened(Kind.DELETED, origin, now)
        elif origin != new:
            if found.old is not None and found.old != origin:
                self.happened(Kind.DELETED, found.old, now)
            found.old = origin

    def next_due(self) -> float | None:
        """Return when `due` or `actions` will next have something, or `None` while nothing waits."""
        if self._ripe:
            return float("-inf")
        self._clean()
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[bytes]:
        """Return the model files to look at now; each is to be answered with `looked`."""
        paths: list[bytes] = []
        while True:
            self._clean()
            if not self._heap or self._heap[0][0] > now:
                return paths
            rel = heapq.heappop(self._heap)[1]
            found = self._waiting[rel]
            found.queued = None
            if found.kind in _FOLDER_KINDS:
                self._drop(rel)
                self._ripe.append(Rescan(rel) if found.kind is Kind.FOLDER else Beside(rel))
            else:
                paths.append(rel)

    def looked(self, rel: bytes, seen: Seen | None, now: float) -> None:
        """Take what a look at a path showed; `None` for a path that is not there."""
        found = self._waiting.get(rel)
        if found is None or found.kind in _FOLDER_KINDS:
            return
        if seen is None:
            self._drop(rel)
            self._ripe.extend(Gone(path) for path in (found.old, rel) if path is not None)
            return
        if found.kind is Kind.DELETED:  # deleted, and there again
            found.kind, found.certain = Kind.CREATED, False
        before, found.seen = found.seen, seen
        if before is not None and before[:2] != seen[:2]:
            found.since = now
        timing = self._timing
        if found.certain:
            wait = timing.fitting if seen.fits else timing.quiet
        else:
            wait = timing.quiet if seen.fits else timing.patience
        if now >= found.since + wait and (found.certain or before is not None):
            self._drop(rel)
            self._ripe.append(Ready(rel) if found.old is None else Moved(found.old, rel))
        else:
            # What may still be written is looked at in steps, so that a silent change is seen.
            self._schedule(rel, found, min(max(found.since + wait, now), now + timing.quiet))

    def actions(self) -> list[Action]:
        """Hand out what is ripe: old names first, rescans last."""
        ripe, self._ripe = self._ripe, []
        unique = dict.fromkeys(ripe)
        return sorted(unique, key=lambda action: _ORDER.index(type(action)))

    def clear(self) -> None:
        """Forget everything, for example because a rescan of the root will find it."""
        self._waiting.clear()
        self._in_folder.clear()
        self._heap.clear()
        self._ripe.clear()

    def _put(self, rel: bytes, kind: Kind, now: float) -> _Waiting | None:
        """Add or renew a waiting path; `None` where a rescan took its place."""
        found = self._waiting.get(rel)
        if found is None:
            folder = parent(rel)
            count = self._in_folder.get(folder, 0) + 1
            if len(self._waiting) >= self._timing.limit:
                self._rescan(b"", now)
                return None
            if count > self._timing.folder_limit:
                self._rescan(folder, now)
                return None
            found = self._waiting[rel] = _Waiting(kind, now)
            self._in_folder[folder] = count
        found.kind = kind
        found.since = now
        found.seen = None
        found.certain = kind is Kind.CLOSED
        timing = self._timing
        told = kind in _FOLDER_KINDS or kind is Kind.DELETED
        due = now + (timing.settled if told else timing.fitting)
        self._schedule(rel, found, min(due, found.first + timing.folder) if kind in _FOLDER_KINDS else due)
        return found

    def _rescan(self, folder: bytes, now: float) -> None:
        if self._covered(folder, now):
            return
        prefix = folder + b"/" if folder else b""
        below = [rel for rel in self._waiting if rel == folder or rel.startswith(prefix)]
        origins = [found.old for rel in below if (found := self._waiting[rel]).old is not None]
        for rel in below:
            self._drop(rel)
        siblings = self._in_folder.get(parent(folder), 0)
        if folder and (siblings >= self._timing.folder_limit or len(self._waiting) >= self._timing.limit):
            self._rescan(parent(folder), now)
        else:
            self._put(folder, Kind.FOLDER, now)
        for origin in origins:
            self.happened(Kind.DELETED, origin, now)

    def _covered(self, rel: bytes, now: float) -> bool:
        """Whether a waiting rescan will see this path; it is then put off until its folder is quiet."""
        for folder in _upwards(rel):
            found = self._waiting.get(folder)
            if found is not None and found.kind is Kind.FOLDER:
                timing = self._timing
                self._schedule(folder, found, min(now + timing.settled, found.first + timing.folder))
                return True
        return False

    def _drop(self, rel: bytes) -> None:
        if self._waiting.pop(rel, None) is not None:
            folder = parent(rel)
            left = self._in_folder[folder] - 1
            if left:
                self._in_folder[folder] = left
            else:
                del self._in_folder[folder]

    def _schedule(self, rel: bytes, found: _Waiting, due: float) -> None:
        found.due = due
        if found.queued is None or due < found.queued:
            found.queued = due
            heapq.heappush(self._heap, (due, rel))
            if len(self._heap) > 2 * self._timing.limit:
                self._heap = [
                    (one.queued, path) for path, one in self._waiting.items() if one.queued is not None
                ]
                heapq.heapify(self._heap)

    def _clean(self) -> None:
        """Bring to the top of the heap something that is really due then."""
        while self._heap:
            due, rel = self._heap[0]
            found = self._waiting.get(rel)
            if found is None or found.queued != due:
                heapq.heappop(self._heap)
            elif found.due > due:
                found.queued = found.due
                heapq.heapreplace(self._heap, (found.due, rel))
            else:
                return


def _upwards(rel: bytes) -> Iterator[bytes]:
    while rel:
        yield rel
        rel = parent(rel)
    yield b""
