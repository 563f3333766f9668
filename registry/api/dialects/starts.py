"""Pictures that drawings begin with, as other tools send them: kept here, and named by addresses of ours.

Nothing is ever fetched: an address means a picture only if its signature says that it was made here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from registry.api.access import actor_of
from registry.api.context import context_of
from registry.api.links import path_signer
from registry.api.prefixes import split_prefixes
from registry.api.signing import check, find_signature
from registry.catalog.secrets import find_link_key
from registry.catalog.uploads import forget_uploads, put_upload, size_of
from registry.errors import BadPicture, BadRequest
from registry.pictures.sniff import sniff
from registry.sampling import LOCAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

DAY: Final = 86_400
"""For how many seconds what is sent is kept, and its address holds."""
MAX_PICTURE: Final = 32 << 20
_MOST_SIDE: Final = 4096
_KINDS: Final = ("PNG", "JPEG", "WebP")
# What draws here opens no other files of strangers.
_LOCAL_KINDS: Final = ("PNG",)
_PATH: Final = re.compile(r"/api/v1/pictures/([0-9a-f]{64})/original", re.ASCII)


class Start(NamedTuple):
    """A picture that a drawing may begin with: its key, and its sides in pixels."""

    key: str
    width: int
    height: int


def keep_start(request: Request, data: bytes) -> Start:
    """Keep what somebody sends to begin a drawing with, for a day at least; then what is older may go.

    Raises BadRequest for what is no picture, or none that can be begun with, and PicturesFull.
    """
    context = context_of(request)
    if len(data) > MAX_PICTURE:
        raise BadRequest(
            f"a picture has at most {MAX_PICTURE >> 20} MiB here", remedy="give a smaller picture"
        )
    kinds = _LOCAL_KINDS if context.settings.renderer == LOCAL else _KINDS
    kind = sniff(data)
    if kind is None or kind.name not in kinds:
        said = "that is no picture" if kind is None else f"a picture to begin with is no {kind.name} here"
        raise BadRequest(said, remedy=f"send {' or '.join(kinds)}")
    try:
        kept = context.studio.keep(data, original=True)
    except BadPicture as error:
        raise BadRequest(str(error), remedy=error.remedy) from error
    width, height = kept.width or 0, kept.height or 0
    fits = 0 < max(width, height) <= _MOST_SIDE
    with context.catalog.write(actor=actor_of(request)) as unit:
        if fits:
            put_upload(unit, kept)
        unused = forget_uploads(unit, unit.now - DAY * 1000)
        if not fits and size_of(unit.conn, kept.key) is None:
            unused.append(kept.key)
        # Before anybody else keeps the same.
        context.studio.store.remove(unused)
    if not fits:
        raise BadRequest(
            f"a picture to begin with has at most {_MOST_SIDE:,} pixels a side", remedy="give a smaller one"
        )
    return Start(kept.key, width, height)


def start_address(request: Request) -> Callable[[str], str]:
    """Return what gives the address of a picture that was kept, by its key; it holds for a day."""
    context = context_of(request)
    signed = path_signer(context, request, context.catalog.clock() // 1000 + DAY)
    return lambda key: signed(str(request.app.url_path_for("original", key=key)))


def key_at(request: Request, address: str) -> str | None:
    """Return the key of the picture that an address of ours means, `None` for all other addresses.

    Which host it names does not matter. Raises Forbidden for one that was changed, or that ended.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    path = split_prefixes(unquote(parts.path)).rest
    found, signed = _PATH.fullmatch(path), find_signature(parts.query)
    if found is None or signed is None:
        return None
    catalog = context_of(request).catalog
    with catalog.read() as conn:
        key = find_link_key(conn)
    check(key, path, signed, catalog.clock() // 1000)
    return found[1]


def start_of(request: Request, key: str) -> Start:
    """Return a picture that was kept; BadRequest if it is not any more."""
    context = context_of(request)
    with context.catalog.read() as conn:
        size = size_of(conn, key)
    if size is None or context.studio.store.original(key) is None:
        raise BadRequest("that picture is not kept any more", remedy="send it again")
    return Start(key, *size)
