"""The way of files into the catalog: headers looked at in child processes, written by this one in batches."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from registry.catalog.ingesting import Observation, record_files
from registry.catalog.known import header_digests
from registry.errors import Cancelled, CatalogRace
from registry.ingest.derive import DERIVED_VERSION, Derived, Task, is_opened
from registry.ingest.moves import Moves, Newcomer
from registry.ingest.paths import absolute, long_path
from registry.views import FileSeen, Note

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.catalog.engine import Catalog
    from registry.catalog.ingesting import Recorded
    from registry.catalog.known import KnownFile
    from registry.catalog.tags import TagIds
    from registry.ingest.moves import Origin
    from registry.ingest.workers import Deriver, Pending
    from registry.views import RootView

CHUNK = 64
WRITE_BATCH = 256
_ATTEMPTS = 3


@dataclass(slots=True)
class ScanCounts:
    """What a scan found; `files` are the model files on disk."""

    files: int = 0
    new: int = 0
    changed: int = 0
    moved: int = 0
    restored: int = 0
    unchanged: int = 0
    missing: int = 0
    problems: int = 0
    unreachable: bool = False

    def add(self, other: ScanCounts) -> None:
        """Add the counts of another scan."""
        for name in ("files", "new", "changed", "moved", "restored", "unchanged", "missing", "problems"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Engine(NamedTuple):
    """What a scan works with; `report` gets the counts so far, `cancelled` is asked often.

    Rows of another `derived_version` are read again.
    """

    catalog: Catalog
    machine_id: str
    deriver: Deriver
    tag_ids: TagIds
    report: Callable[[ScanCounts], None] = lambda _counts: None
    cancelled: Callable[[], bool] = lambda: False
    derived_version: int = DERIVED_VERSION


class Met(NamedTuple):
    """A file whose header must be looked at: what was seen, its row if it has one.

    `only_inode` says that the row differs by nothing but its inode; `known` is then the digest of its header.
    """

    seen: FileSeen
    row: KnownFile | None = None
    only_inode: bool = False
    known: bytes | None = None


@dataclass(slots=True)
class Pipeline:
    """Takes files of one root that were met on disk; `finish` once after the last of them.

    `troubles` are files that could not be read: (path as text, why).
    """

    engine: Engine
    root: RootView
    roots: Sequence[RootView]
    counts: ScanCounts = field(default_factory=ScanCounts)
    troubles: list[tuple[str, Note]] = field(default_factory=list)
    inode_only: int = 0
    moves: Moves = field(init=False)
    _met: list[Met] = field(default_factory=list)
    _running: deque[tuple[Pending, list[Met]]] = field(default_factory=deque)
    _ready: list[Observation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.moves = Moves(self.root, self.roots)

    def look(self, met: Met) -> None:
        """Have the header of a file looked at, unless that would fetch it from a cloud."""
        self._met.append(met)
        if len(self._met) >= CHUNK:
            self._submit()

    def keep(self, seen: FileSeen) -> None:
        """Note a file of which nothing has to be read."""
        self._ready.append(Observation(seen))
        self._write_if_full()

    def finish(self) -> None:
        """Wait for all answers and write what is left."""
        self._submit()
        self._drain(0)
        self._write()

    def abandon(self) -> None:
        """Forget what is under way."""
        while self._running:
            self.engine.deriver.forget(self._running.popleft()[0])

    def _submit(self) -> None:
        met, self._met = self._with_digests(self._met), []
        asked = [one for one in met if not one.seen.placeholder]
        distant = [one for one in met if one.seen.placeholder]
        if distant:
            self._take([Derived(key, None) for key in range(len(distant))], distant)
        if asked:
            tasks = [self._task(key, one) for key, one in enumerate(asked)]
            self._running.append((self.engine.deriver.submit(tasks, self.root.header_readers), asked))
        self._drain(2 * max(1, self.engine.deriver.workers))

    def _with_digests(self, met: list[Met]) -> list[Met]:
        wanted = [one.row.header_id for one in met if one.row and one.row.header_id and one.only_inode]
        if not wanted:
            return met
        with self.engine.catalog.read() as conn:
            digests = header_digests(conn, wanted)
        return [one._replace(known=digests.get(one.row.header_id or 0)) if one.row else one for one in met]

    def _task(self, key: int, met: Met) -> Task:
        # A row of older rules is read again in any case.
        current = met.row is not None and met.row.derived_version == self.engine.derived_version
        known = met.known if current else None
        path = long_path(absolute(self.root.path or "", met.seen.rel))
        return Task(key, path, is_opened(met.seen.rel), known)

    def _drain(self, allowed: int) -> None:
        """Take what the child processes have done until no more than `allowed` chunks are under way."""
        while self._running and (len(self._running) > allowed or self._running[0][0].done()):
            if self.engine.cancelled():
                raise Cancelled("the scan was stopped")
            pending, met = self._running[0]
            answers = self.engine.deriver.answers(pending, self.engine.cancelled)
            self._running.popleft()
            self._take(answers, met)
            self._write_if_full()

    def _take(self, answers: Sequence[Derived], met: Sequence[Met]) -> None:
        origins = {}
        newcomers = [
            _newcomer(met[answer.key], answer)
            for answer in answers
            if answer.problem is None and met[answer.key].row is None
        ]
        if newcomers:
            with self.engine.catalog.read() as conn:
                origins = self.moves.origins(conn, newcomers)
        for answer in answers:
            seen, _, only_inode, known = met[answer.key]
            facts = answer.facts
            if answer.problem is not None:
                # It may be readable next time: its row, if any, stays as it was.
                self.troubles.append((shown(seen.rel), answer.problem))
                continue
            if facts is None:
                self.inode_only += only_inode
                self._ready.append(self._continued(seen, None, origins))
                continue
            digest = facts.header.digest if facts.header is not None else None
            self.inode_only += only_inode and digest == known
            self.counts.problems += len(facts.problems)
            self._ready.append(self._continued(seen, answer, origins))

    @staticmethod
    def _continued(seen: FileSeen, answer: Derived | None, origins: dict[bytes, Origin]) -> Observation:
        origin = origins.get(seen.rel)
        moved_from = origin.file_id if origin is not None and origin.moved else None
        twin = origin.file_id if origin is not None and not origin.moved else None
        if answer is None or answer.facts is None:
            return Observation(seen, moved_from=moved_from, twin=twin)
        now = FileSeen(seen.rel, answer.facts.stat, seen.companions)
        return Observation(now, answer.facts, moved_from=moved_from, twin=twin)

    def _write_if_full(self) -> None:
        if len(self._ready) >= WRITE_BATCH:
            self._write()

    def _write(self) -> None:
        batch, self._ready = self._ready, []
        if batch:
            recorded = self._record(batch)
            self.counts.new += recorded.new
            self.counts.changed += recorded.changed
            self.counts.moved += recorded.moved
            self.counts.restored += recorded.restored
        self.engine.report(self.counts)

    def _record(self, batch: Sequence[Observation]) -> Recorded:
        engine = self.engine
        for _ in range(_ATTEMPTS - 1):
            try:
                with engine.catalog.write() as unit:
                    return record_files(unit, engine.tag_ids, self.root, batch, engine.derived_version)
            except CatalogRace:
                continue  # another process wrote one of these files first; the next look finds its row
        with engine.catalog.write() as unit:
            return record_files(unit, engine.tag_ids, self.root, batch, engine.derived_version)


def shown(rel: bytes) -> str:
    """Return a relative path as text for problem rows."""
    return os.fsdecode(rel)


def _newcomer(met: Met, answer: Derived) -> Newcomer:
    if answer.facts is None:
        return Newcomer(met.seen.rel, met.seen.stat, None)
    return Newcomer(met.seen.rel, answer.facts.stat, answer.facts.quick_key)
