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
from bisect import bisect_left
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from registry.errors import Cancelled
from registry.hashing.opening import LAST_TIME, bounded_time
from registry.ingest.entries import Files, Folder, Item, Link, RootGone, Scope, Trouble
from registry.ingest.paths import absolute, extension_suffixes, ignored, ignored_path, long_path
from registry.ingest.platforms import NO_PLACEHOLDERS, is_junction, is_placeholder, stat_of
from registry.wire.companions import HIDDEN_STARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.catalog.known import Quick

MAX_DEPTH = 100  # folders below the root; real libraries have ten
MAX_PATH_BYTES = 4096  # of a relative path
_RUN = 1000  # files given together

_HIDDEN = tuple(map(os.fsencode, HIDDEN_STARTS))
_SEPARATOR = os.fsencode(os.sep)
_FORMAT, _REGULAR = 0o170000, stat.S_IFREG  # S_ISREG without the call


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
        files, _, names = _read(os.fsencode(long_path(absolute(scope.root, rel))), suffixes, beside)
    except OSError:
        files, names = [], []
    return _folder(rel, files, names, models=models)


# A name (a folder's with a slash behind it, as it sorts), its entry, and which of these it is: a plain file;
# a linked one, or a pipe, socket or device named like one; a folder; a linked folder.
_Found = tuple[bytes, os.DirEntry[bytes], int]
_PLAIN, _OTHER, _FOLDER, _LINK = range(4)


class _Frame(NamedTuple):
    """A folder in work: `prefix` and `path` end in a separator, `real` is set below a symlink only."""

    prefix: bytes
    path: bytes
    real: bytes | None
    parts: Iterator[list[_Found] | _Found]


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
            prefix, path, real, parts = stack[-1]
            for part in parts:
                if isinstance(part, list):
                    yield from self._files(prefix, part)
                    continue
                _, entry, kind = part
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
            files, folders, names = _read(path, self._suffixes, self._beside)
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
            yield _folder(rel, files, names)
        prefix = rel + b"/" if rel else b""
        stack.append(_Frame(prefix, os.path.join(path, b""), real, _parts(files, folders)))

    def _files(self, prefix: bytes, found: Sequence[_Found]) -> Iterator[Files | Trouble]:
        for start in range(0, len(found), _RUN):
            quick: list[Quick] = []
            stats: list[os.stat_result] = []
            linked: set[bytes] = set()
            for name, entry, kind in found[start : start + _RUN]:
                # Ten thousand of these take a twentieth of a second: no call for a plain file but its stat.
                rel = prefix + name
                try:
                    stat_found = stat_of(entry)
                except OSError as error:
                    if (trouble := _cannot_look(rel, entry, error)) is not None:
                        yield trouble
                    continue
                if kind != _PLAIN or stat_found.st_mode & _FORMAT != _REGULAR:
                    if (trouble := self._refused(rel, entry, stat_found)) is not None:
                        yield trouble
                        continue
                    if entry.is_symlink():
                        linked.add(rel)
                time = stat_found.st_mtime_ns
                if not -LAST_TIME <= time <= LAST_TIME:
                    time = bounded_time(time)
                quick.append((rel, stat_found.st_size, time, stat_found.st_ino))
                stats.append(stat_found)
            if quick:
                yield Files(quick, stats, frozenset(linked), _placeholders(quick, stats))

    def _refused(self, rel: bytes, entry: os.DirEntry[bytes], found: os.stat_result) -> Trouble | None:
        """Say why a file that is not plain is not listed, if it is not."""
        if not stat.S_ISREG(found.st_mode):
            return Trouble(
                "not-a-regular-file", rel, "A pipe, socket or device has the name of a model file."
            )
        if entry.is_symlink() and not self._allowed(real := _real(entry.path)):
            return _outside(rel, real)
        return None

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


def _cannot_look(rel: bytes, entry: os.DirEntry[bytes], error: OSError) -> Trouble | None:
    if entry.is_symlink():
        return Trouble("broken-symlink", rel, "A symlink leads to no file.")
    if isinstance(error, FileNotFoundError):
        return None
    return Trouble("unreadable-file", rel, f"The file cannot be looked at: {error.strerror}.")


def _placeholders(quick: list[Quick], stats: list[os.stat_result]) -> frozenset[bytes]:
    if NO_PLACEHOLDERS:
        return frozenset()
    return frozenset(one[0] for one, found in zip(quick, stats, strict=True) if is_placeholder(found))


def _read(
    path: bytes, suffixes: tuple[bytes, ...], beside: Callable[[str], bool] | None
) -> tuple[list[_Found], list[_Found], list[str]]:
    """Return the model files and the folders in a folder, each in byte order, and the names asked for."""
    files: list[_Found] = []
    folders: list[_Found] = []
    names: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(_HIDDEN):
                continue
            plain = entry.is_file(follow_symlinks=False)
            if not plain and (kind := _folder_kind(entry)):
                if not ignored(name):
                    folders.append((name + b"/", entry, kind))
            elif name.lower().endswith(suffixes):
                files.append((name, entry, _PLAIN if plain else _OTHER))
            elif beside is not None and beside(text := os.fsdecode(name)):
                names.append(text)
    files.sort(key=_KEY)
    folders.sort(key=_KEY)
    return files, folders, names


_KEY = itemgetter(0)


def _folder_kind(entry: os.DirEntry[bytes]) -> int:
    """Return which kind of folder an entry is, 0 if none."""
    if entry.is_dir(follow_symlinks=False):
        return _LINK if is_junction(entry) else _FOLDER
    return _LINK if entry.is_symlink() and _leads_to_folder(entry) else 0


def _parts(files: list[_Found], folders: list[_Found]) -> Iterator[list[_Found] | _Found]:
    """Yield both in one byte order, files that follow one another together."""
    start = 0
    for folder in folders:
        end = bisect_left(files, folder[0], start, key=_KEY)
        if end > start:
            yield files[start:end]
        start = end
        yield folder
    if start < len(files):
        yield files[start:]


def _folder(rel: bytes, files: list[_Found], names: list[str], *, models: bool = False) -> Folder:
    found = [os.fsdecode(name) for name, _, _ in files] if names or models else []
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
