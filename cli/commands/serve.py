"""`loras serve`: watch, hash and serve the catalog over HTTP until stopped."""

from __future__ import annotations

import logging
from typing import Annotated, Final

import typer

from cli.logs import log_to_stderr
from cli.options import given, settings_of, verb
from cli.output import emit_json, flush, say

ORDER: Final = 20
app = typer.Typer()


@app.command()
@verb
def serve(
    context: typer.Context,
    folders: Annotated[
        list[str] | None,
        typer.Argument(metavar="DIR", help="Folders to add as roots before serving all of them."),
    ] = None,
    *,
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address to listen on (default 127.0.0.1: this machine)."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on (default 8567), 0 for any that is free."),
    ] = None,
    no_watch: Annotated[
        bool, typer.Option("--no-watch", help="Scan once at the start and do not watch the folders.")
    ] = False,
    unsafe_open: Annotated[
        bool,
        typer.Option(
            "--unsafe-open",
            help="Listen beyond this machine without any token: everybody there may change things.",
        ),
    ] = False,
) -> None:
    """Scan, watch and hash the roots, and answer other tools over HTTP.

    Runs until Ctrl-C. The address is printed once requests are answered; the API is described at
    /openapi.json there.

    Examples:
      loras serve ~/models/loras
      loras serve --port 9000
      loras token create laptop && loras serve --host 0.0.0.0
    """
    from registry.serving import serve as serve_until_stopped

    log_to_stderr(logging.INFO, times=True)
    # They tell of each of their steps.
    for noisy in ("alembic", "asyncio", "filelock", "uvicorn", "watchdog"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    json = given(context).json

    def announce(url: str) -> None:
        if json:
            emit_json({"url": url})
        else:
            say(f"Serving at {url} (Ctrl-C stops)")
        flush()

    settings = settings_of(context, host=host, port=port, unsafe_open=unsafe_open or None)
    serve_until_stopped(settings, folders or [], watch=not no_watch, announce=announce)
