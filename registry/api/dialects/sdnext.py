"""The single LoRA of SD.Next; its list is that of A1111."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from registry.api.access import needs
from registry.api.context import context_of
from registry.api.dialects.answers import Dialect, sent, view_of
from registry.api.shelf import shelf_of
from registry.catalog.finding import with_underscored_name
from registry.catalog.raw_headers import raw_header
from registry.formats.covers import without_pictures
from registry.wire import sdnext

router = APIRouter(dependencies=[needs("read")])
DIALECT = Dialect(router, sdnext.failure)
NAME: Final = "sdnext"


@router.get("/sdapi/v1/lora")
def get_lora(
    request: Request, lora: Annotated[str | None, Query(description="its name, with `_` for dots")] = None
) -> Response:
    """Tell all about one LoRA."""
    wanted = sdnext.lora_request(lora)
    with context_of(request).catalog.read() as conn:
        seen = view_of(request, conn, NAME)
        if seen.unchanged:
            return seen.not_modified()
        shelf = shelf_of(request, conn, NAME, with_underscored_name(wanted))
        file = sdnext.find(shelf.entries(conn), wanted)
        header = raw_header(conn, file.file_id)
    metadata = {} if header is None else header.metadata
    if not shelf.limits.shows(file.shown.nsfw_level):
        metadata = without_pictures(metadata)
    profile = shelf.profile
    told = sdnext.network(
        file, relative=profile.relative(file), absolute=profile.absolute(file), metadata=metadata
    )
    return sent(request, told, seen)
