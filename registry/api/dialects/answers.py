"""What the routes of other tools have in common: errors in their words, answers that are revalidated."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import orjson
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from registry.api.conditional import view
from registry.api.context import context_of
from registry.api.encoding import IDENTITY, compress_pieces
from registry.api.problems import SAFE_HEADERS
from registry.api.profiles import limits_of, mark_of, profile_of
from registry.api.security import MAX_BODY
from registry.api.serialise import MEDIA_TYPE, REVALIDATE, VARY, answer, coding_for, to_json
from registry.errors import BadRequest, Conflict, Forbidden, NotFound, RegistryError, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from enum import Enum

    from fastapi import APIRouter
    from sqlalchemy import Connection

    from registry.api.conditional import View
    from registry.api.problems import Problem
    from registry.api.profiles import Limits
    from registry.toolpaths import Profile

TAGS: Final[list[str | Enum]] = ["dialects"]
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"description": "What went wrong, in the words of this tool"}
}
WITHHELD: Final = "x-loras-withheld"
"""How many entries there are above the level that may be sent."""
_BLOCK: Final = 1 << 16
_MOST_PARTS: Final = 20_000
# Failures tell errors apart by their class; all others they only repeat.
_KINDS: Final[dict[int, type[RegistryError]]] = {
    kind.status: kind for kind in (BadRequest, Unauthorized, Forbidden, NotFound, Conflict)
}


class Dialect(NamedTuple):
    """The routes of a tool, and how it tells what went wrong: a status and a body, `None` for an empty one.

    `body_paths` are those of its paths whose clients name their token in the body.
    """

    router: APIRouter
    failure: Callable[[RegistryError], tuple[int, object]]
    body_paths: frozenset[str] = frozenset()


def told(problem: Problem, failure: Callable[[RegistryError], tuple[int, object]]) -> Response:
    """Return what tells of a problem as a tool does; a status that tool has no error for stays as it is."""
    kind = _KINDS.get(problem.status)
    status, body = failure((kind or _refusal(problem.status))(problem.detail, remedy=problem.remedy))
    headers = {**SAFE_HEADERS, "cache-control": "no-store"}
    response = Response(
        b"" if body is None else to_json(body),
        problem.status if kind is None else status,
        headers,
        None if body is None else MEDIA_TYPE,
    )
    for name, value in problem.headers:
        response.headers.append(name, value)
    return response


@cache
def _refusal(status: int) -> type[RegistryError]:
    """Return an error of a status that no other has: tools tell it in their bodies."""
    return type(RegistryError.__name__, (RegistryError,), {"status": status})


def view_of(request: Request, conn: Connection, dialect: str) -> View:
    """Return the view of a request of a dialect, which depends on its profile and its limits too.

    Raises as `profile_of` does.
    """
    profile, limits = profile_of(request, dialect, conn=conn), limits_of(request, conn=conn)
    return view(request, conn, mark_for(request, profile, limits))


def mark_for(request: Request, profile: Profile, limits: Limits) -> str:
    """Return what tells apart the answers of one generation of the catalog; it belongs into their ETags."""
    return f"{mark_of(profile, limits)}-{index_for(request, limits)}"


def index_for(request: Request, limits: Limits) -> int:
    """Return the generation of the index where answers depend on it, else 0.

    What is above a limit is known from the index, which follows the catalog.
    """
    return 0 if limits.entries is None else context_of(request).searching.engine.refresh()


def sent(request: Request, value: object, seen: View | None = None, *, withheld: int = 0) -> Response:
    """Return the value as a JSON answer; with the view that it is of it can be revalidated."""
    response = answer(request, value) if seen is None else seen.answer(value)
    return _counting(response, withheld)


def streamed(
    request: Request, pieces: Iterable[bytes], seen: View | None = None, *, withheld: int = 0
) -> Response:
    """Return pieces of JSON, as of `array`, as an answer that is never held whole; `seen` as for `sent`."""
    coding = coding_for(request)
    headers = {"cache-control": REVALIDATE, "vary": VARY}
    if seen is not None:
        headers["etag"] = seen.etag
    if coding != IDENTITY:
        headers["content-encoding"] = coding
    body = compress_pieces(_blocks(pieces), coding)
    return _counting(StreamingResponse(body, headers=headers, media_type=MEDIA_TYPE), withheld)


def array(items: Iterable[object]) -> Iterator[bytes]:
    """Yield a JSON array, one item after the other."""
    between = b"["
    for item in items:
        yield between + to_json(item)
        between = b","
    yield b"[]" if between == b"[" else b"]"


def members(value: Mapping[str, object]) -> Iterator[bytes]:
    """Yield a JSON object, those of its members that are iterators as arrays, one item after the other."""
    between = b"{"
    for name, member in value.items():
        yield between + to_json(name) + b":"
        yield from array(member) if isinstance(member, Iterator) else (to_json(member),)
        between = b","
    yield b"{}" if between == b"{" else b"}"


async def _json(request: Request) -> object:
    body = await request.body()
    if not body:
        return None
    # What is large is a picture, a text without any of these; millions of small values are none.
    if len(body) > MAX_BODY and sum(body.count(mark) for mark in b",[{") > _MOST_PARTS:
        raise BadRequest("the body has too many parts", remedy="send pictures in base64, and little else")
    return _parsed(body) if len(body) < _BLOCK else await run_in_threadpool(_parsed, body)


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("the body is not JSON", remedy="send a JSON object") from None


JsonBody = Annotated[object, Depends(_json)]
"""The JSON that a request has as its body, `None` for an empty one; BadRequest for what is no JSON."""


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces: each that is sent is a turn of a thread."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _counting(response: Response, withheld: int) -> Response:
    if withheld:
        response.headers[WITHHELD] = str(withheld)
    return response
