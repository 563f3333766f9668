"""Which files A1111's list calls by a name: that of the file, or the one that its header gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from registry.catalog import tables
from registry.catalog.finding import with_name
from registry.catalog.keys import CHUNK
from registry.formats.packing import clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Select

_TABLES = tables.TABLES
FILE, HEADER, ROOT = (_TABLES[name] for name in ("file", "header", "root"))


def files_called(conn: Connection, extensions: Sequence[str], name: str) -> list[int]:
    """Return the files of the list with a name; where there is none, those with that alias.

    The latter looks through all headers.
    """
    return _found(conn, extensions, with_name(name)) or _found(
        conn, extensions, HEADER.c.alias == clean_text(name)
    )


def _found(conn: Connection, extensions: Sequence[str], called: ColumnElement[bool]) -> list[int]:
    query: Select[Any] = (
        select(FILE.c.id)
        .join(ROOT, ROOT.c.id == FILE.c.root_id)
        .outerjoin(HEADER, HEADER.c.id == FILE.c.header_id)
        .where(FILE.c.state == "present", FILE.c.hidden == 0, ROOT.c.removed_at.is_(None))
        .where(FILE.c.ext.in_(extensions), called)
    )
    return list(conn.execute(query.limit(CHUNK)).scalars())
