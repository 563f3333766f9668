"""Sidecars into the catalog: those that are new or have changed are read in child processes and stored."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from registry.catalog.sidecars import SidecarRead, sidecars_after, sidecars_at, write_sidecars
from registry.errors import Cancelled, ReaderFailed
from registry.ingest.paths import absolute, long_path
from registry.ingest.sidecar_reading import SIDECAR_RULES, Answered, Asked, read_chunk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.catalog.sidecars import SidecarSeen
    from registry.ingest.pipeline import Engine
    from registry.views import RootView

_BATCH: Final = 2000
_CHUNK: Final = 100
_DIED: Final = "the process that read it stopped; it may be hostile, or the machine short of memory"


def read_sidecars(engine: Engine, root: RootView, rels: Sequence[bytes] | None = None) -> int:
    """Read the sidecars of a root, or those beside some of its files, that are not as they were read last.

    Returns how many of those are bad. Raises Cancelled; what was stored until then stays.
    """
    bad = 0
    within = None if root.follow_out else os.path.realpath(root.path or "")
    for batch in _batches(engine, root, rels):
        if engine.cancelled():
            raise Cancelled("the reading of sidecars was stopped")
        paths = ((one, _path(root, one)) for one in batch)
        due = [(one, Asked(path, one.family, within)) for one, path in paths if _is_due(one, path)]
        for start in range(0, len(due), _CHUNK):
            bad += _read(engine, root, due[start : start + _CHUNK])
    return bad


def _is_due(seen: SidecarSeen, path: str) -> bool:
    """Whether a sidecar is not as it was read last; one that is gone is noticed by the next scan."""
    try:
        found = os.stat(path)  # noqa: PTH116 - the path may hold bytes that are no text
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return (seen.size, seen.mtime_ns, seen.rules) != (found.st_size, found.st_mtime_ns, SIDECAR_RULES)


def _read(engine: Engine, root: RootView, due: Sequence[tuple[SidecarSeen, Asked]]) -> int:
    """Read and store some sidecars; return how many are bad."""
    answers = _answers(engine, [asked for _, asked in due])
    read = [
        SidecarRead(seen, *answer)
        for (seen, _), answer in zip(due, answers, strict=True)
        if answer is not None
    ]
    if read:
        with engine.catalog.write() as unit:
            write_sidecars(unit, root.id, read, SIDECAR_RULES)
    return sum(one.problem is not None for one in read)


def _batches(engine: Engine, root: RootView, rels: Sequence[bytes] | None) -> Iterator[list[SidecarSeen]]:
    if rels is not None:
        with engine.catalog.read() as conn:
            found = sidecars_at(conn, root.id, rels)
        yield from (found[start : start + _BATCH] for start in range(0, len(found), _BATCH))
        return
    after = 0
    while True:
        with engine.catalog.read() as conn:
            found = sidecars_after(conn, root.id, after, _BATCH)
        if not found:
            return
        yield found
        after = found[-1].file_id


def _path(root: RootView, seen: SidecarSeen) -> str:
    folder, _, _ = seen.rel.rpartition(b"/")
    rel = folder + b"/" + seen.name_raw if folder else seen.name_raw
    return long_path(absolute(root.path or "", rel))


def _answers(engine: Engine, asked: Sequence[Asked]) -> list[Answered | None]:
    """Return the answers to a batch; a sidecar that kills its reader is found by asking one by one."""
    try:
        return engine.deriver.call(read_chunk, asked, engine.cancelled)
    except ReaderFailed:
        if len(asked) == 1:
            return [Answered(*_stamp(asked[0].path), problem=_DIED)]
        return [answer for one in asked for answer in _answers(engine, [one])]


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - the path may hold bytes that are no text
    except OSError:
        return 0, -1
    return found.st_size, found.st_mtime_ns
