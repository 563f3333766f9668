"""The pictures that stand for loras, as other tools ask for them: thumbnails in WebP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from registry.api.serialise import REVALIDATE, matches
from registry.catalog.pictures import cover_of
from registry.catalog.showing import known_of

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.requests import Request

    from registry.api.context import Context
    from registry.api.profiles import Limits

MEDIA_TYPE: Final = "image/webp"
_VARY: Final = "Authorization, Cookie"


def cover_key(context: Context, conn: Connection, lora_id: int, limits: Limits) -> str | None:
    """Return the key of the picture that stands for a lora, `None` where none may be shown."""
    known = known_of(conn, [lora_id], words=context.searching.place.words)
    cover = cover_of(conn, known, limits.pictures).get(lora_id)
    return cover.key if cover is not None and limits.shows(cover.level) else None


def cover_bytes(context: Context, conn: Connection, lora_id: int, limits: Limits) -> tuple[bytes, str] | None:
    """Return the picture that stands for a lora and its media type; `None` where none may be shown."""
    key = cover_key(context, conn, lora_id, limits)
    data = None if key is None else context.studio.store.thumbnail(key)
    return None if data is None else (data, MEDIA_TYPE)


def cover_answer(
    request: Request, context: Context, conn: Connection, lora_id: int, limits: Limits
) -> Response | None:
    """Return the answer with the picture of a lora, whose ETag is its key; `None` where none may be shown."""
    key = cover_key(context, conn, lora_id, limits)
    if key is None:
        return None
    headers = {"etag": f'"{key}"', "cache-control": REVALIDATE, "vary": _VARY}
    if matches(request.headers.get("if-none-match"), headers["etag"]):
        return Response(status_code=304, headers=headers)
    data = context.studio.store.thumbnail(key)
    return None if data is None else Response(data, headers=headers, media_type=MEDIA_TYPE)
