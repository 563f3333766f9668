"""Files beside which sidecars of other tools may be written, with all that is known of each, by the batch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from registry.catalog import tables
from registry.catalog.entries import Listed, entries_of
from registry.catalog.keys import in_chunks
from registry.catalog.remote import raw_of
from registry.formats.packing import unpack_metadata
from registry.outgoing import Outgoing
from registry.wire.companions import PREVIEW, pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Row, Table

    from registry.catalog.tag_lists import TagNames
    from registry.shown import Entry

_TABLES = tables.TABLES
FILE, HEADER, COMPANION, VERSION, MODEL = (
    _TABLES[name] for name in ("file", "header", "companion", "remote_version", "remote_model")
)
# Answers of other services have shapes of their own, which no tool keeps.
_SOURCE = "civitai"


class Placed(NamedTuple):
    """A present file as a scan found it: its path below its root, its size and time."""

    file_id: int
    lora_id: int
    root_id: int
    rel: bytes
    path: str
    size: int
    mtime_ns: int

    @property
    def file_name(self) -> str:
        """The name of the file as the system spells it."""
        return os.fsdecode(self.rel.rpartition(b"/")[2])


class Laden(NamedTuple):
    """A file with what is told of it; what is large stays packed until it is asked for."""

    placed: Placed
    entry: Entry
    beside: tuple[str, ...]
    metadata: bytes | None
    version: Row[Any] | None
    model: Row[Any] | None

    def outgoing(self, path: str, now: int) -> Outgoing:
        """Return all that may be written of the file, whose absolute path this is."""
        entry, name = self.entry, self.placed.file_name
        companions = pair(self.beside, [name]).get(name, ())
        previews = (one.file_name for one in companions if one.kind == PREVIEW)
        return Outgoing(
            shown=entry.shown,
            file_name=name,
            path=path,
            size=entry.size,
            modified=entry.modified,
            now=now,
            kind=entry.kind,
            architecture=entry.architecture,
            hashes=entry.hashes,
            metadata={} if self.metadata is None else unpack_metadata(self.metadata),
            version_raw=_answer(self.version),
            model_raw=_answer(self.model),
            version=entry.version,
            model=entry.model,
            preview=next(previews, None),
            beside=frozenset(self.beside),
        )


def placed_files(conn: Connection, lora_ids: Sequence[int]) -> list[Placed]:
    """Return the present files of loras, by lora in their order, then by root and path."""
    query = select(
        FILE.c.id, FILE.c.lora_id, FILE.c.root_id, FILE.c.path_raw, FILE.c.path, FILE.c.size, FILE.c.mtime_ns
    ).where(FILE.c.state == "present")
    found: dict[int, list[Placed]] = {}
    for part in in_chunks(lora_ids):
        rows = conn.execute(query.where(FILE.c.lora_id.in_(part)).order_by(FILE.c.root_id, FILE.c.path_raw))
        for row in rows:
            found.setdefault(row.lora_id, []).append(Placed(*row))
    return [placed for lora_id in dict.fromkeys(lora_ids) for placed in found.get(lora_id, ())]


def laden_files(conn: Connection, files: Sequence[Placed], names: TagNames | None = None) -> list[Laden]:
    """Return files with all that is told of them; those that are gone meanwhile are left out.

    Callers that read more than one batch keep `names` between them.
    """
    listed = [Listed(one.file_id, one.lora_id, 0, one.path, "lora", "unknown") for one in files]
    entries = {entry.file_id: entry for entry in entries_of(conn, listed, names=names)}
    beside, metadata = _beside(conn, list(entries)), _metadata(conn, list(entries))
    shown = [entry for entry in entries.values() if entry.version is not None]
    versions = _answers(conn, VERSION, (entry.shown.version_id for entry in shown))
    models = _answers(conn, MODEL, (entry.shown.model_id for entry in shown))
    return [
        Laden(
            placed,
            entry,
            tuple(beside.get(placed.file_id, ())),
            metadata.get(placed.file_id),
            versions.get(entry.shown.version_id or 0) if entry.version is not None else None,
            models.get(entry.shown.model_id or 0) if entry.version is not None else None,
        )
        for placed in files
        if (entry := entries.get(placed.file_id)) is not None
    ]


def sharing_stems(conn: Connection, files: Sequence[Placed]) -> dict[int, str]:
    """Return which files have the stem of a present file of another lora in their folder, with its name.

    What tools keep by the stem alone is of both of them.
    """
    there: dict[tuple[int, str], list[tuple[int, bytes]]] = {}
    keys = FILE.alias("keys")
    # Any condition more, and SQLite looks at all files of a root in place of those of a name.
    query = select(FILE.c.root_id, FILE.c.path_raw, FILE.c.lora_id, FILE.c.state)
    for part in in_chunks([one.file_id for one in files]):
        named = query.where(FILE.c.name_key.in_(select(keys.c.name_key).where(keys.c.id.in_(part))))
        for root_id, rel, lora_id, state in conn.execute(named.order_by(FILE.c.id)):
            if state == "present":
                there.setdefault((root_id, _stem(rel)), []).append((lora_id, rel))
    found = {}
    for one in files:
        others = [
            rel for lora_id, rel in there.get((one.root_id, _stem(one.rel)), ()) if lora_id != one.lora_id
        ]
        if others:
            found[one.file_id] = os.fsdecode(others[0].rpartition(b"/")[2])
    return found


def _stem(rel: bytes) -> str:
    """Return a path without its ending, as the file systems of this machine compare paths."""
    return os.path.normcase(os.fsdecode(rel.rpartition(b".")[0]))


def _answer(row: Row[Any] | None) -> Mapping[str, object] | None:
    found = None if row is None else raw_of(row)
    return found if isinstance(found, dict) else None


def _answers(conn: Connection, table: Table, ids: Iterable[int | None]) -> dict[int, Row[Any]]:
    found: dict[int, Row[Any]] = {}
    query = select(table.c.id, table.c.raw).where(table.c.source == _SOURCE)
    for part in in_chunks(sorted({key for key in ids if key is not None})):
        rows: Iterable[Any] = conn.execute(query.where(table.c.id.in_(part)))
        found.update((row.id, row) for row in rows)
    return found


def _beside(conn: Connection, file_ids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    query = select(COMPANION.c.file_id, COMPANION.c.name_raw)
    for part in in_chunks(file_ids):
        for file_id, raw in conn.execute(query.where(COMPANION.c.file_id.in_(part))):
            found.setdefault(file_id, []).append(os.fsdecode(raw))
    return found


def _metadata(conn: Connection, file_ids: Sequence[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    query = select(FILE.c.id, HEADER.c.metadata_packed).join(HEADER, HEADER.c.id == FILE.c.header_id)
    for part in in_chunks(file_ids):
        found.update((file_id, packed) for file_id, packed in conn.execute(query.where(FILE.c.id.in_(part))))
    return found
