"""Known again: files at new paths that are rows of the catalog whose path leads elsewhere or nowhere now.

A file is known by inode, size and time together with its quick key, or by its quick key alone. Inodes and
times alone would not do: inodes are used again, and archives and copies set times as they like.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from registry.catalog.known import same_inode, same_quick_key
from registry.ingest.paths import absolute, long_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from registry.catalog.known import Candidate
    from registry.views import FileStat, RootView


class Newcomer(NamedTuple):
    """A file at a path that has no row; `quick_key` is `None` where it was not or cannot be read."""

    rel: bytes
    stat: FileStat
    quick_key: bytes | None


class Origin(NamedTuple):
    """The row that a file at a new path goes on from: `moved`, or another name of the same inode."""

    file_id: int
    moved: bool


class Moves:
    """Finds where the new files of one root come from; no row is given away twice."""

    def __init__(self, root: RootView, roots: Sequence[RootView]) -> None:
        self.claimed: set[int] = set()
        self._root = root
        self._roots = {one.id: one for one in roots}

    def origins(self, conn: Connection, files: Sequence[Newcomer]) -> dict[bytes, Origin]:
        """Return the origins of those files that are known, by their relative paths."""
        by_inode: Mapping[tuple[int, int, int, int], list[Candidate]] = {}
        if not self._root.ignore_inode:
            by_inode = same_inode(conn, [file.stat for file in files])
        by_key = same_quick_key(conn, [file.quick_key for file in files if file.quick_key is not None])
        found = {}
        for file in files:
            stat = file.stat
            key = (stat.device, stat.inode, stat.size, stat.mtime_ns)
            linked = [one for one in by_inode.get(key, ()) if one.quick_key == file.quick_key]
            alike = by_key.get(file.quick_key, ()) if file.quick_key is not None else ()
            origin = self._choose(file, linked, alike)
            if origin is not None:
                found[file.rel] = origin
        return found

    def _choose(
        self, file: Newcomer, linked: Iterable[Candidate], alike: Iterable[Candidate]
    ) -> Origin | None:
        twin = None
        for candidate in linked:
            if self._is_gone(candidate, file.rel):
                return self._claim(candidate)
            if twin is None and candidate.state == "present":
                twin = Origin(candidate.id, moved=False)
        if twin is not None:
            return twin
        return next((self._claim(one) for one in alike if self._is_gone(one, file.rel)), None)

    def _claim(self, candidate: Candidate) -> Origin:
        self.claimed.add(candidate.id)
        return Origin(candidate.id, moved=True)

    def _is_gone(self, candidate: Candidate, rel: bytes) -> bool:
        """Whether a row's path leads to nothing now, or is the very path that was met, under another root."""
        if candidate.id in self.claimed or (candidate.root_id, candidate.rel) == (self._root.id, rel):
            return False
        root = self._roots.get(candidate.root_id)
        if root is None:  # it was removed
            return True
        if root.path is None:  # another machine knows
            return False
        old = absolute(root.path, candidate.rel)
        if old == absolute(self._root.path or "", rel):
            return True
        if root.id != self._root.id and (root.state != "ok" or not Path(long_path(root.path)).is_dir()):
            return False
        return not os.path.lexists(long_path(old))
