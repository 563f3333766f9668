"""`loras history`: what was noted of a lora before."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import Column, emit_json, hint, table

if TYPE_CHECKING:
    from registry.catalog.curation_history import HistoryEntry

ORDER: Final = 43
app = typer.Typer()
_COLUMNS: Final = (
    Column("BATCH", number=True),
    Column("WHEN"),
    Column("WHO"),
    Column("WHAT"),
    Column("FIELD"),
    Column("WAS"),
    Column("BECAME"),
)


@app.command()
@verb
def history(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="A lora, by id, hash, path or name.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="Show at most so many.")] = 100,
) -> None:
    """Show what happened to the notes of a lora, the latest first.

    Of a conflict, WAS is the value that lost when two loras turned out to be one.

    Examples:
      loras history ink.safetensors
      loras history 12 --limit 5 --json
    """
    from cli.choosing import referred
    from registry.catalog.curation_history import history_of

    with opened(context) as registry:
        (lora_id,) = referred(registry, [ref])
        with registry.catalog.read() as conn:
            items = history_of(conn, lora_id, limit=limit)
    if given(context).json:
        emit_json({"lora_id": lora_id, "items": items})
    elif items:
        table(_COLUMNS, map(_row, items))
    else:
        hint("nothing was ever noted of it")


def _row(entry: HistoryEntry) -> tuple[object, ...]:
    from cli.noted import noted

    moment = dt.datetime.fromtimestamp(entry.at / 1000, dt.UTC).astimezone()
    was, became = noted(entry.field, entry.old), noted(entry.field, entry.new)
    return entry.batch, f"{moment:%Y-%m-%d %H:%M}", entry.actor, entry.kind, entry.field, was, became
