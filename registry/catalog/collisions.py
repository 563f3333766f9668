"""Names that several files share: pickers that know files by name alone show only one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks

if TYPE_CHECKING:
    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
FILE, PROBLEM = _TABLES["file"], _TABLES["problem"]
SLUG = "name-collision"
_TEXT = "Other files are called {name!r} too: A1111 and its kin list one of them only. Rename all but one."


def refresh_collisions(unit: Unit) -> int:
    """Make the problem rows about shared names those of the present files; return how many there are."""
    shared = (
        select(FILE.c.name).where(FILE.c.state == "present").group_by(FILE.c.name).having(func.count() > 1)
    )
    query = select(FILE.c.id, FILE.c.name, FILE.c.path, FILE.c.root_id).where(
        FILE.c.state == "present", FILE.c.name.in_(shared)
    )
    wanted = {row.id: row for row in unit.conn.execute(query)}
    known = set(unit.conn.execute(select(PROBLEM.c.file_id).where(PROBLEM.c.slug == SLUG)).scalars())
    gone, new = sorted(known - wanted.keys()), sorted(wanted.keys() - known)
    for part in in_chunks(gone):
        unit.conn.execute(delete(PROBLEM).where(PROBLEM.c.slug == SLUG, PROBLEM.c.file_id.in_(part)))
    rows = [
        {
            "scope": f"file:{file_id}",
            "file_id": file_id,
            "root_id": wanted[file_id].root_id,
            "path": wanted[file_id].path,
            "slug": SLUG,
            "text": _TEXT.format(name=wanted[file_id].name[:200]),
            "stage": "names",
            "at": unit.now,
        }
        for file_id in new
    ]
    unit.insert(PROBLEM, rows)
    for part in in_chunks(gone + new):
        for lora_id in unit.conn.execute(select(FILE.c.lora_id).where(FILE.c.id.in_(part))).scalars():
            unit.changed("lora", lora_id, "changed", lora_id=lora_id)
    return len(wanted)
