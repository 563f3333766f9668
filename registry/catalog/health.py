"""How the database itself is doing: kind, revision, size, and whether it is sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from registry.catalog.migrate import current_revision
from registry.catalog.tables import REVISION
from registry.catalog.urls import redacted

if TYPE_CHECKING:
    from registry.catalog.engine import Catalog


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """`url` without password, `path` of a SQLite file, `size` in bytes.

    `integrity` is `ok`, what SQLite found wrong, or `unchecked` where the server looks after that itself.
    """

    kind: str
    url: str
    path: str | None
    size: int | None
    revision: str | None
    newest_revision: str
    integrity: str


def database_health(catalog: Catalog) -> DatabaseHealth:
    """Look at the database, whatever its revision; raises CatalogError if it cannot be read at all."""
    path: str | None = None
    with catalog.read() as conn:
        revision = current_revision(conn)
        if catalog.sqlite:
            path = catalog.url.database
            pages = conn.execute(text("PRAGMA page_count")).scalar_one()
            size = int(pages) * int(conn.execute(text("PRAGMA page_size")).scalar_one())
            found = conn.execute(text("PRAGMA quick_check(5)")).scalars().all()
            integrity = "; ".join(map(str, found))
        else:
            size = int(conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
            integrity = "unchecked"
    return DatabaseHealth(
        kind="sqlite" if catalog.sqlite else "postgresql",
        url=redacted(catalog.url.render_as_string(hide_password=True)),
        path=None if path is None else str(Path(path)),
        size=size,
        revision=revision,
        newest_revision=REVISION,
        integrity=integrity,
    )
