"""Schema revisions: what version a database has, upgrading it, and backups before that.

SQLite is upgraded by itself after a backup; PostgreSQL only when somebody says `loras db upgrade`, because
others may be using it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from registry.catalog.engine import redacted
from registry.errors import CatalogError, SchemaMismatch

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from registry.catalog.engine import Catalog

KEPT_BACKUPS = 3
# Any fixed number serves: two clients that upgrade one PostgreSQL database wait for each other.
_UPGRADE_LOCK = 0x6C6F7262


def revisions_folder() -> Path:
    """Return where the revisions lie: inside the package when installed, at the top level in a checkout."""
    package = Path(__file__).resolve().parent
    shipped = package / "revisions"
    return shipped if shipped.is_dir() else package.parents[1] / "alembic"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    # A percent sign in a folder name would be read as interpolation.
    config.set_main_option("script_location", str(revisions_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head_revision() -> str:
    """Return the revision this program works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise CatalogError("the schema revisions are missing from this installation", remedy="install it again")
    return head


def current_revision(connection: Connection) -> str | None:
    """Return the revision of a database, `None` for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def _is_known(revision: str) -> bool:
    return any(script.revision == revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def ensure_schema(catalog: Catalog, *, backups: Path | None, allow_upgrade: bool) -> Path | None:
    """Bring the database to this program's revision, or say why it is not done; return the backup if one was made.

    An empty database is always set up. Raises SchemaMismatch for a newer database, and for an older one when
    `allow_upgrade` is false.
    """
    head = head_revision()
    backup: Path | None = None
    with catalog.bare() as conn:
        with conn.begin():
            current = current_revision(conn)
            if current == head:
                return None
            if current is None and inspect(conn).has_table("file"):
                raise SchemaMismatch("that database holds tables of another program", remedy="choose another --db")
        if current is not None and not _is_known(current):
            raise SchemaMismatch(
                f"this catalog was written by a newer version (revision {current})", remedy="upgrade lora-registry"
            )
        if current is not None and not allow_upgrade:
            raise SchemaMismatch(
                f"the schema of {redacted(str(catalog.url))} is older (revision {current}) than this program needs",
                remedy="stop the other clients, then run `loras db upgrade`",
            )
    if current is not None and catalog.sqlite and backups is not None:
        backup = back_up(Path(catalog.url.database or ""), backups, label=current)
    with catalog.bare() as conn, conn.begin():
        if not catalog.sqlite:
            conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            if current_revision(conn) == head:
                return backup
        elif current_revision(conn) == head:
            return backup
        command.upgrade(_config(conn), "head")
    return backup


def back_up(database: Path, folder: Path, *, label: str) -> Path:
    """Copy a SQLite catalog with SQLite's backup API, check the copy, keep the newest three; return the copy.

    Raises CatalogError when the copy does not pass the integrity check.
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken = {path.name for path in folder.glob("catalog-*.sqlite3")}
    number = 1 + max((int(name.split("-")[1]) for name in taken if name.split("-")[1].isdigit()), default=0)
    target = folder / f"catalog-{number:06d}-{label}.sqlite3"
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        partial.unlink(missing_ok=True)
        raise CatalogError(f"the catalog could not be backed up: {error}", remedy="check the disk") from error
    if verdict != "ok":
        partial.unlink(missing_ok=True)
        raise CatalogError(
            "the catalog does not pass its integrity check, so no backup was kept",
            remedy=f"restore the newest file of {folder}",
        )
    partial.replace(target)
    for old in sorted(folder.glob("catalog-*.sqlite3"))[:-KEPT_BACKUPS]:
        old.unlink()
    return target
