"""What the form that asks for pictures of a lora does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from registry.catalog.lookup import resolve
from registry.errors import BadRequest, CannotDraw
from registry.web import words
from registry.web.drawing import asking, typed
from registry.web.frame import root_of
from registry.web.lora_page import Notice, Told, lora_id_of, lora_page, require_may_draw
from registry.web.rendering import HEADERS
from registry.web.underway import drawing_url

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from registry.web.lora_forms import Form
    from registry.web.sources import Sources, Viewer


def draw(sources: Sources, request: Request, viewer: Viewer, form: Form) -> Response:
    """Start to draw what a form asks for; why nothing can be drawn is said with what was typed kept."""
    require_may_draw(viewer)
    wanted = lora_id_of(request.path_params["id"])
    with sources.catalog.read() as conn:
        lora_id = resolve(conn, f"id:{wanted}", sources.machine_id)
    program = sources.program(request)
    try:
        job, plan = program.render(asking(form, lora_id, program.settings.bases), viewer.name)
    except (BadRequest, CannotDraw) as error:
        # In one sentence: it may begin with the name of a file, what to do with a command.
        why = "; ".join(filter(None, (str(error), error.remedy)))
        notice = Notice(words.sentence(f"Nothing is drawn: {why}"), bad=True)
        return lora_page(
            sources, request, viewer, lora_id, Told(notice, asked=typed(form), status=error.status)
        )
    url = f"{root_of(request)}{drawing_url(lora_id, job, plan.there)}"
    return RedirectResponse(url, 303, dict(HEADERS))
