"""What databases do to us, by name: SQLite's result codes and PostgreSQL's SQLSTATEs as errors of ours."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from registry.errors import CatalogBusy, CatalogError, CatalogFull, CatalogRace

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Fault(NamedTuple):
    kind: type[CatalogError]
    message: str
    remedy: str


_AGAIN = "try again in a moment"
_RACE = _Fault(CatalogRace, "somebody else wrote the same at the same time", "try again")
_UNREACHABLE = _Fault(
    CatalogError, "the database server cannot be reached", "check that it runs, and the host and port of --db"
)

# Primary result codes: https://www.sqlite.org/rescode.html
_SQLITE = {
    sqlite3.SQLITE_BUSY: _Fault(CatalogBusy, "the catalog is locked by another program", _AGAIN),
    sqlite3.SQLITE_LOCKED: _Fault(CatalogBusy, "the catalog is locked by another program", _AGAIN),
    sqlite3.SQLITE_FULL: _Fault(
        CatalogFull, "the disk that holds the catalog is full", "free some space and try again"
    ),
    sqlite3.SQLITE_IOERR: _Fault(
        CatalogError, "the disk that holds the catalog cannot be read or written", "check the disk"
    ),
    sqlite3.SQLITE_READONLY: _Fault(
        CatalogError, "the catalog cannot be written", "check the permissions of its folder"
    ),
    sqlite3.SQLITE_PERM: _Fault(CatalogError, "the catalog cannot be opened", "check its permissions"),
    sqlite3.SQLITE_CANTOPEN: _Fault(
        CatalogError, "the catalog cannot be opened", "check its path and permissions"
    ),
    sqlite3.SQLITE_CORRUPT: _Fault(
        CatalogError, "the catalog is damaged", "restore the newest file of its backups folder"
    ),
    sqlite3.SQLITE_NOTADB: _Fault(CatalogError, "that file is not a catalog", "check --db and --data-dir"),
}
# Extended result codes of constraints that only a second writer can break.
_SQLITE_RACES = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES = {
    "23503": _RACE,
    "23505": _RACE,
    "40001": _RACE,
    "40P01": _RACE,
    "53100": _Fault(CatalogFull, "the disk of the database server is full", "free some space and try again"),
    "53300": _Fault(CatalogBusy, "the database server has too many connections", _AGAIN),
    "55P03": _Fault(CatalogBusy, "the catalog is locked by another program", _AGAIN),
    "57014": _Fault(CatalogBusy, "the database server stopped a statement", _AGAIN),
    "57P01": _Fault(CatalogBusy, "the database server is shutting down", _AGAIN),
    "57P02": _Fault(CatalogBusy, "the database server is shutting down", _AGAIN),
    "57P03": _Fault(CatalogBusy, "the database server is starting up or shutting down", _AGAIN),
    "25006": _Fault(CatalogError, "the database can only be read", "connect to the primary server"),
    "42501": _Fault(
        CatalogError, "the database user may not do that", "grant the user all rights on the schema"
    ),
}


@contextmanager
def named_errors() -> Iterator[None]:
    """Turn what the database does to us into our errors; what our own statements did wrong stays as it is."""
    try:
        yield
    except PoolTimeout:
        raise CatalogBusy("too many requests wait for the database", remedy=_AGAIN) from None
    except DatabaseError as error:
        named = translate(error)
        if named is None:
            raise
        raise named from error


def translate(error: DatabaseError) -> CatalogError | None:
    """Return the error of ours that names what happened, `None` for mistakes in our own statements."""
    fault = _fault(error)
    if fault is not None:
        return fault.kind(fault.message, remedy=fault.remedy)
    if isinstance(error, (DataError, ProgrammingError, IntegrityError)):
        return None
    said = str(error.orig).strip() or type(error.orig).__name__
    return CatalogError(f"the database refused: {said.splitlines()[0][:300]}", remedy="run `loras doctor`")


def _fault(error: DatabaseError) -> _Fault | None:
    if isinstance(error.orig, sqlite3.Error):
        # Errors that Python's own module raises have no code.
        code: int = getattr(error.orig, "sqlite_errorcode", 0)
        return _RACE if code in _SQLITE_RACES else _SQLITE.get(code & 0xFF)
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return _POSTGRES.get(sqlstate)
    return _unreachable(error)


def _unreachable(error: DatabaseError) -> _Fault | None:
    """Name a lost or failed connection: it has no SQLSTATE, and its own words tell why."""
    if isinstance(error, (DataError, ProgrammingError, IntegrityError)):
        return None
    said = str(error.orig).strip() or type(error.orig).__name__
    return _UNREACHABLE._replace(message=f"{_UNREACHABLE.message}: {said.splitlines()[0][:300]}")
