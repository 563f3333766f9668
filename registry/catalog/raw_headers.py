"""The metadata of headers as they stand, for tools that show them so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from registry.catalog import tables
from registry.formats.packing import unpack_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

FILE, HEADER = tables.TABLES["file"], tables.TABLES["header"]


class RawHeader(NamedTuple):
    """The metadata of a header in its order, nothing parsed, and how many bytes the whole header has."""

    metadata: Mapping[str, str]
    length: int


def raw_header(conn: Connection, file_id: int) -> RawHeader | None:
    """Return the header of a file; `None` where it has none that can be read."""
    query = (
        select(HEADER.c.metadata_packed, HEADER.c.length)
        .join(FILE, FILE.c.header_id == HEADER.c.id)
        .where(FILE.c.id == file_id)
    )
    row = conn.execute(query).first()
    return None if row is None else RawHeader(unpack_metadata(row.metadata_packed), row.length)
