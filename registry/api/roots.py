"""`/api/v1/roots`: the folders that are catalogued; only administrators choose them."""

from __future__ import annotations

import pathlib
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import actor_of, needs
from registry.api.context import Context, context_of
from registry.api.serialise import answer
from registry.api.shapes import RootList
from registry.catalog.roots import counted, get_root, list_roots
from registry.errors import BadRequest
from registry.views import RootView

router = APIRouter(tags=["roots"])

_NULLABLE = "hash_readers"
RootId = Annotated[int, Path(ge=0, lt=2**63)]
Location = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]


class RootOptions(BaseModel):
    """What can be set for a root; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    label: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")] | None = None
    writable: bool | None = None
    private: bool | None = None
    follow_out: bool | None = None
    pickles: bool | None = None
    ignore_inode: bool | None = None
    poll: Literal["auto", "always", "never"] | None = None
    header_readers: Annotated[int, Field(ge=1, le=64)] | None = None
    hash_readers: Annotated[int, Field(ge=1, le=64)] | None = None
    position: Annotated[int, Field(ge=0, lt=2**31)] | None = None

    def given(self) -> dict[str, object]:
        """Return the options that were sent; only `hash_readers` may be null, which means the default."""
        sent = self.model_dump(include=set(RootOptions.model_fields), exclude_unset=True)
        empty = [name for name, value in sent.items() if value is None and name != _NULLABLE]
        if empty:
            raise BadRequest(f"{empty[0]} cannot be null", remedy="leave it out to keep it")
        return sent


class NewRoot(RootOptions):
    """A folder to catalogue, by its absolute path on the machine that serves."""

    path: Location


class NewPlace(BaseModel):
    """Where the folder of a root is now."""

    model_config = ConfigDict(extra="forbid")
    path: Location


@router.get("/roots", dependencies=[needs("read")], responses={200: {"model": RootList}})
def list_(request: Request) -> Response:
    """List the roots in the order in which pickers show them."""
    context = context_of(request)
    with context.catalog.read() as conn:
        return answer(request, RootList(counted(conn, list_roots(conn, context.machine_id))))


@router.post(
    "/roots",
    status_code=201,
    dependencies=[needs("admin")],
    responses={201: {"model": RootView}, 200: {"model": RootView, "description": "It was a root already"}},
)
def add(request: Request, root: NewRoot) -> Response:
    """Add a folder, which is then scanned; one that is a root already gets the options and answers 200."""
    context = context_of(request)
    root_id, new = context.add_root(_whole(root.path), root.given(), actor_of(request))
    return _answer(request, context, root_id, status=201 if new else 200)


@router.patch("/roots/{root_id}", dependencies=[needs("admin")], responses={200: {"model": RootView}})
def change(request: Request, root_id: RootId, options: RootOptions) -> Response:
    """Change options of a root; what they change of its files follows in the background."""
    context = context_of(request)
    given = options.given()
    if not given:
        raise BadRequest("there is nothing to change", remedy="send at least one option")
    context.change_root(root_id, given, actor_of(request))
    return _answer(request, context, root_id)


@router.post("/roots/{root_id}/relocate", dependencies=[needs("admin")], responses={200: {"model": RootView}})
def relocate(request: Request, root_id: RootId, place: NewPlace) -> Response:
    """Say where the folder of a root is now; its files keep everything that is known about them."""
    context = context_of(request)
    context.relocate_root(root_id, _whole(place.path), actor_of(request))
    return _answer(request, context, root_id)


@router.delete("/roots/{root_id}", status_code=204, dependencies=[needs("admin")])
def remove(request: Request, root_id: RootId) -> Response:
    """Take a root out of the catalog; no file is touched, and what is known about its loras stays."""
    context_of(request).remove_root(root_id, actor_of(request))
    return Response(status_code=204)


def _whole(path: str) -> str:
    """Return a path that means the same wherever the server was started; BadRequest for any other."""
    if not pathlib.Path(path).is_absolute():
        raise BadRequest(
            f"{path[:200]!r} is not an absolute path",
            remedy="name the whole path of the folder on the machine that serves",
        )
    return path


def _answer(request: Request, context: Context, root_id: int, *, status: int = 200) -> Response:
    with context.catalog.read() as conn:
        (root,) = counted(conn, [get_root(conn, root_id, context.machine_id)])
    return answer(request, root, status=status)
