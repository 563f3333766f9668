"""Open a file for reading so that nothing strange under its name can hang or lock anybody."""

from __future__ import annotations

import errno
import ntpath
import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from registry.errors import NotARegularFile, UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

LAST_TIME = (1 << 63) - 1
LONG_PATH = 248  # Windows refuses longer names of folders unless they are in the extended form
_WITH_EXTENDED_PREFIX = ("\\\\?\\", "\\\\.\\")


class FileStat(NamedTuple):
    """What tells one state of a file from another; sizes in bytes, times in nanoseconds."""

    size: int
    mtime_ns: int
    device: int
    inode: int
    nlink: int


def stat_open(descriptor: int) -> FileStat:
    """Return the state of an open file."""
    return _state(os.fstat(descriptor))


def stat_path(path: AnyPath) -> FileStat:
    """Return the state of what `path` leads to, links followed. Raises OSError."""
    return _state(Path(_system_name(path)).stat())


def _state(found: os.stat_result) -> FileStat:
    time = bounded_time(found.st_mtime_ns)
    return FileStat(found.st_size, time, found.st_dev, found.st_ino, found.st_nlink)


def bounded_time(nanoseconds: int) -> int:
    """Return a time that 64 bits can hold: archives set others, in years that nobody lives to see."""
    return min(max(nanoseconds, -LAST_TIME), LAST_TIME)


def display(path: AnyPath) -> str:
    """Return `path` as text for a message; bytes that are no text are kept as surrogates."""
    return os.fsdecode(path)


@contextmanager
def open_regular(path: AnyPath) -> Iterator[int]:
    """Open `path` for reading without blocking and yield its descriptor, which is closed in the end.

    The file may be renamed and deleted by others meanwhile, on Windows too. Raises NotARegularFile for
    folders, pipes, sockets and devices, UnreadableFile for everything else that cannot be opened.
    """
    try:
        descriptor = _open(path)
    except (OSError, ValueError) as error:
        raise _refusal(path, error) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotARegularFile(f"not a regular file: {display(path)}")
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def reading(path: AnyPath) -> Iterator[None]:
    """Turn what the operating system says of a failed read into UnreadableFile."""
    try:
        yield
    except OSError as error:
        raise UnreadableFile(f"cannot read {display(path)}: {error.strerror}") from error


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Return up to `size` bytes from `offset`, fewer only at the end of the file.

    The position of the descriptor may move.
    """
    pieces: list[bytes] = []
    while size > 0 and (piece := _pread(descriptor, size, offset)):
        pieces.append(piece)
        size -= len(piece)
        offset += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def extended_path(text: str) -> str:
    r"""Return a Windows path in the form that may be longer than 260 characters.

    `C:\x` becomes `\\?\C:\x` and `\\server\share` becomes `\\?\UNC\server\share`. `text` is absolute and
    normal already; device names are left alone (Microsoft, "Maximum Path Length Limitation").
    """
    if text.startswith(_WITH_EXTENDED_PREFIX):
        return text
    if text.startswith("\\\\"):
        return "\\\\?\\UNC\\" + text[2:]
    if ntpath.splitdrive(text)[0]:
        return "\\\\?\\" + text
    return text


def _refusal(path: AnyPath, error: OSError | ValueError) -> UnreadableFile:
    if isinstance(error, OSError):
        try:
            regular = stat.S_ISREG(Path(_system_name(path)).stat().st_mode)
        except OSError:
            regular = error.errno not in {errno.ENXIO, errno.EISDIR}
        if not regular:
            return NotARegularFile(f"not a regular file: {display(path)}")
        return UnreadableFile(f"cannot open {display(path)}: {error.strerror}")
    return UnreadableFile(f"cannot open {display(path)}: {error}")


if sys.platform == "win32":
    import ctypes
    import msvcrt

    _GENERIC_READ = 0x80000000
    _SHARE_ALL = 0x1 | 0x2 | 0x4  # read, write, delete: a reader must not keep others from renaming
    _OPEN_EXISTING = 3
    _SEQUENTIAL_SCAN = 0x08000000
    _INVALID_HANDLE = ctypes.c_void_p(-1).value
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.CreateFileW.restype = ctypes.c_void_p
    _kernel32.CreateFileW.argtypes = (
        ctypes.c_wchar_p,
        ctypes.c_uint32,
        ctypes.c_uint32,
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_uint32,
        ctypes.c_void_p,
    )
    _kernel32.CloseHandle.argtypes = (ctypes.c_void_p,)

    def _system_name(path: AnyPath) -> str:
        name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - resolve() would follow links
        return extended_path(name) if len(name) >= LONG_PATH else name

    def _open(path: AnyPath) -> int:
        handle = _kernel32.CreateFileW(
            _system_name(path), _GENERIC_READ, _SHARE_ALL, None, _OPEN_EXISTING, _SEQUENTIAL_SCAN, None
        )
        if handle == _INVALID_HANDLE:
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            return msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY | os.O_NOINHERIT)
        except OSError:
            _kernel32.CloseHandle(handle)
            raise

    def _pread(descriptor: int, size: int, offset: int) -> bytes:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size)

else:
    _FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

    def _system_name(path: AnyPath) -> str:
        return os.fsdecode(path)

    def _open(path: AnyPath) -> int:
        return os.open(path, _FLAGS)

    def _pread(descriptor: int, size: int, offset: int) -> bytes:
        return os.pread(descriptor, size, offset)
