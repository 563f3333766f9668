"""The schema revisions that this program has, and what makes a database that of the newest one.

Loaded only where a database is not, since it takes longer than all else that opening a catalog needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.script import ScriptDirectory

from alembic import command
from registry.errors import CatalogError

if TYPE_CHECKING:
    from sqlalchemy import Connection


def revisions_folder() -> Path:
    """Return where the revisions lie: inside the package when installed, at the top level in a checkout."""
    package = Path(__file__).resolve().parent
    shipped = package / "revisions"
    return shipped if shipped.is_dir() else package.parents[1] / "alembic"


def head_revision(revisions: Path | None = None) -> str:
    """Return the newest revision; CatalogError where there is none."""
    head = ScriptDirectory.from_config(_config(revisions)).get_current_head()
    if head is None:
        raise CatalogError(
            "the schema revisions are missing from this installation", remedy="install it again"
        )
    return head


def all_revisions(revisions: Path | None = None) -> set[str]:
    """Return all revisions."""
    return {script.revision for script in ScriptDirectory.from_config(_config(revisions)).walk_revisions()}


def upgrade(connection: Connection, revisions: Path | None = None) -> None:
    """Make a database that of the newest revision, within the transaction of a connection."""
    head_revision(revisions)
    command.upgrade(_config(revisions, connection), "head")


def _config(revisions: Path | None, connection: Connection | None = None) -> Config:
    config = Config()
    # A percent sign in a folder name would be read as interpolation.
    config.set_main_option("script_location", str(revisions or revisions_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
