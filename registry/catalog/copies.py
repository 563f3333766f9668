"""Which paths of equal files are one file: copies told apart from hard links and symlinks.

A file is known by machine, device and inode as its last scan saw them and, where its path can be looked at
from here, as they are now: a link may be younger than the scan, and only the disk tells symlinks from files.
Inodes of 0 and those of roots with `ignore_inode` tell nothing; such a file is known by its path alone.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_BITS = 1 << 64  # databases hold device and inode as signed numbers


@dataclass(frozen=True, slots=True)
class Link:
    """A path that is another name of a file: of `file_id`, if that is listed with it.

    A `symlink` is nothing without that file. Others (hard links, folders that are linked) are as good as it.
    """

    id: int
    file_id: int | None
    symlink: bool


class Stored(NamedTuple):
    """What the catalog knows of a path; `mount` is where this machine has its root."""

    id: int
    size: int
    machine_id: str
    device: int
    inode: int
    nlink: int
    path_raw: bytes
    mount: bytes | None
    ignore_inode: int


class _Name(NamedTuple):
    """A path as it is now; `file` is what it has in common with other paths of its file, if that is known."""

    id: int
    size: int
    file: tuple[str, int, int] | None
    nlink: int
    place: Path | None
    symlink: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """One file and all its paths, those first that lead through no link."""

    names: tuple[_Name, ...]

    @property
    def ids(self) -> list[int]:
        """The ids of its paths."""
        return [name.id for name in self.names]

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.names[0].size

    @property
    def real(self) -> bool:
        """Whether it is listed under a path of its own, and not through symlinks only."""
        return not self.names[0].symlink

    @property
    def goes_with_its_paths(self) -> bool:
        """Whether its bytes are free once its paths are deleted: no hard link elsewhere keeps them."""
        own = [name for name in self.names if not name.symlink]
        if not own or own[0].nlink <= 1:
            return bool(own)
        # Through a folder that is linked one hard link has two paths.
        return len({_real(name.place) or name.id for name in own}) >= own[0].nlink

    def links(self) -> list[Link]:
        """Return its paths that are links to it."""
        first, *others = self.names
        target = first.id if self.real else None
        return [Link(name.id, target, name.symlink) for name in (others if self.real else self.names)]


def copies(group: Sequence[Stored], machine_id: str) -> list[Copy]:
    """Return the distinct files among equal ones, as seen from a machine; the first is the one to keep.

    That is never a symlink. It is one that links elsewhere keep anyway, or that most links lead to.
    """
    names = sorted((_look_at(row, machine_id) for row in group), key=lambda name: name.symlink)
    files: dict[str | None, tuple[str, int, int]] = {}
    if any(name.file is None for name in names):
        files = {_real(name.place): name.file for name in names if name.file and name.place}
    found: dict[tuple[str, int, int] | str | int, list[_Name]] = {}
    for name in names:
        place = None if name.file else _real(name.place)
        found.setdefault(name.file or files.get(place) or place or name.id, []).append(name)
    made = [Copy(tuple(_own_first(each))) for each in found.values()]
    return sorted(made, key=lambda copy: (not copy.real, copy.goes_with_its_paths, -len(copy.names)))


def reclaimable(group: Sequence[Copy]) -> int:
    """Return how many bytes are free for sure once all copies but one are deleted under all their paths."""
    sizes = [copy.size for copy in group if copy.goes_with_its_paths]
    kept_anyway = any(copy.real and not copy.goes_with_its_paths for copy in group)
    return sum(sizes) - (0 if kept_anyway else max(sizes, default=0))


def _look_at(row: Stored, machine_id: str) -> _Name:
    known = row.inode != 0 and not row.ignore_inode
    stored = (row.machine_id, row.device % _BITS, row.inode % _BITS) if known else None
    name = _Name(row.id, row.size, stored, row.nlink, None, symlink=False)
    if row.mount is None:
        return name
    place = Path(os.fsdecode(row.mount)) / os.fsdecode(row.path_raw)
    try:
        name = name._replace(symlink=stat.S_ISLNK(place.lstat().st_mode), place=place)
        seen = place.stat()
    except OSError:  # gone since its last scan, or not to be looked at from here
        return name
    known = seen.st_ino != 0 and not row.ignore_inode
    now = (machine_id, seen.st_dev % _BITS, seen.st_ino % _BITS) if known else None
    return name._replace(file=now, nlink=seen.st_nlink)


def _own_first(names: list[_Name]) -> list[_Name]:
    if sum(not name.symlink for name in names) < 2:
        return names
    return sorted(names, key=lambda name: (name.symlink, _real(name.place) != str(name.place)))


def _real(place: Path | None) -> str | None:
    return None if place is None else os.path.realpath(place)
