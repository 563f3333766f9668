"""`/api/v1/loras/{ref}/file`: the bytes of a model file, as they were scanned and hashed, or none at all."""

from __future__ import annotations

import base64
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from registry.api.access import needs
from registry.api.context import context_of
from registry.api.disposition import attachment
from registry.api.levels import resolve_told
from registry.api.problems import Problem, respond
from registry.api.references import ONE, Reference, check_reference
from registry.api.selection import Validators, precondition, wanted_range
from registry.api.sending import FileBody
from registry.catalog.roots import list_roots
from registry.catalog.sending import files_to_send
from registry.errors import UnreadableFile
from registry.ingest.sending import open_to_send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.catalog.sending import Sendable
    from registry.ingest.sending import OpenFile

router = APIRouter(tags=["files"], dependencies=[needs("read")])

MEDIA_TYPE = "application/octet-stream"
# A copy that was compressed on the way would not be what the ETag and the digest name.
_CACHE = "private, no-cache, no-transform"
# So many copies are tried before the first refusal is told.
_TRIES = 10

_KEPT = ("etag", "last-modified", "cache-control", "vary")
_OTHER_FILE = Problem(
    412, "precondition-failed", "the file is not the one that If-Match names", "ask for it anew"
)

_BYTES: dict[str, Any] = {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {**_BYTES, "description": "The whole file"},
    206: {**_BYTES, "description": "The range that was asked for"},
    304: {"description": "The client has it already"},
}


@router.head(f"{ONE}/file", include_in_schema=False)
@router.get(f"{ONE}/file", response_class=StreamingResponse, responses=_RESPONSES)
def send_file(request: Request, ref: Reference) -> Response:
    """Send a model file of a lora, whole or one range of it.

    A hash or a path means the file that has it and no other one, any other reference one of the lora's files.
    Only what passed the format check is sent, and only while it is what was scanned. The ETag is the SHA-256
    of the file, once it is hashed.
    """
    context = context_of(request)
    known, opened = _open(request, ref)
    answer = _answer(request, known, opened, _headers(known, context.catalog.clock()))
    if not isinstance(answer, FileBody):
        opened.close()
    return answer


def _answer(request: Request, known: Sendable, opened: OpenFile, headers: dict[str, str]) -> Response:
    asked, path, etag = request.headers, request.url.path, headers.get("etag")
    status = precondition(asked, Validators(etag, headers.get("last-modified")))
    if status == 304:
        return Response(status_code=304, headers={name: headers[name] for name in _KEPT if name in headers})
    if status == 412:
        return respond(_OTHER_FILE, path)
    # Ranges are defined for GET only (RFC 9110, section 14.2).
    part = wanted_range(asked, etag, known.size) if request.method == "GET" else None
    if part is None:
        headers["content-length"] = str(known.size)
        if request.method == "HEAD":
            return Response(headers=headers)
        return FileBody(opened, range(known.size), 200, headers)
    if not part:
        size = (("content-range", f"bytes */{known.size}"),)
        detail = f"the file has {known.size:,} bytes, and none of those that were asked for"
        return respond(Problem(416, "range-not-satisfiable", detail, "ask without Range", headers=size), path)
    headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{known.size}"
    headers["content-length"] = str(len(part))
    return FileBody(opened, part, 206, headers)


def _open(request: Request, ref: str) -> tuple[Sendable, OpenFile]:
    """Open the first of the files that are meant which is still what was scanned."""
    check_reference(ref)
    context = context_of(request)
    with context.catalog.read() as conn:
        resolve_told(request, conn, ref)
        files = files_to_send(conn, ref, context.machine_id)[:_TRIES]
        roots = [root.path for root in list_roots(conn, context.machine_id) if root.path is not None]
    return _first(files, roots)


def _first(files: Sequence[Sendable], roots: Sequence[str]) -> tuple[Sendable, OpenFile]:
    try:
        return files[0], open_to_send(files[0], roots)
    except UnreadableFile:
        if len(files) == 1:
            raise
    return _first(files[1:], roots)


def _headers(known: Sendable, now: int) -> dict[str, str]:
    headers = {
        "accept-ranges": "bytes",
        "cache-control": _CACHE,
        "content-disposition": attachment(known.name),
        "content-type": MEDIA_TYPE,
        "vary": "Authorization",
    }
    # RFC 9110, section 8.8.2.1: never a time that is still to come.
    if 0 <= known.mtime_ns <= now * 1_000_000:
        headers["last-modified"] = formatdate(known.mtime_ns // 1_000_000_000, usegmt=True)
    if known.sha256 is not None:
        headers["etag"] = f'"{known.sha256}"'
        headers["repr-digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(known.sha256)).decode()}:"
    return headers
