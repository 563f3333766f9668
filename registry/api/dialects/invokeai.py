"""The model records of InvokeAI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from registry.api.access import needs
from registry.api.context import context_of
from registry.api.dialects.answers import Dialect, members, sent, streamed, view_of
from registry.api.dialects.covers import cover_answer
from registry.api.shelf import shelf_of
from registry.catalog.finding import with_hash, with_ids, with_name
from registry.errors import NotFound
from registry.wire import invokeai

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from registry.api.shelf import Shelf
    from registry.shown import Entry

_PREFIX: Final = "/api/v2/models"
router = APIRouter(prefix=_PREFIX, dependencies=[needs("read")])
DIALECT = Dialect(router, invokeai.failure)
NAME: Final = "invokeai"


@router.get("/")
def list_models(request: Request) -> Response:
    """List the records that fit, sorted."""
    wanted = invokeai.list_request(_parameters(request))
    with context_of(request).catalog.read() as conn:
        seen = view_of(request, conn, NAME)
        if seen.unchanged:
            return seen.not_modified()
        shelf = shelf_of(request, conn, NAME, None if wanted.name is None else with_name(wanted.name))
    found = invokeai.model_list(shelf.bare(), wanted, _places(shelf), shelf.whole)
    return streamed(request, members(found), seen, withheld=shelf.withheld)


@router.get("/get_by_hash")
def get_by_hash(request: Request) -> Response:
    """Give the record of the file that has a hash."""
    kind, digits = invokeai.hash_request(_parameters(request))
    entries, places = _among(request, with_hash(kind, digits))
    if not entries:
        raise NotFound("No model found with this hash")
    return sent(request, invokeai.record(entries[0], places))


@router.get("/get_by_attrs")
def get_by_attributes(request: Request) -> Response:
    """Give the first record with a name, a type and a base."""
    wanted = invokeai.attributes_request(_parameters(request))
    entries, places = _among(request, with_name(wanted.name))
    return sent(request, invokeai.by_attributes(entries, wanted, places))


@router.get("/i/{key}")
def get_record(request: Request, key: str) -> Response:
    """Give the record of a file."""
    entries, places = _among(request, with_ids([invokeai.file_id_of(key)]))
    if not entries:
        raise NotFound("model not found")
    return sent(request, invokeai.record(entries[0], places))


@router.get("/i/{key}/image", response_class=Response)
def get_image(request: Request, key: str) -> Response:
    """Send the picture of a file."""
    context = context_of(request)
    with context.catalog.read() as conn:
        shelf = shelf_of(request, conn, NAME, with_ids([invokeai.file_id_of(key)]))
        lora_id = shelf.files[0].lora_id if shelf.files else None
        found = None if lora_id is None else cover_answer(request, context, conn, lora_id, shelf.limits)
    if found is None:
        raise NotFound("model image not found")
    return found


def _among(request: Request, which: ColumnElement[bool]) -> tuple[list[Entry], invokeai.Places]:
    with context_of(request).catalog.read() as conn:
        shelf = shelf_of(request, conn, NAME, which)
        return shelf.entries(conn), _places(shelf)


def _places(shelf: Shelf) -> invokeai.Places:
    def picture(entry: Entry) -> str | None:
        # As InvokeAI has it: it begins where the API does, whatever stands in front.
        return f"{_PREFIX[1:]}/i/{invokeai.key_of(entry.file_id)}/image" if entry.preview else None

    return invokeai.Places(shelf.profile.absolute, picture)


def _parameters(request: Request) -> dict[str, list[str]]:
    return {name: request.query_params.getlist(name) for name in request.query_params}
