"""Reading sidecars, as worker processes do it: what is small enough is decoded and shaped for the catalog.

Imports only formats, wire and what the header phase has already, so that a worker starts fast and is small.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.formats.nsfw import highest_of
from registry.formats.packing import clean_text, pack_json
from registry.hashing.opening import LAST_TIME, bounded_time
from registry.ingest.derive import fold_inode
from registry.ingest.paths import windows_short_path
from registry.ingest.platforms import is_placeholder
from registry.told import SidecarAnswer
from registry.wire.sidecars import MAX_SIDECAR, BadSidecar, read_sidecar

if TYPE_CHECKING:
    from collections.abc import Sequence

SIDECAR_RULES: Final = 2
"""Raise it when sidecars are understood better: they are then read again."""
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_OUTSIDE: Final = "it is a link to outside of its root and all others"
_FAULT: Final = "it could not be understood, which is a fault of ours; please report it"


class Asked(NamedTuple):
    """A sidecar to look at; a link is followed into the folders `within` only, `None` for anywhere.

    The folders are real paths.
    """

    path: str
    family: str
    within: tuple[str, ...] | None = None


class Stamp(NamedTuple):
    """What `stat` says of a file, folded to the 64 bits that databases hold."""

    size: int
    mtime_ns: int
    inode: int


UNSEEN: Final = Stamp(0, -1, 0)
"""Differs from that of any file, so that a sidecar is tried again at each scan."""


def stamp_of(found: os.stat_result) -> Stamp:
    """Return the stamp of a file; a time that does not fit becomes the last or first one that does."""
    return Stamp(min(found.st_size, LAST_TIME), bounded_time(found.st_mtime_ns), fold_inode(found.st_ino))


def read_chunk(asked: Sequence[Asked]) -> list[SidecarAnswer | None]:
    """Return what each sidecar says; `None` for those that are gone, or lie in a cloud."""
    return [read_one(one) for one in asked]


def read_one(asked: Asked) -> SidecarAnswer | None:
    """Return what a sidecar says, as `read_chunk` does."""
    try:
        found = os.stat(asked.path)  # noqa: PTH116 - the path may hold bytes that are no text
        if is_placeholder(found):
            return None
        if not stat.S_ISREG(found.st_mode):
            return SidecarAnswer(*stamp_of(found))
        return _content(asked)
    except (FileNotFoundError, NotADirectoryError):
        # The next scan notices.
        return None
    except OSError as error:
        return SidecarAnswer(*UNSEEN, problem=f"it cannot be read: {error.strerror or error}", keeps=True)


def _content(asked: Asked) -> SidecarAnswer | None:
    """Return what a file says, `None` if its path leads elsewhere as soon as it is open; raises OSError."""
    descriptor = os.open(asked.path, _FLAGS)
    try:
        found = os.fstat(descriptor)
        stamp = stamp_of(found)
        if not stat.S_ISREG(found.st_mode):
            return SidecarAnswer(*stamp)
        if asked.within is not None:
            # Asked of what is open, as a link may be changed at any time.
            real = os.path.realpath(asked.path)
            if not os.path.samestat(os.stat(real), found):  # noqa: PTH116 - as above
                return None
            if not any(_inside(real, folder) for folder in asked.within):
                return SidecarAnswer(*stamp, problem=_OUTSIDE)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_SIDECAR + 1)
    finally:
        os.close(descriptor)
    answer = _understood(asked.family, stamp, data)
    return answer if len(data) > MAX_SIDECAR else answer._replace(sha256=hashlib.sha256(data).digest())


def _understood(family: str, stamp: Stamp, data: bytes) -> SidecarAnswer:
    try:
        facts = read_sidecar(family, data)
        if facts is None:
            return SidecarAnswer(*stamp)
        images = zlib.compress(pack_json(facts.images)) if facts.images else None
        level = highest_of(image.nsfw_level for image in facts.images)
        packed = pack_json(replace(facts, images=(), images_level=level))
        return SidecarAnswer(*stamp, facts.tool, packed, images)
    except BadSidecar as error:
        return SidecarAnswer(*stamp, problem=clean_text(str(error)))
    except Exception:  # noqa: BLE001 - a stranger's file must never end the work on others
        return SidecarAnswer(*stamp, problem=_FAULT)


def _inside(path: str, folder: str) -> bool:
    path, folder = (os.path.normcase(windows_short_path(one)) for one in (path, folder))
    return path.startswith(os.path.join(folder, ""))  # noqa: PTH118 - as above
