"""Drawing as A1111's API does it: a request is answered with the pictures once they are there."""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from registry.api.access import needs
from registry.api.context import context_of
from registry.api.dialects.a1111_words import failure, timestamp
from registry.api.dialects.answers import Dialect, JsonBody, sent
from registry.api.dialects.base_models import base_called
from registry.api.dialects.drawing import (
    drawn_of,
    ended,
    live_jobs,
    original,
    queue,
    require_drawable,
    require_room,
    stop,
    waited_for,
)
from registry.api.dialects.starts import keep_start
from registry.api.serialise import MEDIA_TYPE, to_json
from registry.api.shelf import shelf_of
from registry.catalog.aliases import files_called
from registry.catalog.finding import with_ids
from registry.catalog.pieces import FAILED
from registry.drawings import FIRST, Asking
from registry.errors import BadRequest, RegistryError
from registry.formats.infotext import read_infotext
from registry.formats.png_text import read_texts
from registry.formats.values import quoted
from registry.sampling import drawn_with, samplers_of
from registry.wire import a1111_drawn
from registry.wire.a1111 import LISTED_EXTENSIONS
from registry.wire.a1111_drawing import Drawing, read_drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from registry.api.context import Context
    from registry.views import JobView

router = APIRouter(prefix="/sdapi/v1", dependencies=[needs("write")])
DIALECT: Final = Dialect(router, failure)
NAME: Final = "a1111"
_GONE: Final = 499
"""What nobody reads: the client went away."""
_MOST_NAMED: Final = 5


@router.post("/txt2img")
async def txt2img(request: Request, body: JsonBody) -> Response:
    """Draw pictures by a prompt, and answer with them when they are there."""
    return await _answered(request, body, from_image=False)


@router.post("/img2img")
async def img2img(request: Request, body: JsonBody) -> Response:
    """Draw pictures that begin with one that is sent, and answer with them when they are there."""
    return await _answered(request, body, from_image=True)


@router.post("/interrupt")
def interrupt(request: Request) -> Response:
    """Stop the drawing that whoever asks has waited for longest."""
    _interrupt(request)
    return sent(request, {})


@router.post("/skip")
def skip(request: Request) -> Response:
    """Do what `interrupt` does."""
    _interrupt(request)
    return sent(request, None)


async def _answered(request: Request, body: object, *, from_image: bool) -> Response:
    require_room(context_of(request))
    begin = partial(_begin, request, body, from_image=from_image)
    drawing, job_id = await run_in_threadpool(begin)
    # It may be waited for long, and what it begins with is megabytes.
    if isinstance(body, dict):
        body.clear()
    request._body = b""  # noqa: SLF001 - nothing public lets go of it
    job = await ended(request, job_id)
    if job is None:
        return Response(status_code=_GONE)
    return await run_in_threadpool(_answer, context_of(request), drawing, job)


def _begin(request: Request, body: object, *, from_image: bool) -> tuple[Drawing, int]:
    """Queue what is asked for, and return it with the id of its job."""
    context = context_of(request)
    settings = context.settings
    drawing = read_drawing(
        body, samplers=samplers_of(settings.renderer), draw=secrets.randbelow, from_image=from_image
    )
    drawing = replace(drawing, sampler=drawn_with(drawing.sampler, settings.renderer))
    loras, weights = _loras(request, drawing)
    base = "" if drawing.checkpoint is None else base_called(settings, drawing.checkpoint).name
    start = None if drawing.init_image is None else keep_start(request, drawing.init_image)
    asking = Asking(
        loras=loras,
        architecture="" if loras else base,
        base=base,
        weights=weights,
        seeds=drawing.seeds,
        prompt=drawing.prompt,
        negative=drawing.negative,
        size=(drawing.width, drawing.height),
        steps=drawing.steps,
        sampler=drawing.sampler,
        cfg=drawing.cfg,
        start=None if start is None else start.key,
        denoise=drawing.denoising_strength,
        priority=FIRST,
    )
    queued = queue(request, asking).id
    return replace(drawing, init_image=None if start is None else b""), queued


def _loras(request: Request, drawing: Drawing) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the one lora that the prompt names, if it does, and its weight."""
    if not drawing.loras:
        return (), ()
    if len(drawing.loras) > 1:
        names = ", ".join(quoted(name) for name, _ in drawing.loras[:_MOST_NAMED])
        raise BadRequest(
            f"a picture is drawn with one lora here, and the prompt names {len(drawing.loras)}: {names}",
            remedy="name one",
        )
    ((name, weight),) = drawing.loras
    with context_of(request).catalog.read() as conn:
        lora_id = _lora_called(request, conn, name)
        require_drawable(request, conn, lora_id)
    return (lora_id,), (weight,)


def _lora_called(request: Request, conn: Connection, name: str) -> int:
    """Return the lora that the list of loras calls so; of files with one name the last is listed.

    A1111 draws without a lora that it does not know. BadRequest for one, for such a picture would be another.
    """
    files = files_called(conn, LISTED_EXTENSIONS, name)
    told = shelf_of(request, conn, NAME, with_ids(files)).files if files else ()
    called = {_stem(one.path): one.lora_id for one in told}
    if not called:
        raise BadRequest(f"there is no lora {quoted(name)}", remedy="give a name that /sdapi/v1/loras lists")
    if len(set(called.values())) > 1:
        names = ", ".join(quoted(each) for each in sorted(called)[:_MOST_NAMED])
        raise BadRequest(f"several loras have the alias {quoted(name)}: {names}", remedy="name one of these")
    return next(iter(called.values()))


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _answer(context: Context, drawing: Drawing, job: JobView) -> Response:
    """Answer with what was drawn; of a drawing that was stopped that is what there was by then."""
    with context.catalog.read() as conn:
        pictures = drawn_of(conn, job.id)
    failed = [each for each in pictures if each.state == FAILED]
    if failed:
        said = failed[0].error or "nobody knows why"
        raise RegistryError(f"{len(failed)} of {len(pictures)} pictures could not be drawn: {said}")
    pngs = [original(context, each.picture) for each in pictures if each.picture is not None]
    # Megabytes that are as small as they get: not compressed again.
    made = to_json(a1111_drawn.drawn(drawing, _made(pngs, job)))
    return Response(made, media_type=MEDIA_TYPE, headers={"cache-control": "no-store"})


def _made(pngs: Sequence[bytes], job: JobView) -> a1111_drawn.Made:
    """Return what pictures say of themselves."""
    infotexts = [read_texts(png).get("parameters", "") for png in pngs]
    told = read_infotext(infotexts[0] if infotexts else "").parameters
    return a1111_drawn.Made(
        pngs=pngs,
        infotexts=infotexts,
        model=told.get("Model", ""),
        model_hash=told.get("Model hash", ""),
        lora_hashes=told.get("Lora hashes", ""),
        at=timestamp(job.created_at),
        version=told.get("Version", ""),
    )


def _interrupt(request: Request) -> None:
    own = waited_for(request, live_jobs(context_of(request)))
    if own:
        stop(request, own[0].id)
