"""Database URLs: what is supported, in one spelling, and how they are shown."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from registry.errors import BadRequest

_SUPPORTED = "use postgresql+psycopg://user@host/name or sqlite:///path"
_POSTGRES = {"postgres", "postgresql", "postgresql+psycopg"}
_SQLITE = {"sqlite", "sqlite+pysqlite"}
_SECRET = re.compile("pass|secret|token", re.IGNORECASE)


def parse_url(url: str) -> URL:
    """Parse a database URL; BadRequest names what is supported.

    `postgres://` and `postgresql://` mean the psycopg driver. A SQLite path is made absolute; it is
    percent-decoded like every part of an URL. SQLite in memory is refused: each connection has its own.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The text is not repeated: it may hold a password.
        raise BadRequest("that is not a database URL", remedy=_SUPPORTED) from None
    if parsed.drivername in _POSTGRES:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in _SQLITE:
        raise BadRequest(
            f"databases of the kind {parsed.drivername[:40]!r} are not supported", remedy=_SUPPORTED
        )
    if parsed.host:
        raise BadRequest("a SQLite URL has three slashes before its path", remedy="use sqlite:///path")
    database = parsed.database or ""
    if not database or database == ":memory:" or database.startswith("file:") or parsed.query:
        raise BadRequest("a SQLite catalog is a plain file", remedy="use sqlite:///path")
    return parsed.set(drivername="sqlite", database=str(Path(database).absolute()))


def redacted(url: str) -> str:
    """Return the URL fit for logs: without its password, wherever in the URL that stands."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return "(not a database URL)"
    hidden = {name: "***" for name in parsed.query if _SECRET.search(name)}
    return parsed.update_query_dict(hidden).render_as_string(hide_password=True)
