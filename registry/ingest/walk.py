"""Walk a root and yield its model files in the byte order of their relative paths.

The order is exactly that of the bytes, so that a caller can merge the walk with rows ordered by path without
holding either. One `scandir` a folder, one `stat` a model file, none for anything else.

Symlinks: a linked folder is entered once. One that leads back into the root is left out, because the real
folder is listed under its own name (unless that name is ignored); of several that lead to one folder outside,
the first in byte order has it. A walk of a part of the root obeys the same rule, for the sake of which it
looks for links in the whole root first if it meets one. Linked files are listed like any other. What leads
out of every root is reported and only followed where the scope says so. Windows junctions count as symlinks.
"""

# ruff: noqa: PTH116, PTH118 - paths are bytes here, which pathlib does not take

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from registry.errors import Cancelled, NotFound
from registry.ingest.paths import absolute, extension_suffixes, ignored, ignored_path, long_path
from registry.wire.companions import HIDDEN_STARTS, MODEL_EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_DEPTH = 100  # folders below the root; real libraries have ten
MAX_PATH_BYTES = 4096  # of a relative path

_HIDDEN = tuple(map(os.fsencode, HIDDEN_STARTS))
_SEPARATOR = os.fsencode(os.sep)

# Files of a cloud folder whose bytes are not here: winnt.h FILE_ATTRIBUTE_OFFLINE, RECALL_ON_OPEN and
# RECALL_ON_DATA_ACCESS; sys/stat.h of macOS SF_DATALESS.
_WINDOWS_PLACEHOLDER = 0x00001000 | 0x00040000 | 0x00400000
_MACOS_PLACEHOLDER = 0x40000000
_JUNCTION = 0xA0000003  # winnt.h IO_REPARSE_TAG_MOUNT_POINT


class RootGone(NotFound):
    """The folder of a root is not there, or was replaced meanwhile: nothing is known of its files."""


class Entry(NamedTuple):
    """A model file; `size` in bytes, `device`, `inode` and `nlink` those of a symlink's target.

    `placeholder` marks a file whose bytes are in a cloud and would be fetched by reading them.
    """

    rel: bytes
    size: int
    mtime_ns: int
    device: int
    inode: int
    nlink: int
    symlink: bool
    placeholder: bool


# A named tuple without the call in Python that fills one: there is one for each file of each scan.
_entry: Callable[[tuple[bytes, int, int, int, int, int, bool, bool]], Entry] = partial(tuple.__new__, Entry)


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


Item = Entry | Folder | Link | Trouble


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


def walk(
    scope: Scope,
    *,
    under: bytes = b"",
    beside: Callable[[str], bool] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Item]:
    """Yield the model files of a root, or of its folder `under`, in byte order of their relative paths.

    With `beside` each folder comes first as a `Folder` with the names of other files for which it is true.
    A linked folder comes as a `Link` before its content. A folder `under` that is not there yields nothing.
    Raises `RootGone` at once or, where the root goes away meanwhile, from the iteration, and `Cancelled` when
    `cancelled` says so.
    """
    return _Walk(scope, beside, cancelled).items(under)


def links(scope: Scope, under: bytes = b"") -> list[Link]:
    """Return the symlinked folders that a walk of the root or of `under` enters; raises `RootGone`."""
    return [item for item in _Walk(scope, None, None, files=False).items(under) if type(item) is Link]


def list_folder(scope: Scope, rel: bytes, beside: Callable[[str], bool], *, models: bool = False) -> Folder:
    """Return one folder as `walk` announces it; without any names if it cannot be listed.

    With `models` its models are named even if nothing lies beside them.
    """
    suffixes = extension_suffixes(scope.extensions)
    try:
        entries, names = _read(os.fsencode(long_path(absolute(scope.root, rel))), suffixes, beside)
    except OSError:
        entries, names = [], []
    return _folder(rel, entries, names, models=models)


class _Frame(NamedTuple):
    """A folder in work: `prefix` and `path` end in a separator, `real` is set below a symlink only."""

    prefix: bytes
    path: bytes
    real: bytes | None
    entries: Iterator[tuple[bytes, os.DirEntry[bytes], int]]


_FILE, _FOLDER, _LINK = range(3)


