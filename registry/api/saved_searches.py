"""`/api/v1/saved-searches`: queries under names; who may look uses them, who may write saves them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import actor_of, needs
from registry.api.context import context_of
from registry.api.serialise import answer
from registry.api.shapes import SavedList
from registry.catalog.saved import LONGEST_QUERY, SavedSearch, delete_saved, get_saved, list_saved, put_saved

router = APIRouter(tags=["saved searches"])

Name = Annotated[str, Path(max_length=1000, description="up to 100 printable characters, in any case")]


class NewQuery(BaseModel):
    """What to save: the text of a query as it would be typed; any text is one."""

    model_config = ConfigDict(extra="forbid")
    query: Annotated[str, Field(max_length=LONGEST_QUERY)]


@router.get("/saved-searches", dependencies=[needs("read")], responses={200: {"model": SavedList}})
def list_(request: Request) -> Response:
    """List the saved searches by name."""
    with context_of(request).catalog.read() as conn:
        found = list_saved(conn)
    return answer(request, SavedList(found))


@router.get(
    "/saved-searches/{name:path}", dependencies=[needs("read")], responses={200: {"model": SavedSearch}}
)
def show(request: Request, name: Name) -> Response:
    """Show one saved search."""
    with context_of(request).catalog.read() as conn:
        found = get_saved(conn, name)
    return answer(request, found)


@router.put(
    "/saved-searches/{name:path}",
    dependencies=[needs("write")],
    responses={
        200: {"model": SavedSearch, "description": "It takes the place of what was saved under that name"},
        201: {"model": SavedSearch, "description": "Nothing was saved under that name"},
    },
)
def put(request: Request, name: Name, new: NewQuery) -> Response:
    """Save a query under a name, in place of what was saved under it."""
    with context_of(request).catalog.write(actor=actor_of(request)) as unit:
        added = put_saved(unit, name, new.query)
        saved = get_saved(unit.conn, name)
    return answer(request, saved, status=201 if added else 200)


@router.delete("/saved-searches/{name:path}", status_code=204, dependencies=[needs("write")])
def remove(request: Request, name: Name) -> Response:
    """Forget a saved search."""
    with context_of(request).catalog.write(actor=actor_of(request)) as unit:
        delete_saved(unit, name)
    return Response(status_code=204)
