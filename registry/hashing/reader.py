"""Read files: the head for the header phase, the quick key, and one pass that feeds every digest."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3

from registry.errors import FileChanged, UnreadableFile
from registry.formats.safetensors import Header, header_span, parse
from registry.hashing.digests import AllDigests
from registry.hashing.onepass import Watcher, feed
from registry.hashing.opening import FileStat, display, open_regular, read_at, reading, stat_open, stat_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.hashing.opening import AnyPath
    from registry.views import Hashes

HEAD_SIZE = 128 * 1024
TAIL_SIZE = 64 * 1024
WORTH_THREADS = 16 * 1024 * 1024  # below it, starting threads costs more than they save


class Head(NamedTuple):
    """The first bytes of a file, the whole header among them, and the state the file was in."""

    data: bytes
    stat: FileStat


class QuickHead(NamedTuple):
    """As `Head`, and the quick key of the file (32 bytes) with the last 64 KiB it was made of."""

    data: bytes
    stat: FileStat
    quick_key: bytes
    tail: bytes


class HashedFile(NamedTuple):
    """Everything computed from one state of a file; `header` is never missing, its verdict may be bad."""

    hashes: Hashes
    header: Header
    stat: FileStat


def read_head(path: AnyPath) -> Head:
    """Read as much of the start of a file as `formats.safetensors.parse` needs.

    One read, a second one only for headers over 128 KiB. Raises UnreadableFile, NotARegularFile.
    """
    with open_regular(path) as descriptor:
        return head_of(descriptor, path)


def read_quick(path: AnyPath) -> QuickHead:
    """Read the head of a file and its last 64 KiB, and compute its quick key.

    Raises UnreadableFile, NotARegularFile.
    """
    with open_regular(path) as descriptor:
        data, state = head_of(descriptor, path)
        start = max(state.size - TAIL_SIZE, 0)
        if len(data) >= state.size:
            tail = data[start:]
        else:
            with reading(path):
                tail = read_at(descriptor, state.size - start, start)
        header = blake3(memoryview(data)[: header_span(data, state.size)]).digest()
        return QuickHead(data, state, quick_key(state.size, header, tail), tail)


def quick_key(size: int, header_digest: bytes, tail: bytes) -> bytes:
    """Return 32 bytes that files with the same contents share and others almost never.

    BLAKE3 over the size (u64, little-endian), the BLAKE3 digest of everything before the data section, and
    the last 64 KiB of the file (all of a shorter one).
    """
    return blake3(size.to_bytes(8, "little") + header_digest + tail).digest()


def hash_file(  # noqa: PLR0913 - each option is independent of the others and has a default
    path: AnyPath,
    *,
    progress: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    limit: Callable[[int], None] | None = None,
    expected: FileStat | None = None,
    attempts: int = 3,
    threads: int = 1,
) -> HashedFile:
    """Read a file once and compute every digest of `registry.hashing.digests`.

    `progress` gets the number of bytes read so far and starts over when the file must be read again; `limit`
    gets the length of each block and may sleep; `cancelled` is asked before each block. With `threads` more
    than one, the digests of a big file are computed side by side; they never differ by it. Memory stays
    within a few MiB, and the header.

    A file that changes meanwhile is read again, `attempts` times in all. Raises FileChanged after that, or at
    once if size or time are not those of `expected`; Cancelled, UnreadableFile, NotARegularFile.
    """
    watcher = Watcher(progress, limit, cancelled)
    for _ in range(attempts):
        result = _attempt(path, watcher, expected, threads)
        if result is not None:
            return result
    raise FileChanged(
        f"the file kept changing while it was read: {display(path)}",
        remedy="It is read again once it rests; a download or a copy may still be under way.",
    )


def _attempt(path: AnyPath, watcher: Watcher, expected: FileStat | None, threads: int) -> HashedFile | None:
    with open_regular(path) as descriptor:
        data, before = head_of(descriptor, path)
        if expected is not None and before[:2] != expected[:2]:
            raise FileChanged(f"the file changed since it was last seen: {display(path)}")
        header = parse(data, before.size)
        digests = AllDigests(before.size, header)
        lanes = digests.lanes(threads if before.size >= WORTH_THREADS else 1)
        with io.FileIO(descriptor, closefd=False) as file:

            def read_into(buffer: memoryview) -> int:
                with reading(path):
                    return file.readinto(buffer)

            file.seek(len(data))
            reached = feed(data, read_into, before.size, lanes, watcher)
        after = stat_open(descriptor)
        if reached < before.size or after[:2] != before[:2] or not _is_still_there(path, data, before):
            return None
    return HashedFile(digests.hashes(), header, after)


def head_of(descriptor: int, path: AnyPath) -> Head:
    """Return the head of an open file; raises UnreadableFile."""
    state = stat_open(descriptor)
    with reading(path):
        data = read_at(descriptor, min(HEAD_SIZE, state.size), 0)
        span = header_span(data, state.size)
        if span > len(data) == HEAD_SIZE:
            data += read_at(descriptor, span - len(data), len(data))
    return Head(data, state)


def _is_still_there(path: AnyPath, head: bytes, state: FileStat) -> bool:
    """Tell whether `path` still leads to what was read; another inode alone is judged by the head.

    Some network and user-space file systems hand out a new inode for each look.
    """
    try:
        now = stat_path(path)
        if now[:2] != state[:2]:
            return False
        if now.inode == state.inode:
            return True
        with open_regular(path) as descriptor:
            return read_at(descriptor, len(head), 0) == head
    except (OSError, UnreadableFile):
        return False
