"""Sidecars into the catalog: those that are new or have changed are read in child processes and stored."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.catalog.companions import any_companions
from registry.catalog.sidecars import SidecarRead, sidecars_after, sidecars_at, write_sidecars
from registry.errors import Cancelled, CatalogBusy, CatalogFull, ReaderFailed
from registry.ingest.paths import absolute, long_path
from registry.ingest.platforms import is_placeholder
from registry.ingest.sidecar_reading import (
    SIDECAR_RULES,
    UNSEEN,
    Asked,
    Stamp,
    read_chunk,
    read_one,
    stamp_of,
)
from registry.told import SidecarAnswer
from registry.wire.sidecars import MAX_SIDECAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from registry.catalog.sidecars import SidecarSeen
    from registry.ingest.pipeline import Engine
    from registry.views import RootView

_BATCH: Final = 2000
_CHUNK: Final = 100
_CHUNK_BYTES: Final = 8 * 1024 * 1024
_DIED: Final = "the process that read it stopped; it may be hostile, or the machine short of memory"
_NOT_STORED: Final = "it could not be stored, which is a fault of ours; please report it"


class _Due(NamedTuple):
    seen: SidecarSeen
    asked: Asked
    size: int


class _Reading(NamedTuple):
    """The reading of sidecars of one root, and what it goes by.

    `rules` depend on whether links may lead out, so that all are looked at again when that changes.
    """

    engine: Engine
    root: RootView
    within: tuple[str, ...] | None
    rules: int


def read_sidecars(
    engine: Engine,
    root: RootView,
    roots: Sequence[RootView],
    rels: Sequence[bytes] | None = None,
    *,
    under: bytes = b"",
) -> int:
    """Read the sidecars of a root, of its folder `under` or beside some files, that are not as they were.

    Returns how many of those are bad. Raises Cancelled; what was stored until then stays.
    """
    folders = [long_path(other.path) for other in (root, *roots) if other.path is not None]
    within = None if root.follow_out else tuple({os.path.realpath(folder) for folder in folders})
    reading = _Reading(engine, root, within, SIDECAR_RULES * 2 + root.follow_out)
    bad = 0
    for batch in _batches(engine, root, rels, under):
        for chunk in _chunks(due for seen in batch if (due := _due(reading, seen)) is not None):
            bad += _read(reading, chunk)
        _ask(engine)
    return bad


def _ask(engine: Engine) -> None:
    if engine.cancelled():
        raise Cancelled("the reading of sidecars was stopped")


def _batches(
    engine: Engine, root: RootView, rels: Sequence[bytes] | None, under: bytes
) -> Iterator[list[SidecarSeen]]:
    if rels is not None:
        with engine.catalog.read() as conn:
            found = sidecars_at(conn, root.id, rels)
        yield from (found[start : start + _BATCH] for start in range(0, len(found), _BATCH))
        return
    with engine.catalog.read() as conn:
        if not any_companions(conn):
            return
    after, before = (under + b"/", under + b"0") if under else (b"", None)
    while True:
        with engine.catalog.read() as conn:
            found = sidecars_after(conn, root.id, after, before, _BATCH)
        if not found:
            return
        yield found
        after = found[-1].rel


def _due(reading: _Reading, seen: SidecarSeen) -> _Due | None:
    """Return a sidecar that is not as it was read last; one that is gone is noticed by the next scan."""
    folder, _, _ = seen.rel.rpartition(b"/")
    rel = folder + b"/" + seen.name_raw if folder else seen.name_raw
    path = long_path(absolute(reading.root.path or "", rel))
    due = _Due(seen, Asked(path, seen.family, reading.within), 0)
    try:
        found = os.stat(path)  # noqa: PTH116 - the path may hold bytes that are no text
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return due
    if is_placeholder(found):
        return None
    stamp = stamp_of(found)
    same = (seen.size, seen.mtime_ns, seen.rules) == (stamp.size, stamp.mtime_ns, reading.rules)
    if same and (reading.root.ignore_inode or seen.inode in {0, stamp.inode}):
        return None
    return due._replace(size=min(stamp.size, MAX_SIDECAR))


def _chunks(due: Iterable[_Due]) -> Iterator[list[_Due]]:
    """Yield as many at once as are quick to read and fit into a little memory."""
    chunk: list[_Due] = []
    size = 0
    for one in due:
        if chunk and (len(chunk) == _CHUNK or size + one.size > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(one)
        size += one.size
    if chunk:
        yield chunk


def _read(reading: _Reading, chunk: Sequence[_Due]) -> int:
    """Read and store some sidecars; return how many are bad."""
    _ask(reading.engine)
    answers = _answers(reading.engine, [due.asked for due in chunk])
    if reading.root.ignore_inode:
        answers = [None if answer is None else answer._replace(inode=0) for answer in answers]
    read = [
        SidecarRead(due.seen, answer)
        for due, answer in zip(chunk, answers, strict=True)
        if answer is not None
    ]
    return sum(one.answer.problem is not None for one in _stored(reading, read))


def _answers(engine: Engine, asked: Sequence[Asked]) -> list[SidecarAnswer | None]:
    """Return the answers to a chunk; which sidecar kills its reader is found in a process of their own."""
    try:
        return engine.deriver.call(read_chunk, asked, engine.cancelled)
    except ReaderFailed:
        found = engine.deriver.alone(read_one, asked, engine.cancelled)
    return [
        SidecarAnswer(*_stamp(one.path), problem=_DIED, keeps=True)
        if isinstance(answer, ReaderFailed)
        else answer
        for one, answer in zip(asked, found, strict=True)
    ]


def _stamp(path: str) -> Stamp:
    try:
        return stamp_of(os.stat(path))  # noqa: PTH116 - the path may hold bytes that are no text
    except OSError:
        return UNSEEN


def _stored(reading: _Reading, read: Sequence[SidecarRead]) -> list[SidecarRead]:
    """Store what was read, and return it; one that cannot be stored becomes a problem of that one."""
    if not read:
        return []
    try:
        _write(reading, read)
    except (CatalogBusy, CatalogFull):
        raise
    except Exception:  # noqa: BLE001 - what one sidecar holds must never keep the others from being stored
        if len(read) > 1:
            return [stored for one in read for stored in _stored(reading, [one])]
        unsaid = SidecarAnswer(*read[0].answer[:3], problem=_NOT_STORED)
        unstored = read[0]._replace(answer=unsaid)
        _write(reading, [unstored])
        return [unstored]
    return list(read)


def _write(reading: _Reading, read: Sequence[SidecarRead]) -> None:
    with reading.engine.catalog.write() as unit:
        write_sidecars(unit, reading.root.id, read, reading.rules)
