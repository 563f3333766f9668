"""The digests of files, as they are stored: one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from registry.catalog import tables
from registry.catalog.keys import in_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

DIGEST = tables.TABLES["digest"]


def stored_digests(conn: Connection, file_ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """Return the digests of those files that have any, by file id and then by name in its order."""
    found: dict[int, dict[str, str]] = {}
    for part in in_chunks(file_ids):
        query = select(DIGEST.c.file_id, DIGEST.c.kind, DIGEST.c.value).where(DIGEST.c.file_id.in_(part))
        for file_id, kind, value in conn.execute(query.order_by(DIGEST.c.kind)):
            found.setdefault(file_id, {})[kind] = value
    return found
