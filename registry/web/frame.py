"""What is around every page: its root, the choice of levels, what is going on, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from registry.errors import Forbidden, IndexDamaged, RegistryError
from registry.formats.nsfw import NAMES, SHOWN_AS
from registry.web import words
from registry.web.presenters import Link
from registry.web.progress import steps
from registry.web.rendering import page, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from registry.web.sources import Sources, Viewer

WAIT_SECONDS: Final = 3
"""After how long a page that waits for the search index looks again."""
BUSY_SECONDS: Final = 2
IDLE_SECONDS: Final = 15
"""How often a page asks what is going on."""
LONGEST: Final = 4000
"""Characters of a query that are read."""


def root_of(request: Request) -> str:
    """Return what stands in front of all addresses of ours, such as `/t/NAME`, as it is in an address."""
    return quote(request.scope.get("root_path", ""), safe="/")


def endpoint(
    sources: Sources, show: Callable[[Sources, Request, Viewer], Response]
) -> Callable[[Request], Response]:
    """Return the endpoint that shows a page to whoever may see it, or says what went wrong."""

    def answer(request: Request) -> Response:
        try:
            return show(sources, request, viewer_of(sources, request))
        except RegistryError as error:
            return wrong(sources, request, error)

    return answer


def viewer_of(sources: Sources, request: Request) -> Viewer:
    """Return who sends a request; raises what says that nothing is shown to it."""
    viewer = sources.viewer(request)
    if viewer.by_address:
        raise Forbidden(
            "pages are not shown where the token stands in the address",
            remedy="leave /k/ and what follows it out, and give the token as the password",
        )
    return viewer


def whole(
    sources: Sources,
    request: Request,
    template: str,
    viewer: Viewer | None = None,
    *,
    busy: bool = False,
    **values: object,
) -> bytes:
    """Return a whole page; `viewer` is offered levels up to the highest that it may choose.

    A `busy` one soon asks what is going on, even if that is nothing yet.
    """
    around = {"query": "", "sort": "", "view": "", "root": root_of(request), "levels": levels(viewer)}
    return render(template, **{**around, "here": here(request), **values}, **going_on(sources, busy=busy))


def levels(viewer: Viewer | None) -> tuple[tuple[str, str, bool], ...]:
    """Return the levels that a viewer may choose: name, what it is called, whether it is the one."""
    if viewer is None:
        return ()
    offered = [level for level in NAMES if level <= viewer.most]
    now = max((level for level in offered if level <= viewer.limits.pictures), default=None)
    return tuple((NAMES[level], SHOWN_AS[level], level == now) for level in offered)


def here(request: Request) -> str:
    """Return the address of a page below the root, to come back to; of what was posted nothing is kept."""
    path = quote(request.scope["path"], safe="/")
    if request.method != "GET":
        return "/"
    kept = [(name, value) for name, value in request.query_params.multi_items() if name in _KEPT]
    return f"{path}?{urlencode(kept, quote_via=quote, errors='replace')}" if kept else path


_KEPT: Final = frozenset({"q", "sort", "cursor", "view", "before"})


def going_on(sources: Sources, *, busy: bool = False) -> dict[str, object]:
    """Return what is going on, for the template that tells it."""
    found = steps(sources.progress())
    return {"steps": found, "poll": BUSY_SECONDS if found or busy else IDLE_SECONDS}


def wrong(sources: Sources, request: Request, error: RegistryError) -> Response:
    """Show what went wrong; a page that only has to wait for the search index looks again by itself."""
    waits = isinstance(error, IndexDamaged)
    query = request.query_params.get("q", "")[:LONGEST]
    again = Link("Begin this search again" if query else "Look at everything", words.search_url(query))
    body = whole(
        sources,
        request,
        "error.html",
        query=query,
        status=error.status,
        said=words.sentence(str(error)),
        remedy=words.sentence(error.remedy),
        again=again,
        refresh=WAIT_SECONDS if waits else None,
    )
    return page(body, status=error.status, headers={"retry-after": str(WAIT_SECONDS)} if waits else None)
