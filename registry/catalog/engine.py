"""Engines and units of work: one writer at a time that begins IMMEDIATE, reads elsewhere, errors by name."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import NoSuchModuleError

from registry.catalog import tables
from registry.catalog.faults import named_errors
from registry.catalog.urls import parse_url
from registry.errors import CatalogBusy, CatalogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import URL, Connection, Engine, Table
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

CHANGE = tables.TABLES["change"]
# Any fixed number serves: it names the lock that a write unit holds on PostgreSQL, as SQLite has its own.
WRITE_LOCK = 0x6C6F7261
BUSY_SECONDS = 30.0


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Unit:
    """One write transaction: a connection, the clock of the unit and the changes it will log at its end."""

    def __init__(self, conn: Connection, now: int, actor: str | None) -> None:
        self.conn = conn
        self.now = now
        self.actor = actor
        self.postgres = conn.dialect.name == "postgresql"
        self._changes: dict[tuple[str, int, str], int | None] = {}
        self._given: dict[str, int] = {}
        self._committed: list[Callable[[], None]] = []

    def changed(self, entity: str, entity_id: int, kind: str, *, lora_id: int | None = None) -> None:
        """Log that something changed, once a unit; it becomes visible when the unit commits."""
        self._changes.setdefault((entity, entity_id, kind), lora_id)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do something once this unit is committed, and not if it is rolled back."""
        self._committed.append(action)

    def allocate(self, table: str, count: int) -> Sequence[int]:
        """Return `count` fresh ids of a table; the caller inserts rows with them in this unit."""
        if not count:
            return ()
        if self.postgres:
            query = text(
                "SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)"
            )
            return self.conn.execute(query, {"name": table, "count": count}).scalars().all()
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        last = self.conn.execute(query, {"name": table}).scalar() or 0
        first = max(last, self._given.get(table, 0)) + 1
        self._given[table] = first + count - 1
        return range(first, first + count)

    def insert(self, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert rows that all have the same columns.

        The values go to the driver as they are: plain numbers, texts and bytes.
        """
        if not rows:
            return
        columns = tuple(rows[0])
        statement = _insert_statement(table.name, columns, "%s" if self.postgres else "?")
        if len(columns) == 1:
            values = [(row[columns[0]],) for row in rows]
        else:
            values = [*map(itemgetter(*columns), rows)]
        self.conn.exec_driver_sql(statement, values)

    def flush_changes(self) -> None:
        """Write the logged changes; the write lock is held, so their order is that of commits."""
        self.insert(
            CHANGE,
            [
                {
                    "at": self.now,
                    "entity": entity,
                    "entity_id": key,
                    "lora_id": lora,
                    "kind": kind,
                    "actor": self.actor,
                }
                for (entity, key, kind), lora in self._changes.items()
            ],
        )
        self._changes.clear()

    def committed(self) -> None:
        """Carry out what waited for the commit."""
        for action in self._committed:
            action()


@lru_cache(maxsize=64)
def _insert_statement(table: str, columns: tuple[str, ...], mark: str) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    # The names come from our own tables.
    return f'INSERT INTO "{table}" ({names}) VALUES ({", ".join([mark] * len(columns))})'  # noqa: S608


class Catalog:
    """The open database: `write()` and `read()` units; safe to share between threads.

    `busy_seconds` is how long a unit waits for other writers before it gives up with CatalogBusy.
    """

    def __init__(
        self, url: str, *, clock: Callable[[], int] = now_ms, busy_seconds: float = BUSY_SECONDS
    ) -> None:
        self.url = parse_url(url)
        self.clock = clock
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self._busy_seconds = busy_seconds
        try:
            if self.sqlite:
                self._writer = _sqlite_engine(self.url, busy_seconds, writer=True)
                self._reader = _sqlite_engine(self.url, busy_seconds, writer=False)
            else:
                self._writer = _postgres_engine(self.url, busy_seconds)
                self._reader = self._writer.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
        except (ModuleNotFoundError, NoSuchModuleError):
            raise CatalogError(
                "PostgreSQL support is not installed", remedy="pip install 'lora-registry[postgres]'"
            ) from None
        self._turn = threading.Lock()
        self._writing: int | None = None
        self._listeners: list[Callable[[], None]] = []

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each committed unit of this process; it must be quick and thread-safe."""
        self._listeners.append(listener)

    @contextmanager
    def write(self, *, actor: str | None = None) -> Iterator[Unit]:
        """Open the one write unit: begins IMMEDIATE, commits at the end, rolls back on any exception.

        Units do not nest. Raises CatalogBusy, CatalogFull or CatalogError; then nothing was written.
        """
        with self._own_turn(), named_errors(), self._writer.begin() as conn:
            if not self.sqlite:
                conn.execute(_POSTGRES_TURN, {"wait": f"{self._busy_seconds * 1000:.0f}", "key": WRITE_LOCK})
            unit = Unit(conn, self.clock(), actor)
            yield unit
            unit.flush_changes()
        unit.committed()
        for listener in self._listeners:
            listener()

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        """Let the threads of this process write one after the other."""
        me = threading.get_ident()
        if self._writing == me:
            raise RuntimeError("write units do not nest")
        if not self._turn.acquire(timeout=self._busy_seconds):
            raise CatalogBusy("other writes keep the catalog busy", remedy="try again in a moment")
        self._writing = me
        try:
            yield
        finally:
            self._writing = None
            self._turn.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a read unit with one consistent view of the catalog."""
        with named_errors(), self._reader.connect() as conn, conn.begin():
            yield conn

    @contextmanager
    def bare(self) -> Iterator[Connection]:
        """Open a connection of the writer outside of units, for migrations and backups."""
        with self._own_turn(), named_errors(), self._writer.connect() as conn:
            yield conn

    def close(self) -> None:
        """Give all connections back."""
        self._writer.dispose()
        self._reader.dispose()


def _sqlite_engine(url: URL, busy_seconds: float, *, writer: bool) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": busy_seconds, "check_same_thread": False},
        pool_size=1 if writer else 8,
        max_overflow=0 if writer else 56,
    )

    @event.listens_for(engine, "connect")
    def connected(dbapi: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # Transactions are begun by hand below; the driver's own rules would begin them late and DEFERRED.
        if isinstance(dbapi, sqlite3.Connection):
            dbapi.isolation_level = None
        cursor = dbapi.cursor()
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


# The first column is computed before the second, so that the wait for the lock is bounded.
_POSTGRES_TURN = text("SELECT set_config('lock_timeout', :wait, true), pg_advisory_xact_lock(:key)")


def _postgres_engine(url: URL, busy_seconds: float) -> Engine:
    return create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=8,
        max_overflow=24,
        pool_timeout=busy_seconds,
        pool_pre_ping=True,
        connect_args={"application_name": f"lora-registry {os.getpid()}", "connect_timeout": 10},
    )
