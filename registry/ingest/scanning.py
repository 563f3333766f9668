"""A scan of one root: the walk merged with the catalog's rows, headers read in child processes, one writer.

Memory does not grow with the library: rows are read in path order as the walk needs them, and only files
that look vanished are remembered (by id) until the end.
"""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from registry.catalog.collisions import refresh_collisions
from registry.catalog.companions import stored_companions
from registry.catalog.ingesting import (
    KnownFile,
    Observation,
    Recorded,
    known_files,
    known_paths,
    record_files,
    same_inode,
    same_quick_key,
)
from registry.catalog.presence import set_missing, still_at
from registry.catalog.problems import replace_root_problems
from registry.catalog.roots import change_root, scanned_root, set_root_state
from registry.errors import CatalogRace, Cancelled
from registry.ingest.derive import DERIVED_VERSION, Derived, Task, signed
from registry.ingest.paths import absolute, nested
from registry.ingest.walk import Entry, Folder, RootGone, Scope, Trouble, walk
from registry.ingest.workers import CHUNK
from registry.views import CompanionSeen, FileSeen, FileStat, Note
from registry.wire.companions import MODEL_EXTENSIONS, PICKLE_EXTENSIONS, classify, pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from registry.catalog.engine import Catalog
    from registry.catalog.ingesting import Candidate
    from registry.catalog.tags import TagIds
    from registry.ingest.workers import Deriver
    from registry.views import RootView

