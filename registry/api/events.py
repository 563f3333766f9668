"""`/api/v1/events`: the changes of the catalog as they happen, as server-sent events.

Source of the format: WHATWG HTML, section 9.2 (server-sent events).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, NamedTuple

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from registry.api.access import needs, principal_of
from registry.api.context import Context, context_of
from registry.api.problems import Problem, respond
from registry.api.serialise import to_json
from registry.api.shapes import ChangeEvent, JobEvent
from registry.catalog.changes import changes_since, generation
from registry.catalog.jobs import newest_job, standing, standing_after, standing_live
from registry.catalog.tokens import is_usable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from starlette.types import Receive, Scope, Send

    from registry.catalog.jobs import Standing

router = APIRouter(tags=["events"], dependencies=[needs("read")])

BATCH = 500
KEEPALIVE_SECONDS = 15.0
RETRY_MS = 2000
# Each holds a connection for as long as its client likes.
MAX_STREAMS = 64
RETRY_SECONDS = 30
_LARGEST_ID = 2**63 - 1
# So many jobs that go on are looked at, and so many more that were told of as going on.
MOST_JOBS = 500
_MOST_FOLLOWED = 5000


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    request: Request, since: Annotated[int | None, Query(ge=0, le=_LARGEST_ID)] = None
) -> Response:
    """Follow the changes after `Last-Event-ID` or `since`, else from now on.

    Events are `change` (the id is its seq), `job` (how far a job is, without an id) and `resync`: the point
    asked for is too long ago, read all anew. The stream ends when its token is revoked; of too many streams
    the next one is refused with a 503.
    """
    context = context_of(request)
    last = request.headers.get("last-event-id", "").strip()
    if last:
        # What is no number of ours is a point we do not know: it leads to a resync like one that is too old.
        since = int(last) if last.isdecimal() and len(last) < 19 else _LARGEST_ID
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    token_id = principal_of(request).token_id
    return _Stream(context, _events(context, since, token_id), headers)


class _Stream(StreamingResponse):
    """A stream of events, or the answer that there are too many: whoever sends it counts it."""

    def __init__(self, context: Context, events: AsyncIterator[bytes], headers: dict[str, str]) -> None:
        super().__init__(events, headers=headers, media_type="text/event-stream")
        self._feed = context.feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._feed.followers >= MAX_STREAMS:
            await respond(_TOO_MANY, scope["path"])(scope, receive, send)
            return
        self._feed.followers += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._feed.followers -= 1


_TOO_MANY = Problem(
    503,
    "too-many-streams",
    f"{MAX_STREAMS} streams of events are open already",
    "end one of them, or ask again later",
    headers=(("retry-after", str(RETRY_SECONDS)),),
)


async def _events(context: Context, since: int | None, token_id: int | None) -> AsyncIterator[bytes]:
    feed = context.feed
    point = await run_in_threadpool(_generation, context) if since is None else since
    # An id without data moves the point to resume at and shows the client nothing.
    yield b"retry: %d\nid: %d\n\n" % (RETRY_MS, point)
    quiet = False
    jobs = Told()
    while not feed.closed:
        ticket = feed.ticket
        batch = await run_in_threadpool(_next_events, context, point, token_id)
        if batch is None:
            return
        point = batch.point
        lines = batch.lines + await run_in_threadpool(_job_events, context, jobs)
        if lines or quiet:
            yield lines or b": still here\n\n"
        full = batch.full or jobs.full
        quiet = not full and not await feed.wait_beyond(ticket, KEEPALIVE_SECONDS)


def _generation(context: Context) -> int:
    with context.catalog.read() as conn:
        return generation(conn)


class Told:
    """Which jobs a stream was told of, and how they stood then; it is `full` where there are more at once."""

    def __init__(self, most: int = MOST_JOBS) -> None:
        self.full = False
        self._most = most
        self._live: dict[int, Standing] = {}
        self._newest: int | None = None

    def look(self, conn: Connection) -> list[Standing]:
        """Return the jobs that stand otherwise than before, oldest first; at the first look those that go on.

        However many have ended, these are not read again: only those that go on, that went on, and new ones.
        """
        if self._newest is None:
            self._newest = newest_job(conn)
        live = {each.id: each for each in standing_live(conn, self._most)}
        new = standing_after(conn, self._newest, self._most)
        others = standing(conn, self._live.keys() - live.keys())
        now = live | {each.id: each for each in (*new, *others)}
        fresh = [each for _, each in sorted(now.items()) if self._live.get(each.id) != each]
        # What was told of as going on is followed to its end, also where very many others are before it.
        waiting = (each for each in now.values() if each.id not in live and each.finished_at is None)
        self._live = live | {each.id: each for each in islice(waiting, _MOST_FOLLOWED)}
        self._newest = new[-1].id if new else self._newest
        self.full = len(new) == self._most
        return fresh


class _Batch(NamedTuple):
    """Where to go on, the events up to there, and whether there are more at once."""

    point: int
    lines: bytes
    full: bool


def _next_events(context: Context, since: int, token_id: int | None) -> _Batch | None:
    """Return the events after a point; `None` for somebody whose token was revoked."""
    with context.catalog.read() as conn:
        if token_id is not None and not is_usable(conn, token_id):
            return None
        changed = changes_since(conn, since, limit=BATCH)
        if changed is None:
            now = generation(conn)
            return _Batch(now, _event(b"resync", now, {"generation": now}), full=False)
    lines = b"".join(_event(b"change", each.seq, ChangeEvent.of(each)) for each in changed)
    return _Batch(changed[-1].seq if changed else since, lines, full=len(changed) == BATCH)


def _job_events(context: Context, told: Told) -> bytes:
    """Return what is new of jobs; it has no id, for a stream does not go on from there."""
    with context.catalog.read() as conn:
        fresh = told.look(conn)
    return b"".join(b"event: job\ndata: %b\n\n" % to_json(JobEvent.of(job)) for job in fresh)


def _event(name: bytes, seq: int, data: object) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (seq, name, to_json(data))
