"""The companions noted beside files, as a rescan compares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from registry.catalog import tables
from registry.catalog.keys import in_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_TABLES = tables.SQLModel.metadata.tables
COMPANION, FILE = _TABLES["companion"], _TABLES["file"]


def stored_companions(
    conn: Connection, root_id: int, under: bytes = b"", *, file_ids: Sequence[int] | None = None
) -> dict[int, frozenset[bytes]]:
    """Return the raw names of the companions of a root's files by file id, or of those below a folder, or of some."""
    query = (
        select(COMPANION.c.file_id, COMPANION.c.name_raw)
        .join(FILE, FILE.c.id == COMPANION.c.file_id)
        .where(FILE.c.root_id == root_id)
    )
    if under:
        query = query.where(FILE.c.path_raw > under + b"/", FILE.c.path_raw < under + b"0")
    parts = [query] if file_ids is None else [query.where(FILE.c.id.in_(part)) for part in in_chunks(file_ids)]
    found: dict[int, set[bytes]] = {}
    for part in parts:
        for file_id, name in conn.execute(part):
            found.setdefault(file_id, set()).add(name)
    return {file_id: frozenset(names) for file_id, names in found.items()}
