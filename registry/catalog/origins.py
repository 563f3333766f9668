"""Which loras are versions or models of a service, by their numbers there, and what it said of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.catalog.remote import raw_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, Select, Table

_TABLES = tables.TABLES
MATCH, VERSION, MODEL, DIGEST, FILE = (
    _TABLES[name] for name in ("remote_match", "remote_version", "remote_model", "digest", "file")
)


class Origin(NamedTuple):
    """A lora that has a file of a version, and the model of that, if it is known."""

    lora_id: int
    version_id: int
    model_id: int | None


class Holder(NamedTuple):
    """A file that has a SHA-256, and its lora."""

    sha256: str
    file_id: int
    lora_id: int


def of_loras(lora_ids: Sequence[int]) -> ColumnElement[bool]:
    """Mean the files of these loras, for `listed_among`; at most as many as fit one statement."""
    return FILE.c.lora_id.in_(list(lora_ids))


def origins_by_version(conn: Connection, version_ids: Iterable[int]) -> list[Origin]:
    """Return the loras that have files of these versions."""
    return _origins(conn, VERSION.c.id, version_ids)


def origins_by_model(conn: Connection, model_ids: Iterable[int]) -> list[Origin]:
    """Return the loras that have files of any version of these models."""
    return _origins(conn, VERSION.c.model_id, model_ids)


def holders_of(conn: Connection, sha256s: Sequence[str]) -> list[Holder]:
    """Return the files that have these SHA-256, the oldest first."""
    found: list[Holder] = []
    query = select(DIGEST.c.value, FILE.c.id, FILE.c.lora_id).join(FILE, FILE.c.id == DIGEST.c.file_id)
    for part in in_chunks(sha256s):
        where = DIGEST.c.value.in_(part) & (DIGEST.c.kind == "sha256")
        found += [Holder(*row) for row in conn.execute(query.where(where))]
    return sorted(found, key=lambda one: one.file_id)


def sent_versions(conn: Connection, version_ids: Iterable[int], source: str) -> dict[int, object]:
    """Return the answers of a source to these versions as they were sent, parsed; those there are."""
    return _sent(conn, VERSION, version_ids, source)


def sent_models(conn: Connection, model_ids: Iterable[int], source: str) -> dict[int, object]:
    """Return the answers of a source to these models as they were sent, parsed; those there are."""
    return _sent(conn, MODEL, model_ids, source)


def _origins(conn: Connection, column: ColumnElement[Any], ids: Iterable[int]) -> list[Origin]:
    query = (
        select(FILE.c.lora_id, VERSION.c.id, VERSION.c.model_id)
        .select_from(VERSION)
        .join(MATCH, and_(MATCH.c.version_id == VERSION.c.id, MATCH.c.believed == 1))
        .join(DIGEST, and_(DIGEST.c.value == MATCH.c.sha256, DIGEST.c.kind == "sha256"))
        .join(FILE, FILE.c.id == DIGEST.c.file_id)
        .distinct()
    )
    return [
        Origin(*row)
        for part in in_chunks(sorted(set(ids)))
        for row in conn.execute(query.where(column.in_(part)))
    ]


def _sent(conn: Connection, table: Table, ids: Iterable[int], source: str) -> dict[int, object]:
    query: Select[Any] = select(table.c.id, table.c.raw).where(
        table.c.source == source, table.c.raw.is_not(None)
    )
    return {
        row.id: raw_of(row)
        for part in in_chunks(sorted(set(ids)))
        for row in conn.execute(query.where(table.c.id.in_(part)))
    }
