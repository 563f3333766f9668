"""`loras db`: the database of the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from cli.options import given, settings_of, verb
from cli.output import emit_json, say
from cli.plain import redacted

ORDER: Final = 100
app = typer.Typer(name="db", help="The database: upgrade, backup, path.")


@app.command("upgrade")
@verb
def upgrade(context: typer.Context) -> None:
    """Bring the database to what this version needs; SQLite is backed up first.

    SQLite is upgraded by every command on its own. PostgreSQL only by this one: stop the other clients first.

    Examples:
      loras db upgrade
      loras --db postgresql+psycopg://loras@db/loras db upgrade
    """
    from registry.app import open_catalog
    from registry.catalog.health import database_health

    catalog = open_catalog(settings_of(context), upgrade=True)
    try:
        health = database_health(catalog)
    finally:
        catalog.close()
    if given(context).json:
        emit_json({"database": health.url, "revision": health.revision})
    else:
        say(f"{health.url} is at revision {health.revision}")


@app.command("backup")
@verb
def backup(
    context: typer.Context,
    folder: Annotated[
        str | None,
        typer.Option("--to", metavar="FOLDER", help="Where to (default: backups in the data folder)."),
    ] = None,
) -> None:
    """Copy a SQLite catalog while it is in use, and check the copy; the newest three are kept.

    Examples:
      loras db backup
      loras db backup --to /mnt/nas/backups
    """
    from registry.app import open_catalog
    from registry.catalog.migrate import back_up
    from registry.errors import BadRequest

    settings = settings_of(context)
    catalog = open_catalog(settings)
    try:
        if not catalog.sqlite:
            raise BadRequest("PostgreSQL is backed up with its own tools", remedy="use pg_dump")
        target = Path(folder).expanduser() if folder else settings.data_dir / "backups"
        copy = back_up(Path(catalog.url.database or ""), target, label="manual")
    finally:
        catalog.close()
    if given(context).json:
        emit_json({"backup": str(copy), "size": copy.stat().st_size})
    else:
        say(str(copy))


@app.command("path")
@verb
def path(context: typer.Context) -> None:
    """Print where the database is, without opening it.

    Examples:
      loras db path
    """
    from registry.catalog.urls import parse_url

    settings = settings_of(context)
    url = parse_url(settings.url())
    file = url.database if url.get_backend_name() == "sqlite" else None
    shown = redacted(url.render_as_string(hide_password=True))
    if given(context).json:
        emit_json({"database": shown, "path": file, "data_dir": str(settings.data_dir)})
    else:
        say(file or shown)
