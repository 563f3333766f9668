"""What the watcher says, carried out: single files are looked at, everything else is a scan of a folder."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from registry.catalog.collisions import refresh_collisions
from registry.catalog.ingesting import known_paths
from registry.catalog.presence import set_missing
from registry.ingest.paths import absolute, ignored_path, parent
from registry.ingest.scanning import ScanCounts, scan_paths
from registry.ingest.settle import Gone, Moved, Ready
from registry.ingest.walk import Entry, is_placeholder

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
            case Ready(rel) | Moved(_, rel):
                ready[rel] = None
            case Gone(rel):
                gone[rel] = None
            case _:
                folders[action.folder] = None
    counts = ScanCounts()
    entries = []
    for rel in ready:
        entry = _look(root, rel)
        if entry is None:
            folders[parent(rel)] = None
        else:
            entries.append(entry)
    if entries:
        counts.add(scan_paths(engine, root, roots, sorted(entries)))
    counts.missing += _note_gone(engine, root, list(gone), folders)
    if counts.new or counts.moved or counts.missing or counts.restored:
        with engine.catalog.write() as unit:
            refresh_collisions(unit)
    return counts, _outermost(folders)


def _look(root: RootView, rel: bytes) -> Entry | None:
    """Return a plain file; `None` for anything that needs the rules of a walk."""
    if ignored_path(rel):
        return None
    try:
        found = os.lstat(absolute(root.path or "", rel))
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Entry(
        rel,
        found.st_size,
        found.st_mtime_ns,
        found.st_dev,
        found.st_ino,
        found.st_nlink,
        symlink=False,
        placeholder=is_placeholder(found),
    )


def _note_gone(engine: Engine, root: RootView, rels: list[bytes], folders: dict[bytes, None]) -> int:
    """Mark files that are gone; when the whole root may be, leave the judgement to a scan."""
    if not rels:
        return 0
    try:
        with os.scandir(root.path or "") as entries:
            empty = next(entries, None) is None
    except OSError:
        empty = True
    if empty:
        folders[b""] = None
        return 0
    with engine.catalog.read() as conn:
        rows = known_paths(conn, root.id, rels)
    ids = [row.id for rel, row in rows.items() if not os.path.lexists(absolute(root.path or "", rel))]
    with engine.catalog.write() as unit:
        return set_missing(unit, ids)


def _outermost(folders: Iterable[bytes]) -> list[bytes]:
    """Drop folders that lie in another one of the list."""
    kept: list[bytes] = []
    for folder in sorted(folders):
        if not any(not outer or folder == outer or folder.startswith(outer + b"/") for outer in kept):
            kept.append(folder)
    return kept

