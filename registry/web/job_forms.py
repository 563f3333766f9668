"""What the forms on the page of a job do: stop it, do it again, forget it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from registry.catalog.jobs import delete_job
from registry.catalog.pieces import retry_job, stop_job
from registry.errors import BadRequest, Conflict, Forbidden, NotFound
from registry.web import words
from registry.web.frame import root_of
from registry.web.jobs_page import job_id_of, job_page
from registry.web.lora_page import Notice, Told
from registry.web.rendering import HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from registry.catalog.engine import Unit
    from registry.web.lora_forms import Form
    from registry.web.sources import Sources, Viewer


def cancel(sources: Sources, request: Request, viewer: Viewer, _: Form) -> Response:
    """Ask a job to stop."""
    job_id = job_id_of(request)
    return _done(sources, request, viewer, stop_job, f"{words.job_url(job_id)}?did=cancel")


def retry(sources: Sources, request: Request, viewer: Viewer, _: Form) -> Response:
    """Let what a job did not bring about wait again."""
    job_id = job_id_of(request)
    return _done(sources, request, viewer, retry_job, f"{words.job_url(job_id)}?did=retry")


def forget(sources: Sources, request: Request, viewer: Viewer, _: Form) -> Response:
    """Forget a job that has ended."""
    return _done(sources, request, viewer, delete_job, f"/jobs?forgotten={job_id_of(request)}")


def _done(
    sources: Sources, request: Request, viewer: Viewer, act: Callable[[Unit, int], object], to: str
) -> Response:
    if not viewer.may_write:
        raise Forbidden(
            "stopping, repeating and forgetting jobs needs the role write",
            remedy="use a token with that role",
        )
    job_id = job_id_of(request)
    try:
        with sources.catalog.write(actor=viewer.name) as unit:
            act(unit, job_id)
    except (BadRequest, Conflict, NotFound) as error:
        # The page is of a job that is there, even where none of that number is running.
        status = Conflict.status if isinstance(error, NotFound) else error.status
        notice = Notice(words.sentence(str(error)), words.sentence(error.remedy), bad=True)
        return job_page(sources, request, viewer, job_id, Told(notice, status=status))
    return RedirectResponse(f"{root_of(request)}{to}", 303, dict(HEADERS))
