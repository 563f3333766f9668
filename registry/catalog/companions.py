"""The sidecars and previews noted beside files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit
    from registry.views import FileSeen

_TABLES = tables.TABLES
COMPANION, FILE = _TABLES["companion"], _TABLES["file"]


def any_companions(conn: Connection) -> bool:
    """Whether any file of the catalog has companions."""
    return conn.execute(select(COMPANION.c.file_id).limit(1)).first() is not None


def companions_between(
    conn: Connection, root_id: int, first: bytes, last: bytes
) -> dict[bytes, frozenset[bytes]]:
    """Return the raw names of the companions of a root's files from path `first` to `last`, by path."""
    query = _NAMES.where(FILE.c.root_id == root_id, FILE.c.path_raw >= first, FILE.c.path_raw <= last)
    return _grouped(conn.execute(query).all())


def companions_at(conn: Connection, root_id: int, rels: Sequence[bytes]) -> dict[bytes, frozenset[bytes]]:
    """Return the raw names of the companions of a root's files at these paths, by path."""
    found: list[tuple[bytes, bytes]] = []
    for part in in_chunks(rels):
        query = _NAMES.where(FILE.c.root_id == root_id, FILE.c.path_raw.in_(part))
        found += [(rel, name) for rel, name in conn.execute(query)]
    return _grouped(found)


_NAMES = select(FILE.c.path_raw, COMPANION.c.name_raw).join(FILE, FILE.c.id == COMPANION.c.file_id)


def _grouped(rows: Iterable[Sequence[bytes]]) -> dict[bytes, frozenset[bytes]]:
    found: dict[bytes, set[bytes]] = {}
    for rel, name in rows:
        found.setdefault(rel, set()).add(name)
    return {rel: frozenset(names) for rel, names in found.items()}


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
