"""What A1111's API tells of drawing: what can be chosen, how far a drawing is, what pictures say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from registry.api.access import needs, principal_of
from registry.api.context import context_of
from registry.api.dialects.a1111_words import failure, timestamp
from registry.api.dialects.answers import Dialect, JsonBody, sent
from registry.api.dialects.base_models import bases_of
from registry.api.dialects.drawing import live_jobs, waited_for
from registry.formats.png_text import read_texts
from registry.formats.sidecar_values import record
from registry.sampling import samplers_of
from registry.wire import a1111_drawn
from registry.wire.a1111_drawing import read_png_info
from registry.wire.a1111_drawn import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.api.context import Context
    from registry.views import JobView

router = APIRouter(prefix="/sdapi/v1", dependencies=[needs("read")])
DIALECT: Final = Dialect(router, failure)
_JOB: Final = "scripts_txt2img"


@router.get("/progress")
def progress(
    request: Request,
    *,
    skip_current_image: Annotated[bool, Query(description="there is none in any case")] = False,
) -> Response:
    """Tell how far the drawing is that whoever asks waits for, else any that goes on."""
    context = context_of(request)
    jobs = live_jobs(context)
    # The newest of one's own; of those of others the one that goes on.
    chosen = waited_for(request, jobs)[-1:] or [job for job in jobs if job.started_at is not None][:1]
    told = _progress(context, chosen[0]) if chosen else None
    return sent(request, a1111_drawn.progress(told, picture=not skip_current_image))


@router.get("/samplers")
def samplers(request: Request) -> Response:
    """List the samplers that can be asked for."""
    return sent(request, a1111_drawn.samplers(samplers_of(context_of(request).settings.renderer)))


@router.get("/schedulers")
def schedulers(request: Request) -> Response:
    """List the schedules that can be asked for."""
    return sent(request, a1111_drawn.schedulers())


@router.get("/sd-models")
def sd_models(request: Request) -> Response:
    """List the base models of the settings; where their files are is told to those who may write."""
    whole = principal_of(request).role != "read"
    checkpoints = [base.checkpoint for base in bases_of(context_of(request).settings)]
    told = [each if whole else replace(each, filename=each.rel) for each in checkpoints]
    return sent(request, [a1111_drawn.checkpoint(each) for each in told])


@router.get("/options")
def options(request: Request) -> Response:
    """Tell the base model that is drawn on where nothing chooses another; no other setting is there."""
    bases = bases_of(context_of(request).settings)
    return sent(request, {"sd_model_checkpoint": bases[0].checkpoint.title if bases else None})


@router.post("/png-info")
def png_info(request: Request, body: JsonBody) -> Response:
    """Tell what a PNG says of how it was made; of other pictures nothing is told."""
    return sent(request, a1111_drawn.png_info(read_texts(read_png_info(body))))


def _progress(context: Context, job: JobView) -> Progress:
    drawing = record(context.progress().get("drawing"))
    batches = [
        each for each in map(record, _listed(drawing.get("batches"))) if job.id in _listed(each.get("jobs"))
    ]
    total = max(1, job.total or 1)
    done = min(total, job.done + sum(_share(each) for each in batches)) / total
    first = batches[0] if batches else {}
    begun = job.started_at
    passed = 0.0 if begun is None else max(0, context.catalog.clock() - begun) / 1000
    waits_for = drawing.get("waits_for")
    return Progress(
        done=done,
        seconds=passed / done - passed if done else 0.0,
        job=_JOB,
        jobs=total,
        jobs_done=job.done,
        step=_number(first, "step"),
        steps=_number(first, "steps"),
        at=timestamp(job.created_at),
        text=f"waiting: {waits_for}" if isinstance(waits_for, str) and not batches else None,
    )


def _share(batch: Mapping[str, object]) -> float:
    """Return how many pictures of a batch are done, were they drawn one after the other."""
    steps = _number(batch, "steps")
    return _number(batch, "pieces") * _number(batch, "step") / steps if steps else 0.0


def _number(told: Mapping[str, object], name: str) -> int:
    value = told.get(name)
    return value if isinstance(value, int) else 0


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
