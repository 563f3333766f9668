"""What the form that asks for pictures of all that a query finds does: it tells a plan, then it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from registry.errors import BadRequest, CannotDraw, IndexDamaged
from registry.web import words
from registry.web.drawing_found import asking_found, found_form, planned
from registry.web.frame import root_of, whole
from registry.web.lora_page import Notice, require_may_draw
from registry.web.notebook import YES
from registry.web.rendering import HEADERS, page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from registry.web.drawing_found import Planned
    from registry.web.lora_forms import Form
    from registry.web.sources import Sources, Viewer


def draw_found(sources: Sources, request: Request, viewer: Viewer, form: Form) -> Response:
    """Show what a form would have drawn; once that was confirmed start it, and lead to its job."""
    require_may_draw(viewer)
    program, now = sources.program(request), sources.catalog.clock()
    plan: Planned | None = None
    notice, status = None, 200
    try:
        asking = asking_found(form, program.find, now)
        if form.get("confirmed") == YES:
            job, _ = program.render(asking, viewer.name)
            return RedirectResponse(f"{root_of(request)}{words.job_url(job)}", 303, dict(HEADERS))
        plan = planned(program.plan_render(asking), asking.ends_at, now)
    except (BadRequest, CannotDraw, IndexDamaged) as error:
        # In one sentence, as where one lora is drawn.
        why = "; ".join(filter(None, (str(error), error.remedy)))
        notice, status = Notice(words.sentence(f"Nothing is drawn: {why}"), bad=True), error.status
    wish = found_form(form)
    body = whole(
        sources,
        request,
        "draw.html",
        viewer,
        query=wish.query,
        drawing=wish,
        plan=plan,
        notice=notice,
        back=words.search_url(wish.query),
    )
    return page(body, status=status)
