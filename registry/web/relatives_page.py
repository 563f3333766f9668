"""The page of the loras that are most like one, of which the page of that one shows the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import RedirectResponse

from registry.catalog.fingerprints import fingerprint_of
from registry.catalog.lookup import resolve
from registry.catalog.reading import lora_views
from registry.catalog.showing import known_of
from registry.errors import NotFound
from registry.lora.fingerprint import VERSION
from registry.measured import RELATED
from registry.web import words
from registry.web.frame import endpoint, root_of, whole
from registry.web.lora_page import lora_id_of, require_listed
from registry.web.marking import marks_of
from registry.web.presenters import row
from registry.web.relatives import kin
from registry.web.rendering import HEADERS, revalidated

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from registry.measured import Relatives
    from registry.web.presenters import Row
    from registry.web.relatives import Kin
    from registry.web.sources import Limits, Sources, Viewer

MOST: Final = 8


def shown_relatives(sources: Sources) -> Callable[[Request], Response]:
    """Return the endpoint that shows what is most like a lora; it measures none that has no fingerprint."""

    def show(sources: Sources, request: Request, viewer: Viewer) -> Response:
        given = request.path_params["id"]
        with sources.catalog.read() as conn:
            lora_id = resolve(conn, f"id:{lora_id_of(given)}", sources.machine_id)
            require_listed(sources, conn, viewer, lora_id)
            measured = fingerprint_of(conn, lora_id)
        if str(lora_id) != given:
            url = f"{root_of(request)}{words.relatives_url(lora_id)}"
            return RedirectResponse(url, headers=dict(HEADERS))
        if measured is None or measured.version != VERSION:
            raise NotFound(
                "its weights were not measured yet",
                remedy="that is done when nothing else is, or at once by `loras fingerprint`",
            )
        found = sources.program(request).relatives(lora_id, MOST, RELATED, False)  # noqa: FBT003 - by sketches, as the context has it
        one, listed, hidden = _told(sources, viewer.limits, found)
        body = whole(
            sources,
            request,
            "relatives.html",
            viewer,
            one=one,
            listed=listed,
            hidden=words.several(hidden, "lora") if hidden else "",
            alike=words.search_url(f"similar:{lora_id}"),
        )
        return revalidated(request, body)

    return endpoint(sources, show)


def _told(sources: Sources, limits: Limits, found: Relatives) -> tuple[Row, list[Kin], int]:
    """Return a lora, those like it that are told of, and how many more there are."""
    with sources.catalog.read() as conn:
        views = lora_views(conn, [found.id, *(item.id for item in found.items)], sources.machine_id)
        known = known_of(conn, [view.id for view in views], words=sources.searching.place.words)
        listed = [view for view in views if limits.lists(known[view.id].shown.nsfw_level)]
        marks = marks_of(conn, {view.id: known[view.id] for view in listed}, limits)
    what = {item.id: item for item in found.items}
    kins = [kin(view, marks[view.id], what[view.id]) for view in listed if view.id in what]
    one = next((row(view, marks[view.id]) for view in listed if view.id == found.id), None)
    if one is None:
        raise NotFound("there is no such lora")
    return one, kins, len(views) - len(listed)
