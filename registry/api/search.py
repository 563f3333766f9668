"""`/api/v1/search` and `/api/v1/suggest`: anything that is known about a lora, typed or as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import needs
from registry.api.context import context_of
from registry.api.levels import told_of
from registry.api.profiles import RAISES, limits_of
from registry.api.serialise import answer
from registry.api.shapes import SearchPage, Suggestions
from registry.catalog.reading import lora_views
from registry.formats.nsfw import listed_levels
from registry.search.exchange import from_json
from registry.search.fields import FACETS, SORTS, TABLE
from registry.search.query import sort_asked

if TYPE_CHECKING:
    from registry.search.nodes import Query as Asked
    from registry.search.nodes import Sort

router = APIRouter(tags=["search"], dependencies=[needs("read")])

_HELP = (
    "words, phrases and fields, such as `detail tweaker arch:sdxl rank:8..64 -tag:monochrome`; fields are "
    + ", ".join(f"`{row.name}`" for row in TABLE)
)
_SORTS = f"`relevance`, {', '.join(f'`{name}`' for name in SORTS)}; with `-` before it the other way round"
_FACETS = f"comma between them: `all`, `tag` (over a sample), {', '.join(f'`{name}`' for name in FACETS)}"


class _Page(BaseModel):
    """How much of what was found, in which order, with which counts."""

    model_config = ConfigDict(extra="forbid")
    sort: Annotated[str | None, Field(max_length=60, description=_SORTS)] = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    cursor: Annotated[str | None, Field(max_length=2000, description="next_cursor of the page before")] = None
    nsfw: Annotated[str | None, Field(max_length=20, description=RAISES)] = None
    min_generation: Annotated[
        int | None,
        Field(ge=0, lt=2**63, description="wait up to two seconds for the index to be as new as that"),
    ] = None

    def order(self) -> Sort | None:
        """Return the order asked for; BadRequest for one that does not exist."""
        return None if self.sort is None else sort_asked(self.sort)


class SearchQuery(_Page):
    """A query as it is typed."""

    q: Annotated[str, Field(max_length=4000, description=_HELP)] = ""
    facets: Annotated[str, Field(max_length=400, description=_FACETS)] = ""


class SearchTree(_Page):
    """A query as a tree: `where` as `query` of an answer has it."""

    where: dict[str, Any] | None = None
    facets: Annotated[list[str], Field(max_length=40)] = []


@router.get("/search", responses={200: {"model": SearchPage}})
def search(request: Request, query: Annotated[SearchQuery, Query()]) -> Response:
    """Find loras by what is typed; a query is never wrong, what was ignored is told in `warnings`."""
    names = [name for part in query.facets.split(",") if (name := part.strip())]
    return answer(request, _page(request, query.q, query, names))


@router.post("/search", responses={200: {"model": SearchPage}})
def search_tree(request: Request, query: SearchTree) -> Response:
    """Find loras by a tree, for programs that build their queries."""
    asked = from_json({"where": query.where})
    return answer(request, _page(request, asked, query, query.facets))


@router.get("/suggest", responses={200: {"model": Suggestions}})
def suggest(
    request: Request,
    q: Annotated[str, Query(max_length=4000, description="what was typed so far, to its last word")] = "",
    limit: Annotated[int, Query(ge=1, le=50)] = 12,
) -> Response:
    """Complete the word being typed: names, tags, fields, values of fields, saved searches.

    Whoever is not told of all loras is told nothing of what is in them.
    """
    # Names and tags would tell of what is not to be told of.
    fixed = limits_of(request).entries is not None
    found = context_of(request).searching.suggest(q, limit, fixed=fixed)
    return answer(request, Suggestions(found))


def _page(request: Request, asked: str | Asked, page: _Page, facets: list[str]) -> SearchPage:
    context, limits = context_of(request), limits_of(request)
    found = context.searching.search(
        asked,
        sort=page.order(),
        limit=page.limit,
        cursor=page.cursor,
        facets=facets,
        min_generation=page.min_generation,
        levels=listed_levels(limits.entries, limits.lists),
    )
    with context.catalog.read() as conn:
        views = lora_views(conn, found.hits.ids, context.machine_id)
        # The index follows the catalog a moment later.
        items = told_of(conn, views, limits, context.searching.place.words)
    return SearchPage.of(found.without(len(views) - len(items)), items)
