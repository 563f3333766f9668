"""Engines and units of work: one writer at a time that begins IMMEDIATE, reads elsewhere, errors by name."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event, func, insert, make_url, select, text
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from registry.catalog import tables
from registry.errors import BadRequest, CatalogBusy, CatalogError, CatalogFull, CatalogRace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

CHANGE = tables.SQLModel.metadata.tables["change"]
# Any fixed number serves: it names the lock under which change rows get their order on PostgreSQL.
CHANGE_LOCK = 0x6C6F7261
_BUSY_MS = 30_000

_SQLITE_SIGNS: tuple[tuple[str, type[CatalogError], str, str], ...] = (
    ("database is locked", CatalogBusy, "the catalog is locked by another program", "try again in a moment"),
    ("database table is locked", CatalogBusy, "the catalog is locked by another program", "try again in a moment"),
    ("disk is full", CatalogFull, "the disk that holds the catalog is full", "free some space and try again"),
    ("disk i/o error", CatalogError, "the disk that holds the catalog cannot be read or written", "check the disk"),
    ("readonly database", CatalogError, "the catalog cannot be written", "check the permissions of its folder"),
    ("unable to open", CatalogError, "the catalog cannot be opened", "check its path and permissions"),
    ("malformed", CatalogError, "the catalog is damaged", "restore the newest file of its backups folder"),
    ("not a database", CatalogError, "that file is not a catalog", "check --db and --data-dir"),
)


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def parse_url(url: str) -> URL:
    """Parse a database URL; BadRequest names what is supported."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadRequest(
            "that is not a database URL", remedy="use postgresql+psycopg://user@host/name or sqlite:///path"
        ) from None
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise BadRequest(
            f"databases of the kind {parsed.drivername!r} are not supported",
            remedy="use postgresql+psycopg://user@host/name or sqlite:///path",
        )
    return parsed


def redacted(url: str) -> str:
    """Return the URL fit for logs: without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not a database URL)"


def translate(error: DatabaseError) -> CatalogError:
    """Return the error of ours that names what happened to the database."""
    said = str(error.orig).strip()
    lowered = said.lower()
    for sign, kind, message, remedy in _SQLITE_SIGNS:
        if sign in lowered:
            return kind(message, remedy=remedy)
    sqlstate = getattr(error.orig, "sqlstate", None) or ""
    if sqlstate == "53100":
        return CatalogFull("the disk of the database server is full", remedy="free some space and try again")
    if sqlstate in {"55P03", "40P01", "57014"}:
        return CatalogBusy("the database is busy", remedy="try again in a moment")
    first_line = said.splitlines()[0] if said else type(error.orig).__name__
    return CatalogError(f"the database refused: {first_line[:300]}", remedy="run `loras doctor`")


@contextmanager
def _named_errors() -> Iterator[None]:
    """Turn what the database does to us into our errors; what our own statements did wrong stays as it is."""
    try:
        yield
    except (DataError, ProgrammingError):
        raise
    except IntegrityError as error:
        raise CatalogRace("somebody else wrote the same at the same time", remedy="try again") from error
    except PoolTimeout:
        raise CatalogBusy("too many requests wait for the database", remedy="try again in a moment") from None
    except DatabaseError as error:
        raise translate(error) from error


class Unit:
    """One write transaction: a connection, the clock of the unit and the changes it will log at its end."""

    def __init__(self, conn: Connection, now: int, actor: str | None) -> None:
        self.conn = conn
        self.now = now
        self.actor = actor
        self._changes: dict[tuple[str, int, str], int | None] = {}

    @property
    def postgres(self) -> bool:
        """Whether this is PostgreSQL."""
        return self.conn.dialect.name == "postgresql"

    def changed(self, entity: str, entity_id: int, kind: str, *, lora_id: int | None = None) -> None:
        """Log that something changed, once a unit; it becomes visible when the unit commits."""
        self._changes.setdefault((entity, entity_id, kind), lora_id)

    def allocate(self, table: str, count: int) -> range | list[int]:
        """Return `count` fresh ids of a table; the caller inserts rows with them in this unit."""
        if not count:
            return []
        if self.postgres:
            rows = self.conn.execute(
                text("SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)"),
                {"name": table, "count": count},
            )
            return [row[0] for row in rows]
        last = self.conn.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table}).scalar()
        first = (last or 0) + 1
        return range(first, first + count)

    def flush_changes(self) -> None:
        """Write the logged changes; on PostgreSQL their order is taken under an advisory lock."""
        if not self._changes:
            return
        if self.postgres:
            self.conn.execute(select(func.pg_advisory_xact_lock(CHANGE_LOCK)))
        rows = [
            {"at": self.now, "entity": entity, "entity_id": key, "lora_id": lora, "kind": kind, "actor": self.actor}
            for (entity, key, kind), lora in self._changes.items()
        ]
        self.conn.execute(insert(CHANGE), rows)
        self._changes.clear()


class Catalog:
    """The open database: `write()` and `read()` units; safe to share between threads."""

    def __init__(self, url: str, *, clock: Callable[[], int] = now_ms) -> None:
        self.url = parse_url(url)
        self.clock = clock
        self.sqlite = self.url.get_backend_name() == "sqlite"
        try:
            self._writer = _sqlite_engine(self.url, writer=True) if self.sqlite else _postgres_engine(self.url)
            self._reader = (
                _sqlite_engine(self.url, writer=False)
                if self.sqlite
                else self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            )
        except (ModuleNotFoundError, NoSuchModuleError):
            raise CatalogError(
                "PostgreSQL support is not installed", remedy="pip install 'lora-registry[postgres]'"
            ) from None
        self._turn = threading.RLock()
        self._listeners: list[Callable[[], None]] = []

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each committed unit of this process; it must be quick and thread-safe."""
        self._listeners.append(listener)

    @contextmanager
    def write(self, *, actor: str | None = None) -> Iterator[Unit]:
        """Open the one write unit: begins IMMEDIATE, commits at the end, rolls back on any exception.

        Raises CatalogBusy, CatalogFull or CatalogError; then nothing was written.
        """
        with self._turn, _named_errors(), self._writer.begin() as conn:
            unit = Unit(conn, self.clock(), actor)
            yield unit
            unit.flush_changes()
        for listener in self._listeners:
            listener()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a read unit with one consistent view of the catalog."""
        with _named_errors(), self._reader.connect() as conn, conn.begin():
            yield conn

    @contextmanager
    def bare(self) -> Iterator[Connection]:
        """Open a connection of the writer outside of units, for migrations and backups."""
        with _named_errors(), self._writer.connect() as conn:
            yield conn

    def close(self) -> None:
        """Give all connections back."""
        self._writer.dispose()
        self._reader.dispose()


def _sqlite_engine(url: URL, *, writer: bool) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False},
        pool_size=1 if writer else 8,
        max_overflow=0 if writer else 56,
    )

    @event.listens_for(engine, "connect")
    def connected(dbapi: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # Transactions are begun by hand below; the driver's own rules would begin them late and DEFERRED.
        if isinstance(dbapi, sqlite3.Connection):
            dbapi.isolation_level = None
        cursor = dbapi.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA temp_store = MEMORY")
        if writer:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")
            cursor.execute("PRAGMA cache_size = -16000")
        else:
            cursor.execute("PRAGMA query_only = ON")
            cursor.execute("PRAGMA cache_size = -4000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> Engine:
    return create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=8,
        max_overflow=24,
        pool_pre_ping=True,
        connect_args={"application_name": f"lora-registry {os.getpid()}", "connect_timeout": 10},
    )
