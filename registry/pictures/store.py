"""Where pictures are kept: under the SHA-256 of their original, so that each is there once.

::

    ab/ab12....webp        the thumbnail
    ab/ab12....orig.png    the original, where it is kept too, with the extension of its sniffed type
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.errors import BadRequest, PicturesFull, RegistryError
from registry.pictures.sniff import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from registry.pictures.picture import Picture

_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SHELF: Final = re.compile(r"[0-9a-f]{2}", re.ASCII)
_TEMPORARY: Final = ".new"
_FULL: Final = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
# Links are never followed, pipes never waited for.
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class Original(NamedTuple):
    """An original that was kept, to be sent with its `media_type` and `nosniff`."""

    path: Path
    media_type: str


class PictureStore:
    """Pictures in a folder, which take at most `limit_bytes` together, 0 for no limit.

    May be used by several threads. Each process counts what itself added since it looked at the folder first
    or asked for `size`.
    """

    def __init__(self, folder: Path, limit_bytes: int = 0) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._used: int | None = None
        self._lock = threading.Lock()

    def put(self, original: bytes, picture: Picture, *, keep_original: bool = False) -> str:
        """Keep the thumbnail of a picture, and its original if asked; return the key.

        What is there already stays as it is. Raises PicturesFull where it does not fit, RegistryError where
        the folder cannot be written.
        """
        key = hashlib.sha256(original).hexdigest()
        wanted: dict[Path, bytes] = {}
        if picture.thumbnail is not None:
            wanted[self._thumbnail(key)] = picture.thumbnail
        if keep_original:
            wanted[self._original(key, picture.kind.extension)] = original
        with self._lock, _writing(self._folder):
            missing = {path: data for path, data in wanted.items() if self._found(path) is None}
            self._refuse_beyond_limit(sum(map(len, missing.values())))
            for path, data in missing.items():
                self._write(path, data)
        return key

    def thumbnail(self, key: str) -> bytes | None:
        """Return a thumbnail as WebP, `None` if there is none. Raises BadRequest for what is no key."""
        path = self._thumbnail(key)
        if self._found(path) is None:
            return None
        try:
            with os.fdopen(os.open(path, _FLAGS), "rb") as file:
                return file.read()
        except OSError:
            return None

    def has(self, key: str) -> bool:
        """Tell whether a thumbnail is there. Raises BadRequest for what is no key."""
        return self._found(self._thumbnail(key)) is not None

    def original(self, key: str) -> Original | None:
        """Return where an original is, `None` if it was not kept. Raises BadRequest for what is no key."""
        for extension, kind in KINDS.items():
            path = self._original(key, extension)
            if self._found(path) is not None:
                return Original(path, kind.media_type)
        return None

    def size(self) -> int:
        """Return how many bytes all pictures take, counted anew."""
        with self._lock:
            self._used = sum(size for _, size, _ in self._files())
            return self._used

    def remove(self, keys: Iterable[str]) -> int:
        """Remove pictures with their originals and return how many bytes that freed.

        Raises BadRequest if one is no key, before anything is removed.
        """
        paths = [path for key in keys for path in self._all(key)]
        with self._lock:
            return sum(self._remove(path) for path in paths)

    def sweep(self, before: float) -> int:
        """Remove what writers left that were killed before a time, in seconds since the epoch.

        Return how many bytes that freed.
        """
        with self._lock:
            left = [path for path, _, time in self._files() if path.suffix == _TEMPORARY and time < before]
            return sum(self._remove(path) for path in left)

    def _shelf(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise BadRequest("that is no key of a picture: 64 digits of lower-case hex")
        return self._folder / key[:2]

    def _thumbnail(self, key: str) -> Path:
        return self._shelf(key) / f"{key}.webp"

    def _original(self, key: str, extension: str) -> Path:
        return self._shelf(key) / f"{key}.orig.{extension}"

    def _all(self, key: str) -> list[Path]:
        return [self._thumbnail(key), *(self._original(key, extension) for extension in KINDS)]

    @staticmethod
    def _found(path: Path) -> int | None:
        """Return the size of a file that is there; links, and what is behind links, are not."""
        try:
            shelf, found = path.parent.lstat(), path.lstat()
        except OSError:
            return None
        return found.st_size if stat.S_ISDIR(shelf.st_mode) and stat.S_ISREG(found.st_mode) else None

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        """Give path, size and time of each file."""
        for shelf in _listed(self._folder):
            if not _SHELF.fullmatch(shelf.name) or not shelf.is_dir(follow_symlinks=False):
                continue
            for entry in _listed(shelf.path):
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode):
                        yield Path(entry.path), found.st_size, found.st_mtime

    def _refuse_beyond_limit(self, more: int) -> None:
        if self._used is None:
            self._used = sum(size for _, size, _ in self._files())
        if more and self._limit and self._used + more > self._limit:
            raise PicturesFull(
                f"the pictures take {self._used:,} bytes, {more:,} more would pass the limit of"
                f" {self._limit:,}",
                remedy="raise the limit, keep thumbnails only, or forget pictures that nobody needs",
            )

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file as a whole or not at all; raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if not stat.S_ISDIR(path.parent.lstat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "a link is no place for pictures", str(path.parent))
        descriptor, name = tempfile.mkstemp(_TEMPORARY, "", path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
        _fsync_folder(path.parent)
        self._used = (self._used or 0) + len(data)

    def _remove(self, path: Path) -> int:
        """Remove a file and return its size, 0 if it is not there."""
        size = self._found(path)
        if size is None:
            return 0
        with suppress(FileNotFoundError), _writing(self._folder):
            path.unlink()
        if self._used is not None:
            self._used = max(0, self._used - size)
        return size


def _listed(folder: str | Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder, nothing where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn what the operating system says of a failed write into our errors."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise PicturesFull("the disk is full", remedy=f"make room on the disk of {folder}") from error
        raise RegistryError(
            f"pictures cannot be kept: {error.strerror or error}", remedy=f"see that {folder} can be written"
        ) from error


def _fsync_folder(folder: Path) -> None:
    # Windows has no such thing, and some network shares refuse it.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
