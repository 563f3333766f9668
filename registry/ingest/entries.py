"""What a walk of a root covers, and the things it meets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from registry.errors import NotFound
from registry.views import FileStat
from registry.wire.companions import MODEL_EXTENSIONS

if TYPE_CHECKING:
    import os

    from registry.catalog.known import Quick


class RootGone(NotFound):
    """The folder of a root is not there, or was replaced meanwhile: nothing is known of its files."""


class Entry(NamedTuple):
    """A model file; `size` in bytes, `device`, `inode` and `nlink` those of a symlink's target.

    `placeholder` marks a file whose bytes are in a cloud and would be fetched by reading them.
    """

    rel: bytes
    size: int
    mtime_ns: int
    inode: int
    device: int
    nlink: int
    symlink: bool
    placeholder: bool

    @property
    def stat(self) -> FileStat:
        """What `stat` says of the file."""
        return FileStat(self.size, self.mtime_ns, self.device, self.inode, self.nlink)


class Files(NamedTuple):
    """Model files of one folder that follow one another in byte order: what tells each untouched, its stat.

    `linked` are the paths of those that symlinks lead to, `placeholders` of those whose bytes are in a cloud.
    """

    quick: list[Quick]
    stats: list[os.stat_result]
    linked: frozenset[bytes] = frozenset()
    placeholders: frozenset[bytes] = frozenset()

    @property
    def entries(self) -> list[Entry]:
        """All that is known of each file; most are untouched, and nobody asks."""
        return [
            Entry(
                *quick, found.st_dev, found.st_nlink, quick[0] in self.linked, quick[0] in self.placeholders
            )
            for quick, found in zip(self.quick, self.stats, strict=True)
        ]


class Folder(NamedTuple):
    """A folder that is about to be listed: the names that the caller asked for, in no order, and its models.

    `models` stay empty where there are no such names.
    """

    rel: bytes
    names: tuple[str, ...]
    models: tuple[str, ...] = ()


class Link(NamedTuple):
    """A symlinked folder that the walk enters, and the real path it leads to."""

    rel: bytes
    target: str


class Trouble(NamedTuple):
    """Something at `rel` that was not listed: a stable `slug` and a sentence for a person.

    After `unreadable-folder` nothing is known of what lies below `rel`: files there are not missing.
    """

    slug: str
    rel: bytes
    text: str


Item = Files | Folder | Link | Trouble


@dataclass(frozen=True, slots=True)
class Scope:
    """What a walk of a root covers.

    `root` is canonical, `extensions` are lower-case with their dot, `all_roots` are the roots that symlinks
    may lead into, `skip` the relative paths of roots nested in this one, `follow_out` allows links that lead
    out of all roots.
    """

    root: str
    extensions: tuple[str, ...] = MODEL_EXTENSIONS
    all_roots: tuple[str, ...] = ()
    skip: frozenset[bytes] = frozenset()
    follow_out: bool = False
