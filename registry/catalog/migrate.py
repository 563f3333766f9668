"""Schema revisions: what version a database has, upgrading it, and backups before that.

SQLite is upgraded by itself after a backup; PostgreSQL only when somebody says `loras db upgrade`, because
others may be using it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from registry.catalog.tables import REVISION, TABLES
from registry.catalog.urls import redacted
from registry.errors import CatalogError, SchemaMismatch

if TYPE_CHECKING:
    from types import ModuleType

    from sqlalchemy import Connection

    from registry.catalog.engine import Catalog

KEPT_BACKUPS = 3
_VERSIONS = "alembic_version"
# Any fixed number serves: two clients that upgrade one PostgreSQL database wait for each other.
_UPGRADE_LOCK = 0x6C6F7262


def current_revision(connection: Connection) -> str | None:
    """Return the revision of a database, `None` for an empty one."""
    if not inspect(connection).has_table(_VERSIONS):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def ensure_schema(
    catalog: Catalog, *, backups: Path | None, allow_upgrade: bool, revisions: Path | None = None
) -> Path | None:
    """Bring the database to this program's revision, or say why not; return the backup if one was made.

    An empty database is always set up. An older SQLite file is copied to the folder `backups` before it is
    upgraded. Raises SchemaMismatch for a newer database or one of another program, and for an older one when
    `allow_upgrade` is false.
    """
    with catalog.read() as conn:
        if _state(conn, catalog, revisions, allow_upgrade=allow_upgrade) is _State.CURRENT:
            return None
    backup: Path | None = None
    with catalog.bare() as conn:
        if catalog.sqlite:
            # Tables that SQLite cannot alter are copied and dropped: that would count as deleting rows.
            _switch_foreign_keys(conn, on=False)
        try:
            with conn.begin():
                if not catalog.sqlite:
                    conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
                # Somebody else may have done it while this one waited for its turn.
                state = _state(conn, catalog, revisions, allow_upgrade=allow_upgrade)
                if state is _State.OLDER and catalog.sqlite and backups is not None:
                    label = current_revision(conn) or "empty"
                    backup = back_up(Path(catalog.url.database or ""), backups, label=label)
                if state is not _State.CURRENT:
                    _upgrading().upgrade(conn, revisions)
                    _require_whole(conn, catalog)
        finally:
            if catalog.sqlite:
                _switch_foreign_keys(conn, on=True)
    return backup


class _State(Enum):
    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"


def _upgrading() -> ModuleType:
    from registry.catalog import upgrading  # noqa: PLC0415 - few starts need what takes so long to load

    return upgrading


def _state(conn: Connection, catalog: Catalog, revisions: Path | None, *, allow_upgrade: bool) -> _State:
    """Return how a database compares with this program; SchemaMismatch where they do not go together."""
    found = set(inspect(conn).get_table_names())
    ours = set(TABLES)
    current = current_revision(conn) if _VERSIONS in found else None
    if current is None:
        # A server may keep other things beside the catalog; a file is the catalog's alone.
        if found & ours or (catalog.sqlite and found):
            raise SchemaMismatch(
                "that database holds tables of another program", remedy="choose another --db"
            )
        return _State.EMPTY
    if current == (REVISION if revisions is None else _upgrading().head_revision(revisions)):
        return _State.CURRENT
    if not ours & found:
        raise SchemaMismatch("that database belongs to another program", remedy="choose another --db")
    if current not in _upgrading().all_revisions(revisions):
        raise SchemaMismatch(
            f"this catalog was written by a newer version (revision {current[:40]})",
            remedy="upgrade lora-registry",
        )
    if not allow_upgrade:
        raise SchemaMismatch(
            f"{redacted(str(catalog.url))} is older (revision {current}) than this program needs",
            remedy="stop the other clients, then run `loras db upgrade`",
        )
    return _State.OLDER


def _switch_foreign_keys(conn: Connection, *, on: bool) -> None:
    # SQLite ignores this inside a transaction, and SQLAlchemy begins one with its first statement.
    driver = conn.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        driver.execute(f"PRAGMA foreign_keys = {'ON' if on else 'OFF'}")


def _require_whole(conn: Connection, catalog: Catalog) -> None:
    if catalog.sqlite and conn.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise CatalogError("the upgrade would lose rows, so it was not done", remedy="report this as a bug")


def back_up(database: Path, folder: Path, *, label: str) -> Path:
    """Copy a SQLite catalog with SQLite's backup API, check the copy, keep the newest three; return the copy.

    Raises CatalogError when it cannot be copied or the copy does not pass the integrity check.
    """
    try:
        return _back_up(database, folder, label)
    except sqlite3.Error as error:
        raise CatalogError(f"the catalog could not be backed up: {error}", remedy="check the disk") from error
    except OSError as error:
        raise CatalogError(
            f"the catalog could not be backed up to {folder}: {error.strerror}", remedy="check that folder"
        ) from error


def _back_up(database: Path, folder: Path, label: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [int(path.name.split("-")[1]) for path in _backups(folder)]
    target = folder / f"catalog-{max(numbers, default=0) + 1:06d}-{label}.sqlite3"
    # Two processes may be at it.
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
            # The copy is one file: no log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            raise CatalogError(
                "the catalog does not pass its integrity check, so no backup was kept",
                remedy=f"restore the newest file of {folder}",
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    for old in _backups(folder)[:-KEPT_BACKUPS]:
        old.unlink(missing_ok=True)
    return target


def _backups(folder: Path) -> list[Path]:
    """Return the backups of a folder, oldest first."""
    return sorted(path for path in folder.glob("catalog-*.sqlite3") if path.name.split("-")[1].isdigit())
