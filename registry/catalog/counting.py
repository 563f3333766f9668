"""How much there is, and how new it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from registry.catalog import tables
from registry.catalog.changes import pruned_to

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TABLES = tables.TABLES
CHANGE, FILE, LORA, ROOT = (_TABLES[name] for name in ("change", "file", "lora", "root"))


class Stamp(NamedTuple):
    """The generation of the catalog and when it began, 0 where that is forgotten.

    The time tells apart two generations of one number, as a restored backup has them.
    """

    generation: int
    at: int


def stamp(conn: Connection) -> Stamp:
    """Return what the answers of this moment are valid for."""
    newest = conn.execute(select(CHANGE.c.seq, CHANGE.c.at).order_by(CHANGE.c.seq.desc()).limit(1)).first()
    return Stamp(pruned_to(conn), 0) if newest is None else Stamp(newest.seq, newest.at)


def count_loras(conn: Connection) -> int:
    """Return how many loras have a present file."""
    return conn.execute(select(func.count()).select_from(LORA).where(LORA.c.files_present > 0)).scalar_one()


def count_files(conn: Connection) -> dict[str, int]:
    """Return how many files of the roots are in each state."""
    query = (
        select(FILE.c.state, func.count())
        .join(ROOT, ROOT.c.id == FILE.c.root_id)
        .where(ROOT.c.removed_at.is_(None))
        .group_by(FILE.c.state)
        .order_by(FILE.c.state)
    )
    return dict(conn.execute(query).all())
