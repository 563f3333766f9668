"""What the watcher says, carried out: single files are looked at, everything else is a scan of a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from registry.catalog.collisions import refresh_collisions
from registry.catalog.known import known_paths
from registry.catalog.presence import set_missing, still_at
from registry.hashing.opening import bounded_time
from registry.ingest.beside import may_be_companion
from registry.ingest.entries import Entry
from registry.ingest.paths import absolute, ignored_path, long_path, parent
from registry.ingest.platforms import is_placeholder
from registry.ingest.scanning import ScanCounts, scan_paths, scope_of
from registry.ingest.settle import Beside, Gone, Moved, Ready
from registry.ingest.walk import list_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from registry.ingest.scanning import Engine
    from registry.ingest.settle import Action
    from registry.views import RootView


def apply_actions(
    engine: Engine, root: RootView, roots: Sequence[RootView], actions: Iterable[Action]
) -> tuple[ScanCounts, list[bytes]]:
    """Carry out path actions of one root; return what changed and the folders that want a scan instead."""
    ready: dict[bytes, None] = {}
    gone: dict[bytes, None] = {}
    folders: dict[bytes, None] = {}
    for action in actions:
        match action:
            case Ready(rel):
                ready[rel] = None
            case Moved(old, new):
                ready[new] = None
                gone[old] = None
            case Gone(rel):
                gone[rel] = None
            case Beside(folder):
                ready.update(dict.fromkeys(_models_in(root, roots, folder)))
            case _:
                folders[action.folder] = None
    entries = []
    for rel in ready:
        entry = _look(root, rel)
        if entry is None:
            folders[parent(rel)] = None
        else:
            entries.append(entry)
    counts = ScanCounts()
    if entries:
        # What is new comes first, so that a row whose path is gone can go on as the file it became.
        counts.add(scan_paths(engine, root, roots, sorted(entries)))
    counts.missing += _note_gone(engine, root, list(gone), folders)
    if counts.new or counts.moved or counts.missing or counts.restored:
        with engine.catalog.write() as unit:
            refresh_collisions(unit)
    return counts, outermost(folders)


def _models_in(root: RootView, roots: Sequence[RootView], folder: bytes) -> list[bytes]:
    listed = list_folder(scope_of(root, roots), folder, may_be_companion, models=True)
    return [folder + b"/" + os.fsencode(name) if folder else os.fsencode(name) for name in listed.models]


def _look(root: RootView, rel: bytes) -> Entry | None:
    """Return a plain file; `None` for anything that needs the rules of a walk."""
    if ignored_path(rel):
        return None
    try:
        found = Path(long_path(absolute(root.path or "", rel))).lstat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Entry(
        rel,
        found.st_size,
        bounded_time(found.st_mtime_ns),
        found.st_ino,
        found.st_dev,
        found.st_nlink,
        symlink=False,
        placeholder=is_placeholder(found),
    )


def _note_gone(engine: Engine, root: RootView, rels: list[bytes], folders: dict[bytes, None]) -> int:
    """Mark files that are gone; when the whole root may be, leave the judgement to a scan."""
    if not rels:
        return 0
    try:
        with os.scandir(long_path(root.path or "")) as entries:
            empty = next(entries, None) is None
    except OSError:
        empty = True
    if empty:
        folders[b""] = None
        return 0
    with engine.catalog.read() as conn:
        rows = known_paths(conn, root.id, rels)
    lost = [row for rel, row in rows.items() if row.state != "missing" and not _is_file(root, rel)]
    if not lost:
        return 0
    with engine.catalog.write() as unit:
        return set_missing(unit, still_at(unit, [(row.id, row.rel, row.state_since) for row in lost]))


def _is_file(root: RootView, rel: bytes) -> bool:
    """Whether a path leads to a file, as far as can be seen: what may not be looked at counts as one."""
    try:
        return stat.S_ISREG(Path(long_path(absolute(root.path or "", rel))).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def outermost(folders: Iterable[bytes]) -> list[bytes]:
    """Return folders without those that lie in another one of them, in byte order of their content."""
    kept: list[bytes] = []
    for folder in sorted(folders, key=_content):
        if not kept or not _content(folder).startswith(_content(kept[-1])):
            kept.append(folder)
    return kept


def _content(folder: bytes) -> bytes:
    return folder + b"/" if folder else b""