PAGE = 2000
WRITE_BATCH = 256
# A root whose files keep everything but their inodes hands out new ones at each mount (SMB, FUSE).
_INODES_MIN = 2
_INODES_SHARE = 0.9
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
        """Add the counts of another root."""
        for name in ("files", "new", "changed", "moved", "restored", "unchanged", "missing", "problems"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Engine(NamedTuple):
    """What a scan works with; `report` gets the counts so far, `cancelled` is asked often."""

    catalog: Catalog
    machine_id: str
    deriver: Deriver
    tag_ids: TagIds
    report: Callable[[ScanCounts], None] = lambda _counts: None
    cancelled: Callable[[], bool] = lambda: False


class _Met(NamedTuple):
    """A file whose header must be looked at: what was seen, and its row if it has one."""

    seen: FileSeen
    row: KnownFile | None
    only_inode: bool


@dataclass(slots=True)
class _Work:
    """The state of one scan."""

    engine: Engine
    root: RootView
    roots: Sequence[RootView]
    began: int
    counts: ScanCounts = field(default_factory=ScanCounts)
    met: list[_Met] = field(default_factory=list)
    running: deque[tuple[Future[list[Derived]], list[Task], list[_Met]]] = field(default_factory=deque)
    ready: list[Observation] = field(default_factory=list)
    touched: list[FileSeen] = field(default_factory=list)
    vanished: list[tuple[int, bytes]] = field(default_factory=list)
    claimed: set[int] = field(default_factory=set)
    blind: list[bytes] = field(default_factory=list)
    troubles: list[tuple[str, Note]] = field(default_factory=list)
    inode_only: int = 0
    compared: int = 0


def scope_of(root: RootView, roots: Sequence[RootView]) -> Scope:
    """Return what a walk of a root covers; paths inside a nested root belong to that one."""
    paths = tuple(other.path for other in roots if other.path is not None)
    extensions = MODEL_EXTENSIONS + PICKLE_EXTENSIONS if root.pickles else MODEL_EXTENSIONS
    path = root.path or ""
    return Scope(path, tuple(extensions), paths, nested(path, paths), root.follow_out)


def scan_root(engine: Engine, root: RootView, roots: Sequence[RootView], *, under: bytes = b"") -> ScanCounts:
    """Bring the catalog in line with a root, or with its folder `under`; return what was found.

    A root that is gone, or empty at once, is marked unreachable and none of its files missing. Raises
    Cancelled; what was written until then stays.
    """
    started = time.monotonic()
    work = _Work(engine, root, roots, engine.catalog.clock())
    try:
        _merge(work, under)
        _drain(work, 0)
        _flush(work)
    except RootGone as gone:
        _lost(work, str(gone))
        return work.counts
    if work.counts.files == 0 and work.vanished and not under and _is_empty(root.path or ""):
        _lost(work, "The folder of this root is empty; is a drive not mounted?")
        return work.counts
    _finish(work, under, int((time.monotonic() - started) * 1000))
    return work.counts


def scan_paths(
    engine: Engine, root: RootView, roots: Sequence[RootView], entries: Sequence[Entry]
) -> ScanCounts:
    """Bring single files of a root into the catalog: as a scan would, without a walk."""
    work = _Work(engine, root, roots, engine.catalog.clock())
    with engine.catalog.read() as conn:
        rows = known_paths(conn, root.id, [entry.rel for entry in entries])
        stored = stored_companions(conn, root.id, file_ids=[row.id for row in rows.values()])
    beside = _Beside(stored)
    for folder in sorted({entry.rel.rpartition(b"/")[0] for entry in entries}):
        beside.enter(_folder(root, folder))
        for entry in entries:
            if entry.rel.rpartition(b"/")[0] != folder:
                continue
            work.counts.files += 1
            row = rows.get(entry.rel)
            if row is None:
                _look(work, _Met(_seen(entry, beside.of(entry.rel)), None, only_inode=False))
            else:
                _compare(work, entry, row, beside)
    _submit(work)
    _drain(work, 0)
    _flush(work)
    return work.counts


def _folder(root: RootView, rel: bytes) -> Folder:
    try:
        names = os.listdir(absolute(root.path or "", rel) if rel else root.path or "")
    except OSError:
        names = []
    models = [name for name in names if name.lower().endswith(MODEL_EXTENSIONS + PICKLE_EXTENSIONS)]
    return Folder(rel, tuple(name for name in names if _may_be_companion(name)), tuple(models))


def _is_empty(path: str) -> bool:
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except OSError:
        return True


def _lost(work: _Work, text: str) -> None:
    note = Note("root-unreachable", f"{text} Its files are kept and come back with it.")
    with work.engine.catalog.write() as unit:
        set_root_state(unit, work.root.id, "unreachable")
        replace_root_problems(unit, "root", work.root.id, [(work.root.path or "", note)])
    work.counts.unreachable = True
    work.counts.problems += 1
    work.engine.report(work.counts)


def _finish(work: _Work, under: bytes, milliseconds: int) -> None:
    gone = [(file_id, rel) for file_id, rel in work.vanished if file_id not in work.claimed]
    unstable = (
        not work.root.ignore_inode
        and work.inode_only >= _INODES_MIN
        and work.inode_only >= _INODES_SHARE * work.compared
    )
    with work.engine.catalog.write() as unit:
        # The watcher may have moved or restored some of them meanwhile.
        work.counts.missing += set_missing(unit, still_at(unit, gone, work.began))
        set_root_state(unit, work.root.id, "ok")
        if not under:
            replace_root_problems(unit, "scan", work.root.id, work.troubles)
            scanned_root(unit, work.root.id, milliseconds)
        replace_root_problems(unit, "root", work.root.id, [])
        if unstable:
            change_root(unit, work.root.id, ignore_inode=True)
        refresh_collisions(unit)
    work.counts.problems += len(work.troubles)
    work.engine.report(work.counts)


def _merge(work: _Work, under: bytes) -> None:
    """Walk and rows side by side, both in byte order of the relative path."""
    rows = _rows(work, under)
    row = next(rows, None)
    with work.engine.catalog.read() as conn:
        beside = _Beside(stored_companions(conn, work.root.id, under))
    for item in walk(
        scope_of(work.root, work.roots),
        under=under,
        beside=_may_be_companion,
        cancelled=work.engine.cancelled,
    ):
        if type(item) is Folder:
            beside.enter(item)
            continue
        if type(item) is Trouble:
            _trouble(work, item)
            continue
        if type(item) is not Entry:
            continue
        work.counts.files += 1
        rel = item.rel
        while row is not None and row.rel < rel:
            _vanished(work, row)
            row = next(rows, None)
        if row is not None and row.rel == rel:
            _compare(work, item, row, beside)
            row = next(rows, None)
        else:
            _look(work, _Met(_seen(item, beside.of(rel)), None, only_inode=False))
    while row is not None:
        _vanished(work, row)
        row = next(rows, None)
    _submit(work)


def _rows(work: _Work, under: bytes) -> Iterator[KnownFile]:
    after, before = (under + b"/", under + b"0") if under else (b"", None)
    while True:
        with work.engine.catalog.read() as conn:
            page = known_files(conn, work.root.id, after, PAGE)
        for row in page:
            if before is not None and row[0] >= before:
                return
            yield KnownFile(*row)
        if len(page) < PAGE:
            return
        after = page[-1][0]


def _compare(work: _Work, entry: Entry, row: KnownFile, beside: _Beside) -> None:
    work.compared += 1
    same_content = entry.size == row.size and entry.mtime_ns == row.mtime_ns
    # An inode of 0 is one that is not known: of a root that was relocated, or of a file system without any.
    forgotten = row.inode == 0 and entry.inode != 0
    same_inode = work.root.ignore_inode or row.inode == 0 or signed(FileStat(*entry[1:6])).inode == row.inode
    if same_content and same_inode and row.derived_version == DERIVED_VERSION:
        if row.state == "present" and not forgotten and not beside.differs(entry.rel, row.id):
            work.counts.unchanged += 1
            return
        work.ready.append(Observation(_seen(entry, beside.of(entry.rel))))
        if row.state == "present":
            work.counts.unchanged += 1
        _write_if_full(work)
        return
    _look(work, _Met(_seen(entry, beside.of(entry.rel)), row, only_inode=same_content and not same_inode))


def _seen(entry: Entry, companions: tuple[CompanionSeen, ...] | None) -> FileSeen:
    return FileSeen(entry.rel, signed(FileStat(*entry[1:6])), companions, entry.placeholder)


def _trouble(work: _Work, trouble: Trouble) -> None:
    path = trouble.rel.decode("utf-8", "surrogateescape")
    work.troubles.append((path, Note(trouble.slug, trouble.text)))
    if trouble.slug == "unreadable-folder":
        work.blind.append(trouble.rel + b"/" if trouble.rel else b"")


def _vanished(work: _Work, row: KnownFile) -> None:
    if row.state != "missing" and not any(row.rel.startswith(prefix) for prefix in work.blind):
        work.vanished.append((row.id, row.rel))


def _look(work: _Work, met: _Met) -> None:
    work.met.append(met)
    if len(work.met) >= CHUNK:
        _submit(work)


def _submit(work: _Work) -> None:
    """Hand a chunk of files to the child processes, and take what they have done."""
    met, work.met = work.met, []
    if not met:
        return
    tasks = []
    waiting = []
    moves = _moves_by_inode(work, met)
    for one in met:
        observation = moves.get(one.seen.rel)
        if observation is not None:
            work.ready.append(observation)
        elif one.seen.placeholder:
            work.ready.append(Observation(one.seen))
        else:
            known = one.row.header_digest if one.row is not None and one.only_inode else None
            path = absolute(work.root.path or "", one.seen.rel)
            tasks.append(Task(len(waiting), path, one.seen.rel.lower().endswith(_SAFETENSORS), known))
            waiting.append(one)
    if tasks:
        future = work.engine.deriver.submit(tasks, work.root.header_readers)
        work.running.append((future, tasks, waiting))
    _drain(work, 2 * max(1, work.engine.deriver.workers))
    _write_if_full(work)


_SAFETENSORS = tuple(os.fsencode(extension) for extension in MODEL_EXTENSIONS)


def _drain(work: _Work, allowed: int) -> None:
    while work.running and (len(work.running) > allowed or work.running[0][0].done()):
        future, tasks, met = work.running.popleft()
        _take(work, met, work.engine.deriver.result(future, tasks, work.root.header_readers))
        _write_if_full(work)
        if work.engine.cancelled():
            raise Cancelled("the scan was stopped")


def _take(work: _Work, met: Sequence[_Met], answers: Sequence[Derived]) -> None:
    moves = _moves_by_quick_key(work, met, answers)
    for answer in answers:
        one = met[answer.key]
        if answer.problem is not None:
            path = one.seen.rel.decode("utf-8", "surrogateescape")
            work.troubles.append((path, answer.problem))
            # A file that cannot be read now may be readable next time: its row, if any, stays as it was.
            continue
        if answer.facts is None:
            work.inode_only += one.only_inode
            work.ready.append(Observation(one.seen))
            continue
        seen = FileSeen(one.seen.rel, answer.facts.stat, one.seen.companions)
        work.counts.problems += len(answer.facts.problems)
        work.ready.append(Observation(seen, answer.facts, moved_from=moves.get(one.seen.rel)))


def _moves_by_inode(work: _Work, met: Sequence[_Met]) -> dict[bytes, Observation]:
    """Find new paths of files we know: same inode, size and time, and either the old path is gone or it is a link."""
    if work.root.ignore_inode:
        return {}
    new = [one for one in met if one.row is None]
    found: dict[bytes, Observation] = {}
    with work.engine.catalog.read() as conn:
        candidates = same_inode(conn, [one.seen.stat for one in new])
    for one in new:
        stat = one.seen.stat
        for candidate in candidates.get((stat.device, stat.inode, stat.size, stat.mtime_ns), ()):
            if candidate.id in work.claimed or (candidate.root_id, candidate.rel) == (
                work.root.id,
                one.seen.rel,
            ):
                continue
            if _is_gone(work, candidate, one.seen.rel):
                work.claimed.add(candidate.id)
                found[one.seen.rel] = Observation(one.seen, moved_from=candidate.id)
            else:
                found[one.seen.rel] = Observation(one.seen, twin=candidate.id)
            break
    return found


def _moves_by_quick_key(work: _Work, met: Sequence[_Met], answers: Sequence[Derived]) -> dict[bytes, int]:
    keys = {
        answer.facts.quick_key: met[answer.key].seen.rel
        for answer in answers
        if answer.facts is not None and answer.facts.quick_key is not None and met[answer.key].row is None
    }
    if not keys:
        return {}
    with work.engine.catalog.read() as conn:
        known = same_quick_key(conn, list(keys))
    found: dict[bytes, int] = {}
    for key, candidates in known.items():
        for candidate in candidates:
            if candidate.id not in work.claimed and _is_gone(work, candidate, keys[key]):
                work.claimed.add(candidate.id)
                found[keys[key]] = candidate.id
                break
    return found


def _is_gone(work: _Work, candidate: Candidate, rel: bytes) -> bool:
    """Whether the path of a row leads to nothing now, or is the very path that was met, under another root."""
    root = next((root for root in work.roots if root.id == candidate.root_id), None)
    if root is None or root.path is None:
        return root is None
    if root.state != "ok" and not Path(root.path).is_dir():
        return False
    old = absolute(root.path, candidate.rel)
    return not os.path.lexists(old) or old == absolute(work.root.path or "", rel)


def _write_if_full(work: _Work) -> None:
    if len(work.ready) >= WRITE_BATCH:
        _flush(work)


def _flush(work: _Work) -> None:
    batch, work.ready = work.ready, []
    if batch:
        recorded = _record(work, batch)
        work.counts.new += recorded.new
        work.counts.changed += recorded.changed
        work.counts.moved += recorded.moved
        work.counts.restored += recorded.restored
    work.engine.report(work.counts)


def _record(work: _Work, batch: Sequence[Observation]) -> Recorded:
    for attempt in range(_ATTEMPTS):
        try:
            with work.engine.catalog.write() as unit:
                return record_files(unit, work.engine.tag_ids, work.root, batch, DERIVED_VERSION)
        except CatalogRace:
            # Another process wrote one of these files first; the next look finds its row.
            work.engine.tag_ids.forget()
            if attempt == _ATTEMPTS - 1:
                raise
        except BaseException:
            work.engine.tag_ids.forget()
            raise
    raise AssertionError


def _may_be_companion(name: str) -> bool:
    return bool(classify(name))


class _Beside:
    """The companions of the folders that the walk is in."""

    def __init__(self, stored: Mapping[int, frozenset[bytes]]) -> None:
        self._folders: dict[bytes, dict[str, tuple[CompanionSeen, ...]]] = {}
        self._stored = stored

    def enter(self, folder: Folder) -> None:
        """Note the names of a folder; forget those of folders that the walk has left."""
        for rel in [rel for rel in self._folders if rel and not folder.rel.startswith(rel + b"/")]:
            del self._folders[rel]
        if folder.names:
            paired = pair(folder.names, folder.models)
            self._folders[folder.rel] = {
                model: tuple(
                    CompanionSeen(os.fsencode(one.file_name), _shown(one.file_name), one.kind, one.family)
                    for one in owned
                )
                for model, owned in paired.items()
            }

    def of(self, rel: bytes) -> tuple[CompanionSeen, ...]:
        """Return the companions of a model file."""
        folder, _, name = rel.rpartition(b"/")
        paired = self._folders.get(folder)
        return paired.get(os.fsdecode(name), ()) if paired else ()

    def differs(self, rel: bytes, file_id: int) -> bool:
        """Whether a file has other companions than its row says."""
        if not self._folders and not self._stored:
            return False
        return frozenset(one.name_raw for one in self.of(rel)) != self._stored.get(file_id, frozenset())


def _shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode()
