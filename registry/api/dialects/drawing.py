"""Drawing for the clients of other tools: what may be drawn, jobs that are waited for, what came of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.concurrency import run_in_threadpool

from registry.api.access import actor_of, principal_of
from registry.api.context import context_of
from registry.api.dialects.addresses import HOUR
from registry.api.links import path_signer
from registry.api.problems import Problem, Refused
from registry.api.profiles import profile_of
from registry.catalog.drawing import drawn
from registry.catalog.jobs import get_job, list_jobs
from registry.catalog.pictures import picture_of_key
from registry.catalog.pieces import DONE, pieces_of, stop_job
from registry.catalog.showing import known_of
from registry.errors import BadRequest, Forbidden, NotFound, RegistryError, UnsupportedArchitecture
from registry.formats.nsfw import BLOCKED, NAMES, XXX, highest
from registry.render.trade import RENDER, asked_of
from registry.toolpaths import NSFW_LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection
    from starlette.requests import Request

    from registry.api.context import Context
    from registry.drawings import Asking
    from registry.render.plan import Spec
    from registry.views import JobView

MOST: Final = 64
"""Pictures of one drawing."""
_LOOK_SECONDS: Final = 0.5
_MOST_LIVE: Final = 1000
_MOST_WAITING: Final = 64


class Drawn(NamedTuple):
    """What came of one picture of a drawing: `picture` is its key, `None` while there is none."""

    spec: Spec
    state: str
    picture: str | None
    error: str | None


def require_drawable(request: Request, conn: Connection, lora_id: int) -> None:
    """Raise Forbidden for a lora whose pictures are not sent to this token or tool, whatever is asked for."""
    words = context_of(request).searching.place.words
    known = known_of(conn, [lora_id], words=words).get(lora_id)
    level = None if known is None else highest(known.shown.nsfw_level)
    if (level or 0) > _cap(request, conn):
        raise Forbidden("hidden by level", remedy="this token or tool is sent no pictures of that level")


def queue(request: Request, asking: Asking) -> JobView:
    """Queue a drawing and return its job.

    Raises BadRequest, NotFound and CannotDraw where it cannot be drawn.
    """
    context = context_of(request)
    try:
        job_id, _ = context.render(asking, actor_of(request))
    except UnsupportedArchitecture as error:
        raise BadRequest(str(error), remedy=error.remedy) from error
    with context.catalog.read() as conn:
        return get_job(conn, job_id)


async def ended(request: Request, job_id: int) -> JobView | None:
    """Return a job once it has ended; it is stopped for a client that goes away, and then `None`.

    Raises NotFound for one that was forgotten, Refused when the server goes down.
    """
    context = context_of(request)
    context.waiting[job_id] = actor_of(request)
    try:
        while True:
            ticket = context.feed.ticket
            job = await run_in_threadpool(_job, context, job_id)
            if job.finished_at is not None:
                return job
            if context.feed.closed:
                await run_in_threadpool(stop, request, job_id)
                raise Refused(Problem(503, "going-down", "the server is going down", "ask again later"))
            if await request.is_disconnected():
                await run_in_threadpool(stop, request, job_id)
                return None
            await context.feed.wait_beyond(ticket, _LOOK_SECONDS)
    finally:
        context.waiting.pop(job_id, None)


def require_room(context: Context) -> None:
    """Refuse one more who waits for a drawing where there are very many: each holds a connection."""
    if len(context.waiting) >= _MOST_WAITING:
        text = f"{_MOST_WAITING} drawings are waited for already"
        raise Refused(Problem(503, "too-many", text, "ask again later", headers=(("retry-after", "30"),)))


def stop(request: Request, job_id: int) -> None:
    """Stop a job; one that has ended meanwhile stays as it is."""
    context = context_of(request)
    with contextlib.suppress(NotFound), context.catalog.write(actor=actor_of(request)) as unit:
        stop_job(unit, job_id)


def live_jobs(context: Context) -> list[JobView]:
    """Return the drawings that are not finished, oldest first."""
    with context.catalog.read() as conn:
        return list_jobs(conn, live=True, kind=RENDER, limit=_MOST_LIVE)[::-1]


def waited_for(request: Request, jobs: Sequence[JobView]) -> list[JobView]:
    """Return those of the jobs that whoever asks has a request wait for."""
    waiting = context_of(request).waiting
    return [job for job in jobs if waiting.get(job.id, "") == actor_of(request)]


def drawn_of(conn: Connection, job_id: int) -> list[Drawn]:
    """Return what came of the first pictures of a job, in the order of their seeds."""
    pieces = pieces_of(conn, job_id, limit=MOST)
    pictures = drawn(conn, [piece.key for piece in pieces])
    found = []
    for piece in pieces:
        picture = pictures.get(piece.key)
        key = picture.picture if piece.state == DONE and picture is not None else None
        found.append(Drawn(asked_of(piece).spec, piece.state, key, piece.error or piece.slug))
    return sorted(found, key=lambda each: each.spec.seed)


def original(context: Context, key: str) -> bytes:
    """Return the bytes of a picture that was drawn; RegistryError where this machine does not keep them."""
    found = context.studio.store.original(key)
    if found is None:
        raise RegistryError("that picture was drawn by another machine, which keeps it")
    return found.path.read_bytes()


class Links:
    """Makes addresses of pictures that were drawn, which hold for an hour at least without any token."""

    def __init__(self, request: Request) -> None:
        context = context_of(request)
        self._request = request
        until = (context.catalog.clock() // 1000 // HOUR + 2) * HOUR
        # Whoever has a picture drawn wants to see it, up to what they may.
        unasked, self._cap = NSFW_LEVELS.get(context.settings.nsfw_pictures, BLOCKED), _cap(request)
        level = NAMES[min(self._cap, XXX)] if self._cap > unasked else None
        self._path = path_signer(context, request, until, level)

    def shows(self, conn: Connection, key: str) -> bool:
        """Whether a picture may be sent to whoever asks, also if its lora has another level now."""
        known = picture_of_key(conn, key, context_of(self._request).searching.place.words)
        return known is not None and (highest(known.level) or 0) <= self._cap

    def original(self, key: str) -> str:
        """Return where a picture is had from as it was drawn."""
        return self._of("original", key)

    def thumbnail(self, key: str) -> str:
        """Return where its thumbnail is had from."""
        return self._of("thumbnail", key)

    def _of(self, route: str, key: str) -> str:
        return self._path(str(self._request.app.url_path_for(route, key=key)))


def _job(context: Context, job_id: int) -> JobView:
    with context.catalog.read() as conn:
        return get_job(conn, job_id)


def _cap(request: Request, conn: Connection | None = None) -> int:
    """Return the highest level of pictures that whoever asks may be sent."""
    caps = (principal_of(request).scope.nsfw_pictures, profile_of(request, conn=conn).nsfw_pictures)
    return min((cap for cap in caps if cap is not None), default=BLOCKED)
