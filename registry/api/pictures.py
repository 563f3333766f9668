"""Pictures of loras (`.../preview`, `.../pictures`) and by key, each up to the level that may be sent."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from registry.api.access import actor_of, needs
from registry.api.conditional import view
from registry.api.context import context_of
from registry.api.levels import require_told, resolve_told
from registry.api.profiles import limits_of
from registry.api.references import ONE, Reference, check_reference
from registry.api.serialise import answer, matches
from registry.api.shapes import PictureGiven, PictureList
from registry.catalog.lookup import resolve
from registry.catalog.notes import require_room
from registry.catalog.picture_rows import USER, Looked, Tie, forget_ties, user_picture, write_looked
from registry.catalog.pictures import cover_of, picture_of_key, pictures_of
from registry.catalog.showing import known_of
from registry.errors import BadPicture, Forbidden, NotFound
from registry.pictures.sniff import sniff

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from registry.api.context import Context
    from registry.catalog.showing import Known
    from registry.pictures.store import Original

router = APIRouter(tags=["pictures"])

Key = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="the SHA-256 of a picture")]
_WEBP = "image/webp"
_NO_PICTURE = "there is no picture of it"
# What a key names never changes; who may see it is asked of each browser once.
_FOREVER = "private, max-age=31536000, immutable"
# The cover may be another one next time.
_NOW = "private, no-cache"
_SANDBOX = "default-src 'none'; sandbox; frame-ancestors 'none'"
_VARY = "Authorization, Cookie"

_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_THUMBNAIL: dict[int | str, dict[str, Any]] = {
    200: {"content": {_WEBP: _BYTES}, "description": "The thumbnail"},
    304: {"description": "The client has it already"},
}
_ORIGINAL: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": _BYTES}, "description": "The picture as it came"},
    304: {"description": "The client has it already"},
}


@router.head(f"{ONE}/preview", include_in_schema=False, dependencies=[needs("read")])
@router.get(f"{ONE}/preview", response_class=Response, dependencies=[needs("read")], responses=_THUMBNAIL)
def preview(request: Request, ref: Reference) -> Response:
    """Send the thumbnail of the picture that stands for a lora, up to the level that may be sent.

    A 403 where all pictures are above it. The ETag is the key of the picture.
    """
    context, limits = context_of(request), limits_of(request)
    with context.catalog.read() as conn:
        lora_id, known = _known(request, conn, ref)
        cover = cover_of(conn, {lora_id: known}, limits.pictures).get(lora_id)
    if cover is None:
        raise NotFound(_NO_PICTURE, remedy="give one with PUT, or put one beside its file")
    _require(limits.shows(cover.level))
    return _thumbnail(request, context, cover.key, _NOW)


@router.get(f"{ONE}/pictures", dependencies=[needs("read")], responses={200: {"model": PictureList}})
def list_(request: Request, ref: Reference) -> Response:
    """List the pictures of a lora that may be sent, the one that stands for it first."""
    context, limits = context_of(request), limits_of(request)
    with context.catalog.read() as conn:
        # The limits are part of it: they may be those of a cookie.
        current = view(request, conn, repr(limits))
        if current.unchanged:
            return current.not_modified()
        lora_id, known = _known(request, conn, ref)
        found = pictures_of(conn, lora_id, known)
    shown = [one for one in found if limits.shows(one.level)]
    return current.answer(PictureList(shown, len(found) - len(shown)))


@router.put(
    f"{ONE}/pictures",
    status_code=201,
    dependencies=[needs("write")],
    responses={201: {"model": PictureGiven}},
    openapi_extra={"requestBody": {"required": True, "content": {"image/*": _BYTES}}},
)
async def give(request: Request, ref: Reference) -> Response:
    """Give a lora a picture, as the body: PNG, JPEG, WebP, GIF or AVIF, or a video where ffmpeg is there.

    It is kept as it came, and stands before all others but the one that was chosen as the cover. What is no
    picture is a 422. A lora has at most 100 that were given: a 409.
    """
    data = await request.body()
    given = await run_in_threadpool(_give, request, ref, data)
    return answer(request, given, status=201)


@router.delete(f"{ONE}/pictures/{{key}}", status_code=204, dependencies=[needs("write")])
def take_back(request: Request, ref: Reference, key: Key) -> Response:
    """Take back a picture that was given; those from elsewhere are not taken away."""
    check_reference(ref)
    context = context_of(request)
    with context.catalog.write(actor=actor_of(request)) as unit:
        lora_id = resolve_told(request, unit.conn, ref)
        tie = user_picture(unit.conn, lora_id, key)
        if tie is None:
            raise NotFound("nobody gave it this picture", remedy="GET .../pictures lists what there is")
        context.studio.store.remove(forget_ties(unit, [tie]))
    return Response(status_code=204)


@router.head("/pictures/{key}", include_in_schema=False, dependencies=[needs("read")])
@router.get("/pictures/{key}", response_class=Response, dependencies=[needs("read")], responses=_THUMBNAIL)
def thumbnail(request: Request, key: Key) -> Response:
    """Send the thumbnail of a picture, if its level may be sent."""
    context = context_of(request)
    _check_key(request, context, key)
    return _thumbnail(request, context, key, _FOREVER)


@router.head("/pictures/{key}/original", include_in_schema=False, dependencies=[needs("read")])
@router.get(
    "/pictures/{key}/original", response_class=Response, dependencies=[needs("read")], responses=_ORIGINAL
)
def original(request: Request, key: Key) -> Response:
    """Send a picture as it came, if it was kept and its level may be sent.

    The type is what its bytes say.
    """
    context = context_of(request)
    _check_key(request, context, key)
    found = context.studio.store.original(key)
    if found is None:
        raise NotFound("its original was not kept", remedy="see pictures_originals in the settings")
    return _file(request, key, found)


def _give(request: Request, ref: str, data: bytes) -> PictureGiven:
    check_reference(ref)
    context = context_of(request)
    with context.catalog.read() as conn:
        lora_id = resolve_told(request, conn, ref)
        require_room(conn, lora_id, hashlib.sha256(data).hexdigest())
    kind = sniff(data)
    if kind is not None and kind.demuxer is not None and context.studio.ffmpeg is None:
        raise BadPicture("a video needs ffmpeg, which is not there", remedy="install it, or give an image")
    kept = context.studio.keep(data, original=True)
    with context.catalog.write(actor=actor_of(request)) as unit:
        lora_id = resolve(unit.conn, f"id:{lora_id}", context.machine_id)
        require_told(request, unit.conn, lora_id)
        unused = write_looked(unit, [Looked(Tie(USER, lora_id, kept.key.encode()), kept)])
        context.studio.store.remove(unused)
    return PictureGiven(kept.key, kept.media_type, kept.width, kept.height)


def _known(request: Request, conn: Connection, ref: str) -> tuple[int, Known]:
    check_reference(ref)
    lora_id = resolve_told(request, conn, ref)
    return lora_id, known_of(conn, [lora_id], words=context_of(request).searching.place.words)[lora_id]


def _check_key(request: Request, context: Context, key: str) -> None:
    """Raise NotFound for what is no picture of anything, Forbidden for one whose level is not sent."""
    limits = limits_of(request)
    with context.catalog.read() as conn:
        found = picture_of_key(conn, key, context.searching.place.words)
    if found is None:
        raise NotFound("there is no such picture")
    _require(limits.shows(found.level))


def _require(shows: bool) -> None:  # noqa: FBT001 - what the limits say
    if not shows:
        raise Forbidden("hidden by level", remedy="raise the limit with ?nsfw=LEVEL, as far as you may")


def _thumbnail(request: Request, context: Context, key: str, cache: str) -> Response:
    headers = {"etag": f'"{key}"', "cache-control": cache, "vary": _VARY}
    if matches(request.headers.get("if-none-match"), headers["etag"]):
        return Response(status_code=304, headers=headers)
    data = context.studio.store.thumbnail(key)
    if data is None:
        raise NotFound("its thumbnail is not on this machine", remedy="scan or sync on this machine")
    return Response(data, headers=headers, media_type=_WEBP)


def _file(request: Request, key: str, found: Original) -> Response:
    headers = {
        "etag": f'"{key}-original"',
        "cache-control": _FOREVER,
        "vary": _VARY,
        "content-security-policy": _SANDBOX,
        "content-disposition": f'inline; filename="{key[:16]}{found.path.suffix}"',
    }
    if matches(request.headers.get("if-none-match"), headers["etag"]):
        return Response(status_code=304, headers=headers)
    return FileResponse(found.path, headers=headers, media_type=found.media_type)
