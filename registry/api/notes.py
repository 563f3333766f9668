"""`/api/v1/notes`: all that was noted, out as an archive and in again; only administrators see everything."""

from __future__ import annotations

import datetime as dt
import tempfile
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from registry.api.access import actor_of, needs
from registry.api.context import context_of
from registry.api.disposition import attachment
from registry.api.serialise import answer
from registry.errors import BadRequest, CatalogError
from registry.noted_pictures import originals_of, taker_for
from registry.notes.rotation import name_of
from registry.noting import Imported, import_notes, write_notes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

    from registry.api.context import Context

router = APIRouter(tags=["notes"], dependencies=[needs("admin")])

MEDIA_TYPE = "application/zip"
_PIECE = 1 << 20
_BYTES: dict[str, Any] = {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
DryRun = Annotated[bool, Query(description="only say what it would come to")]


class _Archive(StreamingResponse):
    """Sends a file that nobody else has, and closes it whatever becomes of the client."""

    def __init__(self, file: BinaryIO, headers: dict[str, str]) -> None:
        self._file = file
        super().__init__(self._pieces(), headers=headers, media_type=MEDIA_TYPE)

    def _pieces(self) -> Iterator[bytes]:
        while piece := self._file.read(_PIECE):
            yield piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._file:
            await super().__call__(scope, receive, send)


@router.get(
    "/notes", response_class=StreamingResponse, responses={200: {**_BYTES, "description": "An archive"}}
)
def export(request: Request) -> Response:
    """Send an archive of all that is noted: notes of loras, pictures that were given, saved searches."""
    context = context_of(request)
    file = _scratch(context)
    try:
        manifest = write_notes(context.catalog, file, original=originals_of(context.studio))
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    day = dt.datetime.fromtimestamp(manifest.made_at / 1000, dt.UTC).date()
    headers = {
        "cache-control": "no-store",
        "content-disposition": attachment(name_of(day)),
        "content-length": str(size),
    }
    return _Archive(file, headers)


@router.post(
    "/notes",
    responses={200: {"model": Imported}},
    openapi_extra={"requestBody": {"required": True, **_BYTES}},
)
async def import_(request: Request, *, dry_run: DryRun = False) -> Response:
    """Take an archive of notes, as the body, into the catalog.

    Lists are united and the newer of two values stays; notes of loras that are not here wait for them. What
    cannot be used is told, and the rest is taken.
    """
    context = context_of(request)
    with await run_in_threadpool(_scratch, context) as file:
        async for piece in request.stream():
            await run_in_threadpool(_write, file, piece)
        if not file.tell():
            raise BadRequest("there is no archive in the body", remedy="send the file as the whole body")
        done = await run_in_threadpool(_import, context, file, actor_of(request), dry_run=dry_run)
    return answer(request, done)


def _scratch(context: Context) -> BinaryIO:
    """Open a file that is gone when it is closed."""
    try:
        return cast("BinaryIO", tempfile.TemporaryFile(dir=context.settings.data_dir))
    except OSError as error:
        raise _full(error) from error


def _write(file: BinaryIO, piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as error:
        raise _full(error) from error


def _full(error: OSError) -> CatalogError:
    return CatalogError(
        f"there is no room for the archive: {error.strerror or error}",
        remedy="free some space in the data folder",
    )


def _import(context: Context, file: BinaryIO, actor: str | None, *, dry_run: bool) -> Imported:
    file.flush()
    file.seek(0)
    take = taker_for(context.catalog, context.studio, actor)
    return import_notes(context.catalog, file, actor=actor, dry_run=dry_run, take_picture=take)
