"""`loras search`: find loras by anything that is known of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import Column, emit_json, hint, pairs, say, size, table, to_json
from cli.queries import TakesQuery, requoted

if TYPE_CHECKING:
    from cli.progress import Bar
    from registry.api.shapes import SearchPage
    from registry.app import Registry
    from registry.search.catchup import Progress
    from registry.search.fields import Field
    from registry.search.service import Found, Searching
    from registry.views import Facet, LoraView

ORDER: Final = 35
app = typer.Typer()
_MOST: Final = 1000
_SHOWN_VALUES: Final = 15
_BAR: Final = 24
_NAME: Final = 1
_COLUMNS: Final = (
    Column("ID", number=True),
    Column("NAME"),
    Column("ARCHITECTURE"),
    Column("ADAPTER"),
    Column("RANK", number=True),
    Column("SIZE", number=True),
    Column("DATE"),
    Column("STATE"),
)


@app.command(cls=TakesQuery, context_settings={"ignore_unknown_options": True})
@verb
def search(
    context: typer.Context,
    query: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUERY", help="Words, phrases and fields; everything if there is none."),
    ] = None,
    *,
    sort: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="relevance or a field, -NAME for the other way round."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=_MOST, metavar="N", help="Show at most so many.")] = 50,
    facets: Annotated[
        str, typer.Option(metavar="LIST", help="Count the values of fields: arch,rank,tag or all.")
    ] = "",
    explain: Annotated[bool, typer.Option("--explain", help="Show how the query was read.")] = False,
    help_fields: Annotated[
        bool, typer.Option("--help-fields", help="List the fields that can be asked, and exit.")
    ] = False,
) -> None:
    """Find loras by anything that is known of them.

    Words are looked for in names, trigger words, tags, comments and folders, and must all be found; a `-`
    before one says that it must not be, OR that one side is enough. Fields such as `tag:` and `arch:` ask
    for one thing. Quote for the shell what has < or > or quotation marks in it: 'rank:>=32'.

    Examples:
      loras search detail tweaker
      loras search arch:sdxl rank:32.. -has:preview
      loras search -tag:monochrome added:-7d --sort -size
      loras search 'name:"ink wash" OR trigger:inkwash'
      loras search 长发 --facets arch,base,rank
      loras search --help-fields
    """
    if help_fields:
        _help_fields(json=given(context).json)
        return
    from registry.search.facets import check_facets
    from registry.search.query import sort_asked
    from registry.searching import open_searching

    order = sort_asked(sort) if sort else None
    counted = check_facets([name for part in facets.split(",") if (name := part.strip())])
    typed = " ".join(query or [])
    asked = " ".join(map(requoted, query or []))
    with opened(context) as registry:
        _catch_up(registry)
        searching = open_searching(registry)
        found = searching.search(asked, sort=order, limit=limit, facets=counted)
        page = _page(registry, found)
        if given(context).json:
            emit_json(page if not explain else {**_facts(page), "tree": _tree(found)})
            return
        _print(page, found)
        if explain:
            _explain(registry, page, found)
        if not page.total:
            _help_to_find(registry, searching, page, typed if asked != typed else "")


def _catch_up(registry: Registry) -> None:
    """Bring the index up to date, unless another process does."""
    from cli.progress import bars
    from registry.searching import catch_up

    with bars() as shown:
        bar: Bar | None = None

        def report(progress: Progress) -> None:
            nonlocal bar
            bar = bar or shown.add("making the search index", progress.total)
            bar.move(progress.done, progress.total)

        catch_up(registry, report)


def _page(registry: Registry, found: Found) -> SearchPage:
    from registry.api.shapes import SearchPage
    from registry.catalog.reading import lora_views

    with registry.catalog.read() as conn:
        items = lora_views(conn, found.hits.ids, registry.machine_id)
    return SearchPage.of(found, items)


def _facts(page: SearchPage) -> dict[str, object]:
    return {field.name: getattr(page, field.name) for field in dataclasses.fields(page)}


def _tree(found: Found) -> dict[str, object]:
    from registry.search.exchange import to_json as tree_of

    return tree_of(found.query)


def _print(page: SearchPage, found: Found) -> None:
    from cli.highlight import marked_table, wanted_of

    if page.items:
        marked_table(_COLUMNS, [_row(lora) for lora in page.items], _NAME, wanted_of(found.query.where))
    for facet in page.facets:
        say()
        _print_facet(facet)
    for warning in page.warnings:
        hint(f"loras: {warning.text}")
    hint(f"{len(page.items)} of {page.total}, understood: {page.understood}")


def _row(lora: LoraView) -> tuple[object, ...]:
    day = dt.datetime.fromtimestamp(lora.date / 1000, dt.UTC).astimezone()
    base = f"{lora.architecture} ({lora.base_model})" if lora.base_model else lora.architecture
    return (
        lora.id,
        lora.name,
        base,
        lora.adapter,
        lora.rank,
        size(lora.size),
        f"{day:%Y-%m-%d}",
        lora.state,
    )


def _print_facet(facet: Facet) -> None:
    shown = facet.values[:_SHOWN_VALUES]
    most = max((value.count for value in shown), default=1)
    table(
        (Column(facet.field.upper()), Column("LORAS", number=True), Column(""), Column("")),
        [
            (
                value.value,
                value.count,
                _bar(value.count / most),
                value.label if value.label != value.value else "",
            )
            for value in shown
        ],
    )
    told = []
    if facet.distinct > len(shown):
        told.append(f"and {facet.distinct - len(shown)} more")
    if facet.sample is not None:
        told.append(f"counted in a sample of {facet.sample}")
    if told:
        say(f"({', '.join(told)})")


def _bar(share: float) -> str:
    full = "\u2588"
    try:
        full.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        full = "#"
    return full * max(1, round(share * _BAR))


def _explain(registry: Registry, page: SearchPage, found: Found) -> None:
    from registry.catalog.changes import generation

    with registry.catalog.read() as conn:
        newest = generation(conn)
    behind = "" if newest == page.generation else f" (the catalog is at {newest})"
    say()
    pairs(
        [
            ("understood", page.understood),
            ("read as", page.query or "everything"),
            ("tree", to_json(_tree(found)).decode()),
            ("sort", f"{found.hits.sort.field}{', descending' * found.hits.sort.descending}"),
            ("generation", f"{page.generation}{behind}"),
            ("time", f"{page.took_ms:.1f} ms"),
        ],
    )


def _help_to_find(registry: Registry, searching: Searching, page: SearchPage, typed: str) -> None:
    """Say what to do where nothing was found; `typed` is the query without our quotes if they are ours."""
    from registry.catalog.searching import count_searchable

    with registry.catalog.read() as conn:
        if not count_searchable(conn):
            hint("there are no loras yet: `loras scan DIR` looks for them")
            return
    found = bool(typed) and searching.search(typed, limit=1).hits.total
    meant = typed if found else page.did_you_mean
    hint(f"nothing was found; did you mean: {_command(meant)}" if meant else "nothing was found")


def _command(query: str) -> str:
    """Return the command to type for a query, which is read there as it is here."""
    # As words where quotes would come back to it as a whole.
    arguments = [query] if requoted(query) == query else query.split()
    return shlex.join(["loras", "search", *arguments])


def _help_fields(*, json: bool) -> None:
    from registry.search.fields import TABLE

    if json:
        emit_json({"items": [_field(row) for row in TABLE]})
        return
    width = max(len(row.name) for row in TABLE)
    for row in TABLE:
        facts = _field(row)
        marks = [row.kind.value, *(mark for mark in ("facet", "sort") if facts[mark])]
        also = f"; also {', '.join(row.aliases)}" if row.aliases else ""
        say(f"{row.name:{width}}  {', '.join(marks)}{also}")
        say(f"{'':{width}}  {row.help}: {row.example}")


def _field(row: Field) -> dict[str, object]:
    from registry.search.fields import TAG

    return {
        "name": row.name,
        "aliases": row.aliases,
        "kind": row.kind.value,
        "help": row.help,
        "example": row.example,
        "facet": row.facet is not None or row.name == TAG,
        "sort": row.sort is not None,
    }
