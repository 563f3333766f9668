"""The sidecars and previews noted beside files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit
    from registry.views import FileSeen

_TABLES = tables.TABLES
COMPANION, FILE = _TABLES["companion"], _TABLES["file"]


def stored_companions(
    conn: Connection, root_id: int, under: bytes = b"", *, file_ids: Sequence[int] | None = None
) -> dict[int, frozenset[bytes]]:
    """Return the raw names of companions by file id: of a root, of a folder in it, or of some files."""
    query = (
        select(COMPANION.c.file_id, COMPANION.c.name_raw)
        .join(FILE, FILE.c.id == COMPANION.c.file_id)
        .where(FILE.c.root_id == root_id)
    )
    if under:
        query = query.where(FILE.c.path_raw > under + b"/", FILE.c.path_raw < under + b"0")
    parts = (
        [query] if file_ids is None else [query.where(FILE.c.id.in_(part)) for part in in_chunks(file_ids)]
    )
    found: dict[int, set[bytes]] = {}
    for part in parts:
        for file_id, name in conn.execute(part):
            found.setdefault(file_id, set()).add(name)
    return {file_id: frozenset(names) for file_id, names in found.items()}


def write_companions(unit: Unit, found: Sequence[tuple[int, FileSeen]]) -> list[int]:
    """Make the companions of these files exactly those seen; return the files for which that is news."""
    wanted = {
        file_id: {(c.name, c.name_raw, c.kind, c.family) for c in seen.companions or ()}
        for file_id, seen in found
    }
    known: dict[int, set[tuple[str, bytes, str, str]]] = {}
    for part in in_chunks(list(wanted)):
        query = select(COMPANION).where(COMPANION.c.file_id.in_(part))
        for row in unit.conn.execute(query):
            known.setdefault(row.file_id, set()).add((row.name, row.name_raw, row.kind, row.family))
    differing = [file_id for file_id, names in wanted.items() if names != known.get(file_id, set())]
    for part in in_chunks([file_id for file_id in differing if file_id in known]):
        unit.conn.execute(delete(COMPANION).where(COMPANION.c.file_id.in_(part)))
    rows = [
        {"file_id": file_id, "name": name, "name_raw": raw, "kind": kind, "family": family}
        for file_id in differing
        for name, raw, kind, family in sorted(wanted[file_id])
    ]
    unit.insert(COMPANION, rows)
    return differing
