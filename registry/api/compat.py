"""The routes of other tools: each row of a `ROUTES` table in `registry.wire`, bound to what it asks for."""

from __future__ import annotations

import importlib
import pkgutil
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from registry import wire
from registry.api.access import actor_of, needs
from registry.api.conditional import etag_of
from registry.api.context import Context, context_of
from registry.api.encoding import IDENTITY, negotiate
from registry.api.prepared import Key, Prepared, PreparedAnswers
from registry.api.serialise import MEDIA_TYPE, REVALIDATE, VARY, matches
from registry.api.shapes import A1111Entry, A1111Error
from registry.catalog.counting import Stamp, stamp
from registry.catalog.listing import (
    ListedFile,
    full_metadata,
    last_of_shared_names,
    listed_files,
    listed_names,
    mounted_roots,
)
from registry.wire import Operation, Route
from registry.wire.a1111 import NO_METADATA, Item, arrange, join_path, metadata_json, name_of
from registry.wire.gzip_segments import Fragment, gzip_member

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from sqlalchemy import Connection

_BATCH = 200
_ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": A1111Error, "description": "What went wrong"}
}


def dialect_routes() -> list[Route]:
    """Return the routes of all modules of `registry.wire`."""
    found: list[Route] = []
    for module in pkgutil.iter_modules(wire.__path__):
        found += getattr(importlib.import_module(f"{wire.__name__}.{module.name}"), "ROUTES", ())
    return found


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
            bool, Query(description="keep the cover images that some headers hold, megabytes each")
        ] = False,
    ) -> Response:
        """List the present files with their metadata, as this tool does."""
        context = context_of(request)
        coding = negotiate(request.headers.get("accept-encoding"), ("gzip",))
        with context.catalog.read() as conn:
            now = stamp(conn)
        headers = {"etag": etag_of(now, request, coding), "cache-control": REVALIDATE, "vary": VARY}
        if matches(request.headers.get("if-none-match"), headers["etag"]):
            return Response(status_code=304, headers=headers)
        key = Key(f"{route.path} {covers}", *now)
        found = prepared.get(key, partial(_write_list, context, route, covers))
        headers["etag"] = etag_of(Stamp(found.key.generation, found.key.at), request, coding)
        if coding != IDENTITY:
            headers |= {"content-encoding": coding, "content-length": str(found.size)}
        return _PreparedResponse(found, plain=coding == IDENTITY, headers=headers)

    return list_loras


def _bind_refresh(route: Route, _: PreparedAnswers) -> Callable[..., Response]:
    def refresh(request: Request) -> Response:
        """Look for new, changed and missing files and answer when that is done."""
        context_of(request).rescan_and_wait(actor_of(request))
        return Response(b"".join(route.encode(())), media_type=MEDIA_TYPE)

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


def _write_list(context: Context, route: Route, covers: bool, write: Callable[[bytes], object]) -> Key:  # noqa: FBT001 - bound by partial
    """Write the list as one gzip member and return what it is of."""
    with context.catalog.read() as conn:
        key = Key(f"{route.path} {covers}", *stamp(conn))
        for chunk in gzip_member(route.encode(_items(conn, context.machine_id, covers=covers))):
            write(chunk)
    return key


def _items(conn: Connection, machine_id: str, *, covers: bool) -> Iterator[Item[Fragment | bytes]]:
    roots = mounted_roots(conn, machine_id)
    shown = (file_id for _, file_id in arrange(listed_names(conn), last_of_shared_names(conn)))
    while batch := list(islice(shown, _BATCH)):
        whole = dict(full_metadata(conn, batch)) if covers else {}
        for file in listed_files(conn, batch):
            name = name_of(file.path.rpartition("/")[2])
            metadata = metadata_json(whole[file.id], keep_covers=True) if file.id in whole else _stored(file)
            yield Item(name, file.alias or name, join_path(roots[file.root_id], file.path), metadata)


def _stored(file: ListedFile) -> Fragment | bytes:
    if file.deflate is None or file.crc is None or file.size is None:
        return NO_METADATA
    return Fragment(file.deflate, file.crc, file.size)
