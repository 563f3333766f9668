"""The pages: search, one lora, suggestions while typing, what is going on."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import Route

from registry.catalog.hashing import want_hashes
from registry.catalog.lookup import resolve
from registry.catalog.reading import lora_detail, lora_views
from registry.errors import CatalogError, IndexDamaged, NotFound, RegistryError
from registry.search.engine import RANKED
from registry.search.query import sort_asked
from registry.web import words
from registry.web.particulars import particulars
from registry.web.presenters import FACETS, Link, completions, results, steps
from registry.web.refining import read_typed
from registry.web.rendering import HEADERS, STATIC, page, render, revalidated, static_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from registry.catalog.engine import Catalog
    from registry.search.service import Searching

ROWS: Final = 50
SUGGESTIONS: Final = 10
WAIT_SECONDS: Final = 3
"""After how long a page that waits for the search index looks again."""
BUSY_SECONDS: Final = 2
IDLE_SECONDS: Final = 15
"""How often a page asks what is going on."""
_LONGEST: Final = 4000


@dataclass(frozen=True, slots=True)
class Sources:
    """What the pages are made from; `progress` tells how far scanning, hashing and indexing are."""

    catalog: Catalog
    machine_id: str
    searching: Searching
    progress: Callable[[], dict[str, Any]]


def routes(sources: Sources) -> list[BaseRoute]:
    """Return the routes of all pages; whoever may read the catalog may see them."""
    shown: dict[str, Callable[[Sources, Request], Response]] = {
        "/": _search,
        "/loras/{id}": _lora,
        "/suggest": _suggest,
        "/progress": _progress,
    }
    small = [Middleware(GZipMiddleware, minimum_size=1024)]
    pages = [
        Route(path, _endpoint(sources, show), name=show.__name__, middleware=small)
        for path, show in shown.items()
    ]
    return [*pages, Route(f"{STATIC}/{{name}}", _static, middleware=small)]


def _endpoint(
    sources: Sources, show: Callable[[Sources, Request], Response]
) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        try:
            return show(sources, request)
        except RegistryError as error:
            return _wrong(sources, request, error)

    return endpoint


def _search(sources: Sources, request: Request) -> Response:
    """Show what a query finds; the address says everything."""
    text, sort, cursor = (request.query_params.get(name, "") for name in ("q", "sort", "cursor"))
    text = text[:_LONGEST]
    order = sort_asked(sort) if sort else None
    found = sources.searching.search(text, sort=order, limit=ROWS, cursor=cursor or None, facets=FACETS)
    with sources.catalog.read() as conn:
        loras = lora_views(conn, found.hits.ids, sources.machine_id)
    typed = read_typed(text, sources.catalog.clock())
    shown = results(typed, found, loras, sort=sort, cursor=cursor, most=RANKED)
    return page(_page(sources, "search.html", query=text, sort=sort, results=shown))


def _lora(sources: Sources, request: Request) -> Response:
    """Show everything known about one lora; an id that was merged away leads to what it became."""
    given = request.path_params["id"]
    if not (given.isascii() and given.isdecimal() and len(given) <= 18):
        raise NotFound("there is no such lora")
    with sources.catalog.read() as conn:
        lora_id = resolve(conn, f"id:{given}", sources.machine_id)
        detail = lora_detail(conn, lora_id, sources.machine_id)
    if str(lora_id) != given:
        return RedirectResponse(words.lora_url(lora_id), headers=dict(HEADERS))
    answer = revalidated(request, _page(sources, "lora.html", lora=particulars(detail)))
    if any(file.state == "present" and file.hash_state == "pending" for file in detail.lora.files):
        answer.background = BackgroundTask(_hash_soon, sources, lora_id)
    return answer


def _hash_soon(sources: Sources, lora_id: int) -> None:
    """Hash what somebody looks at before the rest; a hint, for it is hashed in its turn anyway."""
    with contextlib.suppress(CatalogError), sources.catalog.write() as unit:
        want_hashes(unit, lora_id)


def _suggest(sources: Sources, request: Request) -> Response:
    """Complete the word being typed."""
    text = request.query_params.get("q", "")[:_LONGEST]
    try:
        found = sources.searching.suggest(text, SUGGESTIONS)
    except IndexDamaged:
        found = []
    return page(render("_suggest.html", completions=completions(text, found)))


def _progress(sources: Sources, _: Request) -> Response:
    """Tell what is going on."""
    return page(render("_progress.html", **_going_on(sources)))


def _static(request: Request) -> Response:
    return static_file(request.path_params["name"])


def _wrong(sources: Sources, request: Request, error: RegistryError) -> Response:
    """Show what went wrong; a page that only has to wait for the search index looks again by itself."""
    waits = isinstance(error, IndexDamaged)
    query = request.query_params.get("q", "")[:_LONGEST]
    again = Link("Begin this search again" if query else "Look at everything", words.search_url(query))
    body = _page(
        sources,
        "error.html",
        query=query,
        status=error.status,
        said=words.sentence(str(error)),
        remedy=words.sentence(error.remedy),
        again=again,
        refresh=WAIT_SECONDS if waits else None,
    )
    return page(body, status=error.status, headers={"retry-after": str(WAIT_SECONDS)} if waits else None)


def _page(sources: Sources, template: str, **values: object) -> bytes:
    return render(template, **{"query": "", "sort": "", **values}, **_going_on(sources))


def _going_on(sources: Sources) -> dict[str, object]:
    going_on = steps(sources.progress())
    return {"steps": going_on, "poll": BUSY_SECONDS if going_on else IDLE_SECONDS}
