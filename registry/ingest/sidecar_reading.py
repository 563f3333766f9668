"""Reading sidecars, as worker processes do it: what is small enough is decoded and shaped for the catalog.

Imports only formats and wire, so that a worker starts fast and stays small.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.formats.packing import pack_json
from registry.ingest.platforms import is_placeholder
from registry.wire.sidecars import MAX_SIDECAR, BadSidecar, read_sidecar

if TYPE_CHECKING:
    from collections.abc import Sequence

SIDECAR_RULES: Final = 1
"""Raise it when sidecars are understood better: they are then read again."""
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Asked(NamedTuple):
    """A sidecar to look at; a link is followed within the folder `within` only, `None` for anywhere."""

    path: str
    family: str
    within: str | None = None


class Answered(NamedTuple):
    """What a sidecar says: the tool that wrote it and packed facts, or what is wrong with it."""

    size: int
    mtime_ns: int
    tool: str | None = None
    facts: bytes | None = None
    problem: str | None = None


def read_chunk(asked: Sequence[Asked]) -> list[Answered | None]:
    """Return what each sidecar says; `None` for those that are gone, are no files, or lie in a cloud."""
    return [_read(one) for one in asked]


def _read(asked: Asked) -> Answered | None:
    try:
        found = os.stat(asked.path)  # noqa: PTH116 - the path may hold bytes that are no text
        if is_placeholder(found) or not stat.S_ISREG(found.st_mode):
            return None
        return _content(asked, found.st_size, found.st_mtime_ns)
    except FileNotFoundError:
        # The next scan notices.
        return None
    except OSError as error:
        # Tried again at each scan: a time that no file has differs from any.
        return Answered(0, -1, problem=f"it cannot be read: {error.strerror or error}")


def _content(asked: Asked, size: int, mtime_ns: int) -> Answered:
    """Return what a sidecar says; raises OSError."""
    if asked.within is not None and _leads_out(asked.path, asked.within):
        return Answered(size, mtime_ns, problem="it is a link to outside of its root")
    try:
        facts = read_sidecar(asked.family, _bytes(asked.path))
    except BadSidecar as error:
        return Answered(size, mtime_ns, problem=str(error))
    return (
        Answered(size, mtime_ns) if facts is None else Answered(size, mtime_ns, facts.tool, pack_json(facts))
    )


def _leads_out(path: str, within: str) -> bool:
    """Whether a path is itself a link whose end does not lie in a folder."""
    if not os.path.islink(path):  # noqa: PTH114 - as above
        return False
    end = os.path.realpath(path)
    return not end.startswith(within.rstrip(os.sep) + os.sep)


def _bytes(path: str) -> bytes:
    descriptor = os.open(path, _FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_SIDECAR + 1)
