"""The pages: search, one lora and its forms, the choice of levels, suggestions, what is going on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import Route

from registry.catalog.reading import lora_views
from registry.catalog.showing import known_of
from registry.errors import BadRequest, IndexDamaged
from registry.formats.nsfw import LEVELS, NAMES, listed_levels
from registry.search.engine import RANKED
from registry.search.query import sort_asked
from registry.web import job_forms, lora_forms
from registry.web.draw_form import draw
from registry.web.draw_found import draw_found
from registry.web.drawing_found import FoundForm
from registry.web.frame import LONGEST, endpoint, going_on, root_of, whole
from registry.web.jobs_page import shown_job, shown_jobs
from registry.web.lora_page import may_draw, shown_lora
from registry.web.marking import marks_of
from registry.web.refining import read_typed
from registry.web.relatives_page import shown_relatives
from registry.web.rendering import HEADERS, STATIC, page, render, static_file
from registry.web.results import FACETS, GRID, completions, results
from registry.web.sources import LEVEL_COOKIE, Sources

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from registry.search.nodes import Sort
    from registry.search.service import Found
    from registry.web.lora_forms import Form
    from registry.web.sources import Limits, Viewer

__all__ = ["Sources", "routes"]

ROWS: Final = 50
SUGGESTIONS: Final = 10
_YEAR: Final = 31_536_000


def routes(sources: Sources) -> list[BaseRoute]:
    """Return the routes of all pages; whoever may read the catalog may see them."""
    small = [Middleware(GZipMiddleware, minimum_size=1024)]
    shown = {
        "/": endpoint(sources, _search),
        "/loras/{id}": shown_lora(sources),
        "/loras/{id}/relatives": shown_relatives(sources),
        "/suggest": endpoint(sources, _suggest),
        "/progress": endpoint(sources, _progress),
        "/jobs": endpoint(sources, shown_jobs),
        "/jobs/{id}": endpoint(sources, shown_job),
        f"{STATIC}/{{name}}": _static,
    }
    forms = {
        "/level": _level,
        "/loras/{id}": lora_forms.save,
        "/loras/{id}/undo": lora_forms.take_back,
        "/loras/{id}/carry": lora_forms.carry_over,
        "/loras/{id}/draw": draw,
        "/draw": draw_found,
        "/jobs/{id}/cancel": job_forms.cancel,
        "/jobs/{id}/retry": job_forms.retry,
        "/jobs/{id}/forget": job_forms.forget,
    }
    return [
        *(Route(path, show, middleware=small) for path, show in shown.items()),
        *(
            Route(path, lora_forms.posted(sources, act), methods=["POST"], middleware=small)
            for path, act in forms.items()
        ),
    ]


def _search(sources: Sources, request: Request, viewer: Viewer) -> Response:
    """Show what a query finds; the address says everything."""
    asked = request.query_params.get
    text, sort, cursor = (asked(name, "")[:LONGEST] for name in ("q", "sort", "cursor"))
    view = GRID if asked("view") == GRID else ""
    order = sort_asked(sort) if sort else None
    found = _found(sources, viewer.limits, text, order, cursor)
    with sources.catalog.read() as conn:
        views = lora_views(conn, found.hits.ids, sources.machine_id)
        known = known_of(conn, [view.id for view in views], words=sources.searching.place.words)
        # The index follows the catalog a moment later.
        loras = [view for view in views if viewer.limits.lists(known[view.id].shown.nsfw_level)]
        marks = marks_of(conn, {view.id: known[view.id] for view in loras}, viewer.limits)
    found = found.without(len(views) - len(loras))
    shown = results(
        read_typed(text, sources.catalog.clock()),
        found,
        loras,
        sort=sort,
        cursor=cursor,
        most=RANKED,
        view=view,
        marks=marks,
        hidden=found.withheld,
    )
    body = whole(
        sources,
        request,
        "search.html",
        viewer,
        query=text,
        sort=sort,
        view=view,
        results=shown,
        drawing=FoundForm(text) if may_draw(viewer) and loras else None,
    )
    return page(body)


def _found(sources: Sources, limits: Limits, text: str, order: Sort | None, cursor: str) -> Found:
    """Return what a text finds within the level of what is listed."""
    levels = listed_levels(limits.entries, limits.lists)
    return sources.searching.search(
        text, sort=order, limit=ROWS, cursor=cursor or None, facets=FACETS, levels=levels
    )


def _suggest(sources: Sources, request: Request, viewer: Viewer) -> Response:
    """Complete the word being typed; where some loras are not listed, nothing of what is in any is told."""
    text = request.query_params.get("q", "")[:LONGEST]
    try:
        found = sources.searching.suggest(text, SUGGESTIONS, fixed=viewer.limits.entries is not None)
    except IndexDamaged:
        found = []
    return page(render("_suggest.html", completions=completions(text, found)))


def _progress(sources: Sources, request: Request, _: Viewer) -> Response:
    """Tell what is going on."""
    return page(render("_progress.html", root=root_of(request), **going_on(sources)))


def _level(_: Sources, request: Request, viewer: Viewer, form: Form) -> Response:
    """Keep up to which level somebody wants to be shown pictures, in a cookie, and go back to the page."""
    level = LEVELS.get(form.get("level", ""))
    if level is None or level > viewer.most:
        raise BadRequest("there is no such level to choose", remedy="choose one of those that are offered")
    to = form.get("to", "")
    # Only paths of ours: browsers take two slashes, or a backslash, for the name of another server.
    ours = to.startswith("/") and not to.startswith("//") and to.isascii() and to.isprintable()
    path = to if ours and "\\" not in to else "/"
    answer = RedirectResponse(f"{root_of(request)}{path}", 303, dict(HEADERS))
    answer.set_cookie(LEVEL_COOKIE, NAMES[level], max_age=_YEAR, path="/", httponly=True, samesite="strict")
    return answer


def _static(request: Request) -> Response:
    return static_file(request.path_params["name"])
