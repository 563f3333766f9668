"""Bring the catalog in line with what is on disk: a whole root, one of its folders, or single files.

A scan merges the walk with the catalog's rows. Memory does not grow with the library: rows are read in path
order as the walk needs them, and only files that look vanished are remembered until the end.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from registry.catalog.collisions import refresh_collisions
from registry.catalog.companions import companions_at
from registry.catalog.known import known_paths
from registry.catalog.presence import set_missing, still_at
from registry.catalog.problems import replace_root_problems
from registry.catalog.roots import change_root, scanned_root, set_root_state
from registry.errors import Cancelled
from registry.ingest.beside import Beside, may_be_companion
from registry.ingest.derive import fold_inode, signed
from registry.ingest.entries import Entry, Files, Folder, RootGone, Scope, Trouble
from registry.ingest.known import KnownRows
from registry.ingest.paths import absolute, extension_suffixes, ignored, long_path, nested
from registry.ingest.pipeline import Engine, Met, Pipeline, ScanCounts, shown
from registry.ingest.sidecars import read_sidecars
from registry.ingest.walk import list_folder, walk
from registry.views import FileSeen, Note
from registry.wire.companions import MODEL_EXTENSIONS, PICKLE_EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.catalog.known import KnownFile
    from registry.views import RootView

__all__ = ["Engine", "ScanCounts", "scan_paths", "scan_root", "scope_of"]

_ASK_EVERY = 500
# So many files do not go at once unless their drive does; fewer may well have been cleared away.
_MANY = 10
# A root whose files keep everything but their inodes hands out new ones at each mount (SMB, FUSE).
_INODES_MIN = 2
_INODES_SHARE = 0.9


@dataclass(slots=True)
class _Scan:
    """One scan: `vanished` are (file id, path, time of its state) of rows that the walk did not meet."""

    engine: Engine
    root: RootView
    scope: Scope
    line: Pipeline
    vanished: list[tuple[int, bytes, int]] = field(default_factory=list)
    blind: list[bytes] = field(default_factory=list)
    compared: int = 0
    counts: ScanCounts = field(init=False)
    version: int = field(init=False)

    def __post_init__(self) -> None:
        self.counts = self.line.counts
        self.version = self.engine.derived_version


def scope_of(root: RootView, roots: Sequence[RootView]) -> Scope:
    """Return what a walk of a root covers; paths inside a nested root belong to that one."""
    paths = tuple(other.path for other in roots if other.path is not None)
    extensions = MODEL_EXTENSIONS + PICKLE_EXTENSIONS if root.pickles else MODEL_EXTENSIONS
    path = root.path or ""
    return Scope(path, tuple(extensions), paths, nested(path, paths), root.follow_out)


def scan_root(engine: Engine, root: RootView, roots: Sequence[RootView], *, under: bytes = b"") -> ScanCounts:
    """Bring the catalog in line with a root, or with its folder `under`; return what was found.

    A root that is gone, or empty at once, is marked unreachable and none of its files missing. Raises
    Cancelled and CatalogError; what was written until then stays.
    """
    started = time.monotonic()
    scan = _begin(engine, root, roots)
    try:
        _merge(scan, under)
        scan.line.finish()
    except RootGone as gone:
        scan.line.abandon()
        _lose(scan, str(gone))
        return scan.counts
    except BaseException:
        scan.line.abandon()
        raise
    if scan.counts.files == 0 and scan.vanished and _is_empty(root.path or ""):
        _lose(scan, "The folder of this root is empty; is a drive not mounted?")
    elif scan.counts.files == 0 and not under and len(scan.vanished) >= _MANY:
        # A mount point may hold a file of its own, and models may lie on a drive mounted below the root.
        _lose(scan, f"None of the {len(scan.vanished)} files of this root is there; is a drive not mounted?")
    elif scan.line.troubles and not Path(long_path(root.path or "")).is_dir():
        _lose(scan, "The folder of this root went away while its files were read.")
    else:
        _finish(scan, under, int((time.monotonic() - started) * 1000))
        scan.counts.problems += read_sidecars(engine, root, roots, under=under)
        engine.report(scan.counts)
    return scan.counts


def scan_paths(
    engine: Engine, root: RootView, roots: Sequence[RootView], entries: Sequence[Entry]
) -> ScanCounts:
    """Bring single files of a root into the catalog: as a scan would, without a walk."""
    scan = _begin(engine, root, roots)
    with engine.catalog.read() as conn:
        rows = known_paths(conn, root.id, [entry.rel for entry in entries])
        stored = companions_at(conn, root.id, list(rows))
    by_folder: dict[bytes, list[Entry]] = {}
    for entry in entries:
        by_folder.setdefault(entry.rel.rpartition(b"/")[0], []).append(entry)
    beside = Beside(lambda rel: stored.get(rel, frozenset()))
    try:
        for folder, files in sorted(by_folder.items()):
            beside.enter(list_folder(scan.scope, folder, may_be_companion))
            for entry in files:
                scan.counts.files += 1
                row = rows.get(entry.rel)
                if row is None:
                    scan.line.look(Met(_seen(entry, beside)))
                else:
                    _compare(scan, entry, row, beside)
        scan.line.finish()
    except BaseException:
        scan.line.abandon()
        raise
    with engine.catalog.write() as unit:
        paths = [shown(entry.rel) for entry in entries]
        replace_root_problems(unit, "scan", root.id, scan.line.troubles, paths=paths)
    scan.counts.problems += len(scan.line.troubles)
    scan.counts.problems += read_sidecars(engine, root, roots, [entry.rel for entry in entries])
    return scan.counts


def _begin(engine: Engine, root: RootView, roots: Sequence[RootView]) -> _Scan:
    return _Scan(engine, root, scope_of(root, roots), Pipeline(engine, root, roots))


def _is_empty(path: str) -> bool:
    """Whether there is nothing in a folder but what systems put there by themselves."""
    try:
        with os.scandir(os.fsencode(long_path(path))) as entries:
            return all(ignored(entry.name) for entry in entries)
    except OSError:
        return True


def _merge(scan: _Scan, under: bytes) -> None:
    """Walk and rows side by side, both in byte order of the relative path.

    Most files are untouched, and ten thousand of them take a twentieth of a second: hence files that follow
    one another are compared with their rows all at once, and only where that fails one by one.
    """
    any_inode = scan.root.ignore_inode
    rows = KnownRows(scan.engine.catalog, scan.root.id, under, scan.version, any_inode=any_inode)
    beside = Beside(rows.companions)
    asked = 0
    for item in walk(scan.scope, under=under, beside=may_be_companion, cancelled=scan.engine.cancelled):
        if type(item) is Files:
            count = len(item.quick)
            scan.counts.files += count
            if _untouched(item, rows, beside, any_inode=any_inode):
                rows.skip(count)
                scan.counts.unchanged += count
                scan.compared += count
            else:
                for entry in item.entries:
                    _meet(scan, entry, rows, beside)
            asked += count
            if asked >= _ASK_EVERY:
                asked = 0
                _ask(scan)
        elif type(item) is Folder:
            beside.enter(item)
        elif type(item) is Trouble:
            _trouble(scan, item)
    while (rel := rows.rel) is not None:
        _vanished(scan, rows.full(rel))
        rows.skip()


def _untouched(files: Files, rows: KnownRows, beside: Beside, *, any_inode: bool) -> bool:
    quick = [(*one[:3], 0) for one in files.quick] if any_inode else files.quick
    if files.placeholders or not rows.begin_with(quick):
        return False
    if not (beside.here or rows.have_companions):
        return True
    return not any(beside.differs(one[0]) for one in quick)


def _meet(scan: _Scan, entry: Entry, rows: KnownRows, beside: Beside) -> None:
    while (rel := rows.rel) is not None and rel < entry.rel:
        _vanished(scan, rows.full(rel))
        rows.skip()
    known = rows.full(entry.rel) if rel == entry.rel else None
    if known is None:
        scan.line.look(Met(_seen(entry, beside)))
    else:
        _compare(scan, entry, known, beside)
    if rel == entry.rel:
        rows.skip()


def _ask(scan: _Scan) -> None:
    scan.engine.report(scan.counts)
    if scan.engine.cancelled():
        raise Cancelled("the scan was stopped")


def _compare(scan: _Scan, entry: Entry, row: KnownFile, beside: Beside) -> None:
    scan.compared += 1
    same_content = entry.size == row.size and entry.mtime_ns == row.mtime_ns
    # An inode of 0 is one that is not known: of a root that was relocated, or of a file system without any.
    same_inode = scan.root.ignore_inode or row.inode in {0, fold_inode(entry.inode)}
    derived = entry.placeholder or row.derived_version == scan.version
    if not (same_content and same_inode and derived) or _fetched_or_sent_away(entry, row):
        scan.line.look(Met(_seen(entry, beside), row, only_inode=same_content and not same_inode))
        return
    if row.state == "present":
        scan.counts.unchanged += 1
        forgotten = row.inode == 0 and entry.inode != 0
        if not forgotten and not beside.differs(entry.rel):
            return
    scan.line.keep(_seen(entry, beside))


def _fetched_or_sent_away(entry: Entry, row: KnownFile) -> bool:
    """Whether a cloud placeholder became a file or the other way round, and that matters to us."""
    return row.hash_state == ("pending" if entry.placeholder else "skipped")


def _seen(entry: Entry, beside: Beside) -> FileSeen:
    return FileSeen(entry.rel, signed(entry.stat), beside.of(entry.rel), entry.placeholder)


def _trouble(scan: _Scan, trouble: Trouble) -> None:
    scan.line.troubles.append((shown(trouble.rel), Note(trouble.slug, trouble.text)))
    if trouble.slug == "unreadable-folder":
        scan.blind.append(trouble.rel + b"/" if trouble.rel else b"")


def _vanished(scan: _Scan, known: KnownFile | None) -> None:
    if known is not None and known.state != "missing" and not known.rel.startswith(tuple(scan.blind)):
        scan.vanished.append((known.id, known.rel, known.state_since))


def _is_back(scan: _Scan, rel: bytes) -> bool:
    """Whether a file is there after all, where the walk would have met it had it been there then."""
    if not rel.lower().endswith(extension_suffixes(scan.scope.extensions)):
        return False
    if any(rel.startswith(inner + b"/") for inner in scan.scope.skip):
        return False
    path = Path(long_path(absolute(scan.scope.root, rel)))
    try:
        # Below a symlinked folder the rules of the walk decide, and a rescan applies them.
        return stat.S_ISREG(path.lstat().st_mode) and path.resolve() == Path(
            absolute(os.path.realpath(scan.scope.root), rel)
        )
    except OSError:
        return False


def _lose(scan: _Scan, text: str) -> None:
    note = Note("root-unreachable", f"{text} Its files are kept and come back with it.")
    with scan.engine.catalog.write() as unit:
        set_root_state(unit, scan.root.id, "unreachable")
        replace_root_problems(unit, "root", scan.root.id, [(scan.root.path or "", note)])
        refresh_collisions(unit)
    scan.counts.unreachable = True
    scan.counts.problems += 1
    scan.engine.report(scan.counts)


def _finish(scan: _Scan, under: bytes, milliseconds: int) -> None:
    root_id, line = scan.root.id, scan.line
    gone = [row for row in scan.vanished if row[0] not in line.moves.claimed and not _is_back(scan, row[1])]
    with scan.engine.catalog.write() as unit:
        # The watcher may have moved or restored some of them meanwhile.
        line.counts.missing += set_missing(unit, still_at(unit, gone))
        replace_root_problems(unit, "scan", root_id, line.troubles, under=shown(under))
        if not under:
            set_root_state(unit, root_id, "ok")
            replace_root_problems(unit, "root", root_id, [])
            scanned_root(unit, root_id, milliseconds)
            if _inodes_are_new(scan):
                change_root(unit, root_id, ignore_inode=True)
        if line.counts.new or line.counts.moved or line.counts.restored or line.counts.missing:
            refresh_collisions(unit)
    line.counts.problems += len(line.troubles)
    scan.engine.report(line.counts)


def _inodes_are_new(scan: _Scan) -> bool:
    found = scan.line.inode_only
    return not scan.root.ignore_inode and found >= max(_INODES_MIN, _INODES_SHARE * scan.compared)