class _Walk:
    def __init__(
        self,
        scope: Scope,
        beside: Callable[[str], bool] | None,
        cancelled: Callable[[], bool] | None,
        *,
        files: bool = True,
    ) -> None:
        self._scope = scope
        self._beside = beside
        self._cancelled = cancelled
        self._suffixes = extension_suffixes(scope.extensions) if files else ()
        self._root = os.fsencode(long_path(scope.root))
        self._device = self._root_device()
        self._real_root = _real(self._root)
        self._real_roots = [self._real_root, *(_real(os.fsencode(root)) for root in scope.all_roots)]
        # The linked folders entered so far, and which path has each folder below one, by device and inode.
        self._followed: dict[bytes, bytes] = {}
        self._owners: dict[tuple[int, int], bytes] | None = None

    def items(self, under: bytes) -> Iterator[Item]:
        stack: list[_Frame] = []
        if not under:
            self._owners = {}
            yield from self._enter(stack, b"", self._root, None)
        elif (start := self._start(under)) is not None:
            yield from self._enter(stack, under, *start, link=under in self._followed)
        while stack:
            prefix, path, real, entries = stack[-1]
            for key, entry, kind in entries:
                if kind == _FILE:
                    if (item := self._file(prefix + key, entry)) is not None:
                        yield item
                    continue
                name = entry.name
                rel = prefix + name
                if name.lower().endswith(self._suffixes):
                    yield Trouble("not-a-regular-file", rel, "A folder is named like a model file.")
                below = None if real is None else os.path.join(real, name)
                if kind == _LINK:
                    below = _real(entry.path)
                    if not self._listed_itself(below) and not self._allowed(below):
                        yield _outside(rel, below)
                        continue
                yield from self._enter(stack, rel, path + name, below, link=kind == _LINK)
                break
            else:
                stack.pop()
        self._require_root()

    def _start(self, under: bytes) -> tuple[bytes, bytes | None] | None:
        """Return the path of a folder of the root and, if a symlink leads to it, its real path."""
        skip = self._scope.skip
        if ignored_path(under) or any(under == inner or under.startswith(inner + b"/") for inner in skip):
            return None
        path = os.fsencode(long_path(absolute(self._scope.root, under)))
        real = _real(path)
        if real == os.path.join(self._real_root, under.replace(b"/", _SEPARATOR)):
            return path, None
        self._look_for_links()
        for linked in sorted(self._followed, key=len, reverse=True):
            if under == linked or under.startswith(linked + b"/"):
                rest = under[len(linked) + 1 :].replace(b"/", _SEPARATOR)
                straight = os.path.join(self._followed[linked], rest) if rest else self._followed[linked]
                return (path, real) if real == straight else None
        return None

    def _enter(
        self, stack: list[_Frame], rel: bytes, path: bytes, real: bytes | None, *, link: bool = False
    ) -> Iterator[Item]:
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("the walk of a root was stopped")
        if rel in self._scope.skip:
            return
        if len(rel) > MAX_PATH_BYTES or rel.count(b"/") >= MAX_DEPTH:
            yield Trouble("unreadable-folder", rel, "The folder lies too deep to be listed.")
            return
        try:
            if real is not None and (self._listed_itself(real) or not self._owns(rel, path)):
                return
            entries, names = _read(path, self._suffixes, self._beside)
        except (FileNotFoundError, NotADirectoryError):
            self._require_root()
            return
        except OSError as error:
            self._require_root()
            yield Trouble("unreadable-folder", rel, f"The folder cannot be listed: {error.strerror}.")
            return
        if link and real is not None:
            self._followed[rel] = real
            yield Link(rel, os.fsdecode(real))
        if self._beside is not None:
            yield _folder(rel, entries, names)
        stack.append(_Frame(rel + b"/" if rel else b"", os.path.join(path, b""), real, iter(entries)))

    def _file(self, rel: bytes, entry: os.DirEntry[bytes]) -> Entry | Trouble | None:
        linked = entry.is_symlink()
        try:
            found = _stat(entry)
        except OSError as error:
            if linked:
                return Trouble("broken-symlink", rel, "A symlink leads to no file.")
            if isinstance(error, FileNotFoundError):
                return None
            return Trouble("unreadable-file", rel, f"The file cannot be looked at: {error.strerror}.")
        if not stat.S_ISREG(found.st_mode):
            return Trouble(
                "not-a-regular-file", rel, "A pipe, socket or device has the name of a model file."
            )
        if linked and not self._allowed(real := _real(entry.path)):
            return _outside(rel, real)
        return _entry(
            (
                rel,
                found.st_size,
                found.st_mtime_ns,
                found.st_dev,
                found.st_ino,
                found.st_nlink,
                linked,
                is_placeholder(found),
            )
        )

    def _allowed(self, real: bytes) -> bool:
        return self._scope.follow_out or any(_inside(real, root) for root in self._real_roots)

    def _listed_itself(self, real: bytes) -> bool:
        """Whether a real path below a symlink is a folder of this root that is listed under its own name."""
        if not _inside(real, self._real_root):
            return False
        rest = real[len(self._real_root) :].strip(_SEPARATOR)
        return not any(ignored(part) for part in rest.split(_SEPARATOR) if part)

    def _owns(self, rel: bytes, path: bytes) -> bool:
        """Whether a folder below a symlink is listed at `rel`, and not at an earlier path to it."""
        found = os.stat(path)
        if self._owners is None:
            self._look_for_links()
        owners = self._owners if self._owners is not None else {}
        return owners.setdefault((found.st_dev, found.st_ino), rel) == rel

    def _look_for_links(self) -> None:
        whole = _Walk(self._scope, None, self._cancelled, files=False)
        for _ in whole.items(b""):
            pass
        self._followed, self._owners = whole._followed, whole._owners

    def _root_device(self) -> int:
        try:
            found = os.stat(self._root)
        except OSError as error:
            raise RootGone(f"the folder {self._scope.root!r} cannot be reached: {error.strerror}") from error
        if not stat.S_ISDIR(found.st_mode):
            raise RootGone(f"{self._scope.root!r} is not a folder")
        return found.st_dev

    def _require_root(self) -> None:
        # The device alone: shares and FUSE may give the same folder another inode whenever they like.
        if self._root_device() != self._device:
            raise RootGone(f"the folder {self._scope.root!r} was replaced while it was walked")


