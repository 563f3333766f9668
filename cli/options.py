"""Options that every verb has, and what they open."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.logs import log_to_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.app import Registry
    from registry.config import Settings

DB_OPTION: Final = typer.Option(
    "--db",
    metavar="URL",
    help="The database: postgresql+psycopg://user@host/name or sqlite:///path (default: SQLite in the data "
    "folder; also LORAS_DATABASE_URL).",
    show_default=False,
)
DATA_DIR_OPTION: Final = typer.Option(
    "--data-dir",
    metavar="FOLDER",
    help="The folder of the catalog, its backups and locks (also LORAS_DATA_DIR).",
    show_default=False,
)
JSON_OPTION: Final = typer.Option("--json", help="Print one JSON document instead of text.")


@dataclass(frozen=True)
class Given:
    """What was said on the command line, before the verb or after it."""

    db: str | None = None
    data_dir: str | None = None
    json: bool = False


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options `--json`, `--db` and `--data-dir`.

    Its first parameter is the typer context. The examples of its docstring keep their lines in the help.
    """
    signature = inspect.signature(function, eval_str=True)
    common = {
        "json": (Annotated[bool, JSON_OPTION], False),
        "db": (Annotated[str | None, DB_OPTION], None),
        "data_dir": (Annotated[str | None, DATA_DIR_OPTION], None),
    }
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in common.items()
    ]

    def command(context: typer.Context, **values: Any) -> None:
        before = given(context)
        context.obj = replace(
            before,
            json=values.pop("json") or before.json,
            db=values.pop("db") or before.db,
            data_dir=values.pop("data_dir") or before.data_dir,
        )
        log_to_stderr()
        function(context, **values)

    parameters = [*signature.parameters.values(), *added]
    command.__name__ = function.__name__
    command.__doc__ = inspect.cleandoc(function.__doc__ or "").replace("Examples:\n", "\b\nExamples:\n")
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    vars(command)["__signature__"] = signature.replace(parameters=parameters)
    return command


def given(context: typer.Context) -> Given:
    """Return what was said on the command line so far."""
    found = context.find_object(Given)
    return found if isinstance(found, Given) else Given()


def settings_of(context: typer.Context, **more: object) -> Settings:
    """Return the settings for what was said; `more` are fields of Settings, `None` where nothing was said."""
    from registry.config import load_settings  # noqa: PLC0415 - pydantic takes longer than the help may

    said = given(context)
    return load_settings(database_url=said.db, data_dir=said.data_dir, **more)


@contextmanager
def opened(context: typer.Context) -> Iterator[Registry]:
    """Open the registry that the options name."""
    from registry.app import open_registry  # noqa: PLC0415 - takes longer than the help may

    with open_registry(settings_of(context)) as registry:
        yield registry
