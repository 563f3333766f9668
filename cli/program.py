"""The program: global options, the verbs of `cli.commands`, and the edge where errors are caught."""

from __future__ import annotations

import pkgutil
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Annotated

import typer

import cli.commands
from cli.errors_edge import abandon_stdout, ready_streams, report_bug, report_error, say_error
from cli.options import DATA_DIR_OPTION, DB_OPTION, JSON_OPTION, Given
from cli.output import ClosedPipe, flush, hint, say
from registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130
CLOSED_PIPE = 141

_HELP = """Keep a catalog of LoRA files: scan folders, hash, identify, watch, serve other tools.

\b
Examples:
  loras serve ~/models/loras        scan, watch and serve a folder
  loras scan ~/models/loras         bring the catalog up to date once
  loras inspect some.safetensors    all about one file, no catalog needed
  loras show cd3fdc6e               all about one lora, by hash, id, path or name

A REF is an id (12 or id:12), 8 or more digits of any hash (hash:H), a path, or a name.

\b
Exit codes: 0 done, 1 a bug, 2 wrong arguments, 3 not found, 4 ambiguous, 5 conflict, 6 forbidden,
7 the database, 8 a file cannot be read, 9 cancelled, 10 cannot serve, 11 another server, 12 cannot draw,
130 stopped with Ctrl-C.
"""


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        try:
            say(f"loras {metadata.version('lora-registry')}")
        except metadata.PackageNotFoundError:
            say("loras (not installed)")
        raise typer.Exit


def program() -> typer.Typer:
    """Put the program together from the modules of `cli.commands`."""
    whole = typer.Typer(
        name="loras",
        help=_HELP,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )

    @whole.callback()
    def everything(
        context: typer.Context,
        db: Annotated[str | None, DB_OPTION] = None,
        data_dir: Annotated[str | None, DATA_DIR_OPTION] = None,
        json: Annotated[bool, JSON_OPTION] = False,  # noqa: FBT002 - typer makes a flag of it
        version: Annotated[  # noqa: FBT002 - typer makes a flag of it
            bool,
            typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True),
        ] = False,
    ) -> None:
        del version
        context.obj = Given(db, data_dir, json)

    found = [
        import_module(f"cli.commands.{each.name}") for each in pkgutil.iter_modules(cli.commands.__path__)
    ]
    for module in sorted(found, key=lambda one: int(one.ORDER)):
        whole.add_typer(module.app)
    return whole


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    ready_streams()
    json = "--json" in arguments
    try:
        code = _carry_out(arguments)
        flush()
    except ClosedPipe:
        abandon_stdout()
        return CLOSED_PIPE
    except RegistryError as error:
        return report_error(error, json=json)
    except typer.TyperException as error:
        return _usage(error, json=json)
    except Exception as error:  # noqa: BLE001 - the edge of the program
        return report_bug(error)
    if code == INTERRUPTED:
        hint("loras: stopped; what was done stays")
    return code


def _carry_out(arguments: Sequence[str]) -> int:
    try:
        code = program()(list(arguments) or ["--help"], prog_name="loras", standalone_mode=False)
    except SystemExit as stop:
        if stop.code == 1:  # typer's way to say that the pipe it wrote the help to was closed
            raise ClosedPipe from None
        raise
    return code if isinstance(code, int) else 0


def _usage(error: typer.TyperException, *, json: bool) -> int:
    context = getattr(error, "ctx", None)
    remedy = f"`{context.command_path} --help` shows what is possible" if context is not None else ""
    say_error("bad-request", error.format_message(), remedy, json=json)
    return error.exit_code
