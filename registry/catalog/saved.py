"""Searches that are saved under a name, for everybody: the text of a query, whatever it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from registry.catalog import tables
from registry.catalog.keys import MAX_KEY, fold
from registry.errors import BadRequest, Conflict, NotFound
from registry.formats.packing import clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit

SAVED = tables.TABLES["saved_search"]
MOST = 1000
"""So many searches can be saved."""
LONGEST_NAME = 100
LONGEST_QUERY = 10_000


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A query under its name; `actor` changed it last, `None` if nobody said who."""

    id: int
    name: str
    query: str
    created_at: int
    changed_at: int
    actor: str | None


# The fields of a SavedSearch.
_COLUMNS = (
    SAVED.c.id,
    SAVED.c.name,
    SAVED.c.query,
    SAVED.c.created_at,
    SAVED.c.changed_at,
    SAVED.c.actor,
)


def list_saved(conn: Connection) -> list[SavedSearch]:
    """Return all saved searches by name."""
    return [_view(row) for row in conn.execute(select(*_COLUMNS).order_by(SAVED.c.name_key))]


def get_saved(conn: Connection, name: str) -> SavedSearch:
    """Return the search of that name, upper or lower case; NotFound if there is none."""
    found = _find(conn, name)
    if found is None:
        raise NotFound(f"there is no saved search called {name[:LONGEST_NAME]!r}")
    return found


def put_saved(unit: Unit, name: str, query: str) -> bool:
    """Save a query under a name, in place of what was saved under it; return whether the name is new.

    Raises BadRequest for a name that cannot be one and for a query of more than 10,000 characters, Conflict
    when there are 1,000 saved searches already.
    """
    name, query = name.strip(), clean_text(query)
    key = fold(name)
    # A key that was cut off could be that of another name.
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or len(key) >= MAX_KEY:
        raise BadRequest(f"a saved search needs a name of up to {LONGEST_NAME} printable characters")
    if len(query) > LONGEST_QUERY:
        raise BadRequest(f"a query has at most {LONGEST_QUERY:,} characters")
    known = _find(unit.conn, name)
    values = {"name": name, "query": query, "changed_at": unit.now, "actor": unit.actor}
    if known is not None:
        if (known.name, known.query) != (name, query):
            unit.conn.execute(update(SAVED).where(SAVED.c.id == known.id).values(values))
            unit.changed("saved", known.id, "changed")
        return False
    if unit.conn.execute(select(func.count()).select_from(SAVED)).scalar_one() >= MOST:
        raise Conflict(f"there are {MOST:,} saved searches already", remedy="delete some first")
    (saved_id,) = unit.allocate("saved_search", 1)
    unit.conn.execute(insert(SAVED).values(id=saved_id, name_key=key, created_at=unit.now, **values))
    unit.changed("saved", saved_id, "added")
    return True


def delete_saved(unit: Unit, name: str) -> None:
    """Forget the search of that name, upper or lower case; NotFound if there is none."""
    saved = get_saved(unit.conn, name)
    unit.conn.execute(delete(SAVED).where(SAVED.c.id == saved.id))
    unit.changed("saved", saved.id, "removed")


def _find(conn: Connection, name: str) -> SavedSearch | None:
    row = conn.execute(select(*_COLUMNS).where(SAVED.c.name_key == fold(name.strip()))).first()
    return None if row is None else _view(row)


def _view(row: Sequence[Any]) -> SavedSearch:
    return SavedSearch(*row)
