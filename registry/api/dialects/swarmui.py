"""The LoRA lists of SwarmUI, and the pictures that they lead to."""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Request, Response

from registry.api.access import needs, principal_of
from registry.api.context import context_of
from registry.api.dialects.answers import Dialect, JsonBody, members, sent, streamed
from registry.api.dialects.covers import cover_answer, cover_bytes
from registry.api.shelf import shelf_of
from registry.api.version import version
from registry.catalog.entries import plain_entries
from registry.catalog.finding import with_paths
from registry.shown import Shown
from registry.wire import swarmui_models as swarm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from registry.api.shelf import Shelf
    from registry.shown import Entry

router = APIRouter(dependencies=[needs("read")])
DIALECT = Dialect(router, swarm.failure)
NAME: Final = "swarmui"
_NOBODY: Final = "local"
_PICTURES: Final = "ViewSpecial/LoRA"
_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}


async def _in_session(
    body: JsonBody, session: Annotated[str | None, Header(alias="X-Session-ID")] = None
) -> object:
    swarm.session_of(body, session)
    return body


Body = Annotated[object, Depends(_in_session)]


@router.post("/API/GetNewSession")
def new_session(request: Request) -> Response:
    """Give a session, which says nothing of who asks."""
    who = principal_of(request).name or _NOBODY
    server = context_of(request).machine_id
    return sent(request, swarm.session(secrets.token_hex(20), user=who, version=version(), server=server))


@router.post("/API/ListModels", openapi_extra=_BODY)
def list_models(request: Request, body: Body) -> Response:
    """List the files of a folder, and of those below it as deep as asked."""
    wanted = swarm.list_request(body)
    with context_of(request).catalog.read() as conn:
        shelf = shelf_of(request, conn, NAME)
    found = swarm.list_models(
        _sortable(shelf, wanted.sort), wanted, _picture(shelf, data=wanted.data_images), shelf.whole
    )
    return streamed(request, members(found), withheld=shelf.withheld)


@router.post("/API/DescribeModel", openapi_extra=_BODY)
def describe_model(request: Request, body: Body) -> Response:
    """Tell all about one file."""
    wanted = swarm.model_request(body)
    with context_of(request).catalog.read() as conn:
        shelf = shelf_of(request, conn, NAME, with_paths(swarm.paths_of(wanted)))
        entries = shelf.entries(conn)
    return sent(request, swarm.describe(entries, wanted, _picture(shelf, data=True)))


@router.post("/API/GetModelHash", openapi_extra=_BODY)
def model_hash(request: Request, body: Body) -> Response:
    """Tell the hash of one file."""
    wanted = swarm.model_request(body)
    with context_of(request).catalog.read() as conn:
        entries = shelf_of(request, conn, NAME, with_paths(swarm.paths_of(wanted))).entries(conn)
    return sent(request, swarm.model_hash(entries, wanted))


@router.get(f"/{_PICTURES}/{{name:path}}", response_class=Response)
def picture(request: Request, name: str) -> Response:
    """Send the picture of a file."""
    context = context_of(request)
    with context.catalog.read() as conn:
        shelf = shelf_of(request, conn, NAME, with_paths([name]))
        found = (
            cover_answer(request, context, conn, shelf.files[0].lora_id, shelf.limits)
            if shelf.files
            else None
        )
    # Of the errors of SwarmUI what is not there is told with 200, which is no picture.
    return Response(status_code=404) if found is None else found


def _sortable(shelf: Shelf, sort: str) -> Iterable[Entry]:
    """Return entries that tell what they are sorted by."""
    if sort == swarm.BY_TITLE:
        whole = shelf.whole(plain_entries(shelf.files))
        return (
            replace(entry, shown=Shown(entry.shown.name), header={}, version=None, model=None)
            for entry in whole
        )
    return plain_entries(shelf.files) if sort == swarm.BY_NAME else shelf.bare()


def _picture(shelf: Shelf, *, data: bool) -> Callable[[Entry], str | None]:
    """Return what gives the picture of an entry: as data, or as an address that begins where the API does."""

    def address(entry: Entry) -> str | None:
        return f"{_PICTURES}/{quote(entry.path)}" if entry.preview else None

    def whole(entry: Entry) -> str | None:
        if not entry.preview:
            return None
        with shelf.context.catalog.read() as conn:
            found = cover_bytes(shelf.context, conn, entry.lora_id, shelf.limits)
        return None if found is None else f"data:{found[1]};base64,{base64.b64encode(found[0]).decode()}"

    return whole if data else address
