"""The routes of other tools: each row of a `ROUTES` table in `registry.wire`, bound to what it asks for."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from registry import wire
from registry.api.access import actor_of, needs
from registry.api.conditional import etag_of
from registry.api.context import context_of
from registry.api.dialects.answers import index_for
from registry.api.encoding import IDENTITY, negotiate
from registry.api.lora_list import DIALECT, Part, Picked, pick, search_of, sight_of, write_list
from registry.api.prepared import Draft, Key, Prepared, PreparedAnswers
from registry.api.profiles import limits_of, mark_of, profile_of
from registry.api.serialise import MEDIA_TYPE, REVALIDATE, VARY, matches
from registry.api.shapes import A1111Entry, A1111Error
from registry.catalog.counting import Stamp, stamp
from registry.wire import Auth, Operation, Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

GENERATION = "x-loras-generation"
_ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": A1111Error, "description": "What went wrong"}
}


def dialect_routes() -> list[Route]:
    """Return the routes of all modules of `registry.wire`."""
    found: list[Route] = []
    for module in pkgutil.iter_modules(wire.__path__):
        found += getattr(importlib.import_module(f"{wire.__name__}.{module.name}"), "ROUTES", ())
    return found


def body_token_paths() -> frozenset[str]:
    """Return the paths of the tools whose clients name their token in the body."""
    return frozenset(route.path for route in dialect_routes() if route.auth is Auth.BODY)


def mount(prepared: PreparedAnswers) -> APIRouter:
    """Return a router with every route of every dialect."""
    router = APIRouter(tags=["dialects"])
    for route in dialect_routes():
        bind, role, responses = _OPERATIONS[route.operation]
        router.add_api_route(
            route.path,
            bind(route, prepared),
            methods=[route.method],
            name=route.operation.name.lower(),
            dependencies=[needs(role)],
            responses={**responses, **_ERRORS},
        )
    return router


def _bind_list(route: Route, prepared: PreparedAnswers) -> Callable[..., Response]:
    def list_loras(
        request: Request,
        *,
        covers: Annotated[
            bool, Query(description="metadata as they stand, with pictures (megabytes), prompts, workflows")
        ] = False,
        picked: Annotated[Picked, Depends()],
    ) -> Response:
        """List the present files with their metadata, as this tool does.

        Pickers that know more than this tool may ask for less: what a search finds, the first so many, what
        changed since a generation. `x-loras-generation` tells the generation of an answer.
        """
        context = context_of(request)
        coding = negotiate(request.headers.get("accept-encoding"), ("gzip",))
        if picked.asked:
            loras = search_of(request, picked)
            with context.catalog.read() as conn:
                sight = sight_of(request, conn, covers=covers)
                return _some(prepared, pick(conn, sight, route, picked, loras), coding)
        limits = limits_of(request)
        # Without covers the list is the same for all limits of pictures.
        told = limits if covers else limits._replace(pictures=0)
        own, index = mark_of(profile_of(request, DIALECT), told), index_for(request, told)
        mark = f"{own}-{index}"
        with context.catalog.read() as conn:
            now = stamp(conn)
        headers = {"etag": etag_of(now, request, coding, mark), "cache-control": REVALIDATE, "vary": VARY}
        if matches(request.headers.get("if-none-match"), headers["etag"]):
            return Response(status_code=304, headers=headers)
        name = f"{route.path} {covers} {own}"

        def write(draft: Draft) -> Key:
            with context.catalog.read() as conn:
                sight = sight_of(request, conn, covers=covers)
                return write_list(conn, sight, route, name, draft, index=index)

        found = prepared.get(Key(name, *now, index), write)
        headers["etag"] = etag_of(Stamp(found.key.generation, found.key.at), request, coding, mark)
        headers[GENERATION] = str(found.key.generation)
        return _answer(found, coding, headers)

    return list_loras


def _some(prepared: PreparedAnswers, part: Part, coding: str) -> Response:
    def write(draft: Draft) -> Key:
        for segment in part.segments:
            draft.add(segment)
        return Key("", part.generation, 0)

    found = prepared.once(write)
    headers = {"cache-control": REVALIDATE, "vary": VARY, GENERATION: str(part.generation)}
    if part.everything:
        headers["x-loras-resync"] = "true"
    return _answer(found, coding, headers)


def _answer(found: Prepared, coding: str, headers: dict[str, str]) -> Response:
    if coding != IDENTITY:
        headers |= {"content-encoding": coding, "content-length": str(found.size)}
    return _PreparedResponse(found, plain=coding == IDENTITY, headers=headers)


def _bind_refresh(route: Route, _: PreparedAnswers) -> Callable[..., Response]:
    def refresh(request: Request) -> Response:
        """Look for new, changed and missing files and answer when that is done."""
        context_of(request).rescan_and_wait(actor_of(request))
        first, last = route.around
        return Response(first + b"".join(route.encode(())) + last, media_type=MEDIA_TYPE)

    return refresh


_OPERATIONS: dict[
    Operation, tuple[Callable[[Route, PreparedAnswers], Callable[..., Response]], str, dict[int | str, Any]]
] = {
    Operation.LIST_LORAS: (_bind_list, "read", {200: {"model": list[A1111Entry]}}),
    Operation.REFRESH_LORAS: (
        _bind_refresh,
        "write",
        {200: {"content": {MEDIA_TYPE: {"schema": {"type": "null"}}}}},
    ),
}


class _PreparedResponse(StreamingResponse):
    """Sends a prepared answer block by block and leaves it, whatever becomes of the client."""

    def __init__(self, prepared: Prepared, *, plain: bool, headers: dict[str, str]) -> None:
        self._prepared = prepared
        super().__init__(self._blocks(plain=plain), headers=headers, media_type=MEDIA_TYPE)

    async def _blocks(self, *, plain: bool) -> AsyncIterator[bytes]:
        blocks = self._prepared.plain_blocks() if plain else self._prepared.blocks()
        while block := await run_in_threadpool(next, blocks, b""):
            yield block

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._prepared.leave()
