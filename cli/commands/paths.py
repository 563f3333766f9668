"""`loras paths`: every place that this program writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from cli.options import given, opened, settings_of, verb
from cli.output import Column, emit_json, size, table

if TYPE_CHECKING:
    from registry.places import Kept

ORDER: Final = 105
app = typer.Typer()
_COLUMNS: Final = (Column("WHAT"), Column("SIZE", number=True), Column("WHERE"), Column(""))


@app.command()
@verb
def paths(context: typer.Context) -> None:
    """List every place that is ever written to, with how much is there.

    Nothing else is: models are only read. Files beside them that `loras export` wrote are listed one by one.

    Examples:
      loras paths
      loras paths --json
    """
    from registry.places import places

    found = places(settings_of(context))
    if any(place.name == "catalog" and place.exists for place in found):
        found += _written(context)
    if given(context).json:
        emit_json({"items": [place._asdict() for place in found]})
        return
    rows = [
        (
            place.name,
            "" if place.size is None else size(place.size),
            place.path or place.text,
            place.text if place.exists else "not there",
        )
        for place in found
    ]
    table(_COLUMNS, rows)


def _written(context: typer.Context) -> list[Kept]:
    from registry.catalog.written import written_paths
    from registry.places import sidecars

    with opened(context) as registry, registry.catalog.read() as conn:
        return sidecars(written_paths(conn, registry.machine_id))
