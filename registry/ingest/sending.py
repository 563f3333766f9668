"""Open a model file to send it: only as it was when it was scanned, and only for as long as it stays so."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.errors import FileChanged, NotARegularFile, UnreadableFile
from registry.hashing.opening import open_regular, read_at, reading, stat_open
from registry.ingest.derive import fold_inode
from registry.ingest.paths import absolute, contains, long_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.catalog.sending import Sendable
    from registry.hashing.opening import FileStat

_RESCAN = "scan its root, then ask again"


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is open, and the state it was in; `close` it in the end."""

    descriptor: int
    state: FileStat
    path: str
    _closing: ExitStack

    def read(self, size: int, offset: int) -> bytes:
        """Return exactly `size` bytes from `offset`.

        Raises FileChanged if the file is no longer what it was when it was opened, UnreadableFile.
        """
        with reading(self.path):
            data = read_at(self.descriptor, size, offset)
            now = stat_open(self.descriptor)
        if len(data) != size or now[:2] != self.state[:2]:
            raise FileChanged(f"{self.path} changed while it was sent", remedy=_RESCAN)
        return data

    def close(self) -> None:
        """Close the file; once is enough."""
        self._closing.close()


def open_to_send(known: Sendable, roots: Sequence[str]) -> OpenFile:
    """Open a file of the catalog; `roots` are the paths of all roots on this machine.

    Raises FileChanged unless it is what was scanned: by size, time and inode, no link to outside of all roots
    where its root does not allow that. Raises UnreadableFile if it cannot be opened.
    """
    path = long_path(absolute(known.mount, known.rel))
    with ExitStack() as stack:
        try:
            descriptor = stack.enter_context(open_regular(path))
        except UnreadableFile as error:
            raise _refusal(known, error) from error
        with reading(known.path):
            state = stat_open(descriptor)
        same_inode = known.inode is None or known.inode == fold_inode(state.inode)
        if (state.size, state.mtime_ns) != (known.size, known.mtime_ns) or not same_inode:
            raise FileChanged(f"{known.path} changed since it was scanned", remedy=_RESCAN)
        if not known.follow_out and not _is_within(path, state, roots):
            raise FileChanged(f"{known.path} leads out of all roots", remedy=_RESCAN)
        closing = stack.pop_all()
    return OpenFile(descriptor, state, known.path, closing)


def _is_within(path: str, state: FileStat, roots: Sequence[str]) -> bool:
    real = os.path.realpath(path)
    try:
        found = os.stat(real)  # noqa: PTH116 - the path may hold bytes that are no text
    except OSError:
        return False
    # Asked of what is open, as a link may be changed at any time.
    if (found.st_dev, found.st_ino) != (state.device, state.inode):
        return False
    return any(contains(os.path.realpath(long_path(root)), real) for root in roots)


def _refusal(known: Sendable, error: UnreadableFile) -> UnreadableFile:
    """Return what to say of a file that cannot be opened, without the path of the root."""
    cause = error.__cause__
    if isinstance(error, NotARegularFile) or isinstance(cause, FileNotFoundError | NotADirectoryError):
        return FileChanged(f"{known.path} is gone since it was scanned", remedy=_RESCAN)
    why = cause.strerror if isinstance(cause, OSError) else None
    return UnreadableFile(f"{known.path} cannot be opened: {why or 'it is no name of a file'}")
