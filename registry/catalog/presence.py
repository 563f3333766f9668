"""Whether files are there: rows are marked, never deleted, when a path is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.catalog.links import tell_siblings_of
from registry.catalog.loras import refresh_loras

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.catalog.engine import Unit

FILE = tables.TABLES["file"]


def set_missing(unit: Unit, file_ids: Sequence[int], *, state: str = "missing") -> int:
    """Mark present or unreachable files as `missing` (or `unreachable`); return how many changed."""
    changed = 0
    for part in in_chunks(file_ids):
        where = FILE.c.id.in_(part) & (FILE.c.state != state)
        found = unit.conn.execute(select(FILE.c.id, FILE.c.lora_id).where(where)).all()
        loras = {row.lora_id for row in found}
        values = {"state": state, "state_since": unit.now}
        changed += unit.conn.execute(update(FILE).where(where).values(values)).rowcount
        refresh_loras(unit, loras)
        if state == "missing":
            tell_siblings_of(unit, [row.id for row in found])
        for lora_id in loras:
            unit.changed("lora", lora_id, "changed", lora_id=lora_id)
    return changed


def still_at(unit: Unit, found: Sequence[tuple[int, bytes, int]]) -> list[int]:
    """Return the ids of those (file id, path, time of its state) that nobody has changed meanwhile."""
    kept: list[int] = []
    expected = {file_id: (rel, since) for file_id, rel, since in found}
    for part in in_chunks(list(expected)):
        query = select(FILE.c.id, FILE.c.path_raw, FILE.c.state_since).where(FILE.c.id.in_(part))
        kept += [row[0] for row in unit.conn.execute(query) if tuple(row[1:]) == expected[row[0]]]
    return kept
