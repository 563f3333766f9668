"""`loras list`: what there is."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import Column, emit_json, hint, size, table

if TYPE_CHECKING:
    from registry.app import Registry
    from registry.views import LoraView

ORDER: Final = 30
app = typer.Typer()
_PAGE: Final = 1000
_COLUMNS: Final = (
    Column("ID", number=True),
    Column("NAME"),
    Column("KIND"),
    Column("ARCHITECTURE"),
    Column("ADAPTER"),
    Column("RANK", number=True),
    Column("SIZE", number=True),
    Column("DATE"),
    Column("STATE"),
    Column("FOLDER"),
)


@app.command("list")
@verb
def list_(
    context: typer.Context,
    *,
    limit: Annotated[
        int, typer.Option(min=0, help="Show at most so many, 0 for all.", show_default=False)
    ] = 0,
    sort: Annotated[str, typer.Option(help="name, size, date, added or id.")] = "name",
    desc: Annotated[
        bool, typer.Option("--desc", help="The other way round: largest or newest first.")
    ] = False,
    state: Annotated[str, typer.Option(help="present, missing or all.")] = "present",
    kind: Annotated[
        str | None, typer.Option(help="Only one kind: lora, checkpoint, embedding, vae, controlnet, other.")
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="Only one architecture: sd15, sdxl, flux1, ...")
    ] = None,
) -> None:
    """List the loras of the catalog, one a line.

    Examples:
      loras list --sort date --desc --limit 20
      loras list --architecture sdxl --json
      loras list --state missing
    """
    from registry.catalog.filters import check_filters

    filters = {
        name: value for name, value in (("kind", kind), ("architecture", architecture)) if value is not None
    }
    check_filters(filters)
    with opened(context) as registry:
        items, total = _pages(registry, limit, sort, state, filters, descending=desc)
    if given(context).json:
        emit_json({"items": items, "total": total})
        return
    table(_COLUMNS, map(_row, items))
    if len(items) < total:
        hint(f"{len(items)} of {total} shown")


def _pages(
    registry: Registry, limit: int, sort: str, state: str, filters: dict[str, str], *, descending: bool
) -> tuple[list[LoraView], int]:
    from registry.catalog.reading import list_loras

    items: list[LoraView] = []
    after: tuple[object, int] | None = None
    with registry.catalog.read() as conn:
        while True:
            page = list_loras(
                conn,
                machine_id=registry.machine_id,
                sort=sort,
                descending=descending,
                after=after,
                limit=min(_PAGE, limit - len(items)) if limit else _PAGE,
                state=state,
                filters=filters,
            )
            items += page.items
            after = page.next
            if after is None or (limit and len(items) >= limit):
                return items, page.total


def _row(lora: LoraView) -> tuple[object, ...]:
    day = dt.datetime.fromtimestamp(lora.date / 1000, dt.UTC).astimezone()
    base = f"{lora.architecture} ({lora.base_model})" if lora.base_model else lora.architecture
    folder = lora.files[0].folder if lora.files else ""
    return (
        lora.id,
        lora.name,
        lora.kind,
        base,
        lora.adapter,
        lora.rank,
        size(lora.size),
        f"{day:%Y-%m-%d}",
        lora.state,
        folder,
    )
