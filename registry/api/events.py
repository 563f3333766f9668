"""`/api/v1/events`: the changes of the catalog as they happen, as server-sent events.

Source of the format: WHATWG HTML, section 9.2 (server-sent events).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from registry.api.access import needs
from registry.api.context import Context, context_of
from registry.api.serialise import to_json
from registry.api.shapes import ChangeEvent
from registry.catalog.changes import changes_since, generation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

router = APIRouter(tags=["events"], dependencies=[needs("read")])

BATCH = 500
KEEPALIVE_SECONDS = 15.0
RETRY_MS = 2000
_LARGEST_ID = 2**63 - 1


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    request: Request, since: Annotated[int | None, Query(ge=0, le=_LARGEST_ID)] = None
) -> Response:
    """Follow the changes after `Last-Event-ID` or `since`, else from now on.

    Events are `change` (the id is its seq) and `resync`: the point asked for is too long ago, read all anew.
    """
    context = context_of(request)
    last = request.headers.get("last-event-id", "").strip()
    if last:
        # What is no number of ours is a point we do not know: it leads to a resync like one that is too old.
        since = int(last) if last.isdecimal() and len(last) < 19 else _LARGEST_ID
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_stream(context, since), headers=headers, media_type="text/event-stream")


async def _stream(context: Context, since: int | None) -> AsyncIterator[bytes]:
    feed = context.feed
    point = await run_in_threadpool(_generation, context) if since is None else since
    # An id without data moves the point to resume at and shows the client nothing.
    yield b"retry: %d\nid: %d\n\n" % (RETRY_MS, point)
    while not feed.closed:
        ticket = feed.ticket
        point, lines, full = await run_in_threadpool(_next_events, context, point)
        if lines:
            yield lines
        if not full and not await feed.wait_beyond(ticket, KEEPALIVE_SECONDS):
            yield b": still here\n\n"


def _generation(context: Context) -> int:
    with context.catalog.read() as conn:
        return generation(conn)


def _next_events(context: Context, since: int) -> tuple[int, bytes, bool]:
    """Return where to go on, the events up to there, and whether there are more at once."""
    with context.catalog.read() as conn:
        changed = changes_since(conn, since, limit=BATCH)
        if changed is None:
            now = generation(conn)
            return now, _event(b"resync", now, {"generation": now}), False
    lines = b"".join(_event(b"change", each.seq, ChangeEvent.of(each)) for each in changed)
    return changed[-1].seq if changed else since, lines, len(changed) == BATCH


def _event(name: bytes, seq: int, data: object) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (seq, name, to_json(data))
