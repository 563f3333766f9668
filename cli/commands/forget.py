"""`loras forget`: remove loras of which no file is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import Column, emit_json, hint, pairs, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.app import Registry
    from registry.catalog.forgetting import Candidate

ORDER: Final = 66
app = typer.Typer()
_COLUMNS: Final = (Column("ID", number=True), Column("NAME"), Column("FILES"))


@app.command()
@verb
def forget(
    context: typer.Context,
    refs: Annotated[
        list[str] | None,
        typer.Argument(metavar="REF", help="Ids, hashes, paths or names; all their files must be gone."),
    ] = None,
    *,
    query: Annotated[
        str | None,
        typer.Option(
            metavar="QUERY", help="Forget what a search finds of which no file is left.", show_default=False
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")] = False,
) -> None:
    """Forget loras whose files are all gone: rows, notes, pictures and what Civitai told of them alone.

    A lora with a file is left alone, for the next scan would bring it back; of what a query finds, these are
    passed over. What was noted is put into an archive in the data folder first.

    Examples:
      loras forget old-style
      loras forget old-style --yes
      loras forget --query missing:yes --yes
    """
    from registry.errors import BadRequest
    from registry.forgetting import forget_loras
    from registry.notekeeping import notes_of

    if bool(refs) == (query is not None):
        raise BadRequest("say which loras: either REF or --query", remedy="`loras forget --help`")
    with opened(context) as registry:
        wanted, there = _wanted(registry, refs or [], query)
        done = forget_loras(
            registry.catalog,
            notes_of(registry.catalog, registry.settings, registry.studio),
            wanted,
            actor="cli",
            dry_run=not yes,
            remove_pictures=registry.studio.store.remove,
        )
    if given(context).json:
        facts = {name: getattr(done, name) for name in done.__slots__}
        emit_json({**facts, "passed_over": [one.id for one in there]})
        return
    if done.loras:
        table(_COLUMNS, [(one.id, one.name, ", ".join(one.paths)) for one in done.loras])
    told = [*done.rows.items(), ("pictures", len(done.pictures) or None)]
    pairs(told, under=f"rows that {'went' if yes else 'would go'}")
    if there:
        hint(f"{len(there)} are passed over: they have files, and would come back with the next scan")
    if done.archive is not None:
        say(f"what was noted is in {done.archive}")
    if not yes:
        hint("nothing was changed: say --yes to do it")


def _wanted(registry: Registry, refs: Sequence[str], query: str | None) -> tuple[list[int], list[Candidate]]:
    """Return which loras to forget, and those that a query found and that have files."""
    from cli.choosing import queried, referred
    from registry.catalog.forgetting import candidates_of

    if query is None:
        return referred(registry, refs), []
    found = queried(registry, query)
    with registry.catalog.read() as conn:
        candidates = candidates_of(conn, found)
    return [one.id for one in candidates if not one.there], [one for one in candidates if one.there]