_Listed = list[tuple[bytes, os.DirEntry[bytes], int]]


def _read(
    path: bytes, suffixes: tuple[bytes, ...], beside: Callable[[str], bool] | None
) -> tuple[_Listed, list[str]]:
    found: _Listed = []
    names: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(_HIDDEN):
                continue
            if entry.is_dir(follow_symlinks=False):
                if not ignored(name):
                    found.append((name + b"/", entry, _LINK if _is_junction(entry) else _FOLDER))
            elif entry.is_symlink() and _leads_to_folder(entry):
                if not ignored(name):
                    found.append((name + b"/", entry, _LINK))
            elif name.lower().endswith(suffixes):
                found.append((name, entry, _FILE))
            elif beside is not None and beside(text := os.fsdecode(name)):
                names.append(text)
    found.sort(key=_KEY)
    return found, names


_KEY = itemgetter(0)


def _folder(rel: bytes, entries: _Listed, names: list[str], *, models: bool = False) -> Folder:
    wanted = names or models
    found = [os.fsdecode(key) for key, _, kind in entries if kind == _FILE] if wanted else []
    return Folder(rel, tuple(names), tuple(found))


def _outside(rel: bytes, real: bytes) -> Trouble:
    return Trouble("symlink-outside", rel, f"A symlink leads out of all roots, to {os.fsdecode(real)!r}.")


def _real(path: bytes) -> bytes:
    return os.path.realpath(path)


def _inside(path: bytes, folder: bytes) -> bool:
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(os.path.join(folder, b""))


def _leads_to_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of symlinks, or a target that may not be looked at
        return False


if sys.platform == "win32":

    def _stat(entry: os.DirEntry[bytes]) -> os.stat_result:
        return os.stat(entry.path)  # what scandir knows has no inode there

    def _is_junction(entry: os.DirEntry[bytes]) -> bool:
        return entry.stat(follow_symlinks=False).st_reparse_tag == _JUNCTION

    def is_placeholder(found: os.stat_result) -> bool:
        """Whether reading a file would fetch it from a cloud."""
        return bool(found.st_file_attributes & _WINDOWS_PLACEHOLDER)

else:
    _stat = os.DirEntry.stat

    def _is_junction(entry: os.DirEntry[bytes]) -> bool:
        del entry
        return False

    if sys.platform == "darwin":

        def is_placeholder(found: os.stat_result) -> bool:
            """Whether reading a file would fetch it from a cloud."""
            return bool(found.st_flags & _MACOS_PLACEHOLDER)

    else:

        def is_placeholder(found: os.stat_result) -> bool:
            """Whether reading a file would fetch it from a cloud: there are no such files here."""
            del found
            return False
