"""The model routes of ComfyUI, each under `/api` too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from registry.api.access import needs
from registry.api.context import context_of
from registry.api.dialects.answers import Dialect, array, sent, streamed, view_of
from registry.api.dialects.covers import cover_answer
from registry.api.profiles import profile_of
from registry.api.shelf import shelf_of
from registry.catalog.entries import plain_entries
from registry.catalog.finding import with_paths
from registry.catalog.raw_headers import raw_header
from registry.errors import NotFound
from registry.formats.covers import without_pictures
from registry.wire import comfyui

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.api.shelf import Shelf

router = APIRouter(dependencies=[needs("read")])
DIALECT = Dialect(router, comfyui.failure)
NAME: Final = "comfyui"


def _get(path: str, **options: Any) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Add a route twice, as ComfyUI has it."""

    def add(endpoint: Callable[..., Response]) -> Callable[..., Response]:
        for prefix in ("", "/api"):
            router.add_api_route(prefix + path, endpoint, methods=["GET"], **options)
        return endpoint

    return add


@_get("/models")
def folders(request: Request) -> Response:
    """List the kinds of folders there are: that of LoRAs."""
    return sent(request, comfyui.folders())


@_get("/models/{folder}")
def names(request: Request, folder: str) -> Response:
    """List the names of all files."""
    comfyui.check_folder(folder)
    with context_of(request).catalog.read() as conn:
        seen = view_of(request, conn, NAME)
        if seen.unchanged:
            return seen.not_modified()
        shelf = shelf_of(request, conn, NAME)
    return sent(request, _names(shelf), seen, withheld=shelf.withheld)


@_get("/object_info/{node}")
def object_info(request: Request, node: str) -> Response:
    """Tell how a loader of LoRAs looks, with the names of all files; nothing of other nodes."""
    with context_of(request).catalog.read() as conn:
        seen = view_of(request, conn, NAME)
        if seen.unchanged:
            return seen.not_modified()
        shelf = shelf_of(request, conn, NAME)
    return sent(request, comfyui.object_info(node, _names(shelf)), seen, withheld=shelf.withheld)


@_get("/view_metadata/{folder}")
def view_metadata(
    request: Request,
    folder: str,
    filename: Annotated[str | None, Query(description="a name of the list")] = None,
) -> Response:
    """Show the metadata of a header as they stand; above the level that may be sent, without pictures."""
    comfyui.check_folder(folder)
    if filename is None:
        raise NotFound("There is no such file.", remedy="Add filename=NAME.")
    with context_of(request).catalog.read() as conn:
        seen = view_of(request, conn, NAME)
        if seen.unchanged:
            return seen.not_modified()
        separator = profile_of(request, NAME, conn=conn).separator
        shelf = shelf_of(request, conn, NAME, with_paths([comfyui.path_of(filename, separator)]))
        file = comfyui.find(shelf.entries(conn), filename, separator)
        header = raw_header(conn, file.file_id)
    # Nobody can tell whether a header without any has an empty object of them.
    metadata = header.metadata if header is not None and header.metadata else None
    if metadata is not None and not shelf.limits.shows(file.shown.nsfw_level):
        metadata = without_pictures(metadata)
    shown = comfyui.view_metadata(file.path, metadata, 0 if header is None else header.length)
    return sent(request, shown, seen)


@_get("/experiment/models")
def folder_paths(request: Request) -> Response:
    """List the roots where the tool sees them."""
    profile = profile_of(request, NAME)
    return sent(request, comfyui.folder_paths([profile.prefix[label] for label in profile.roots]))


@_get("/experiment/models/{folder}")
def detailed_list(request: Request, folder: str) -> Response:
    """List all files of all roots with their sizes and times."""
    comfyui.check_folder(folder)
    with context_of(request).catalog.read() as conn:
        seen = view_of(request, conn, NAME)
        if seen.unchanged:
            return seen.not_modified()
        shelf = shelf_of(request, conn, NAME)
    rows = comfyui.detailed_list(shelf.bare(), shelf.profile.relative)
    return streamed(request, array(rows), seen, withheld=shelf.withheld)


@_get("/experiment/models/preview/{folder}/{root}/{filename:path}", response_class=Response)
def preview(request: Request, folder: str, root: str, filename: str) -> Response:
    """Send the picture of a file, found by its name with or without extension."""
    comfyui.check_folder(folder)
    context = context_of(request)
    wanted = comfyui.preview_request(root, filename, profile_of(request, NAME).separator)
    with context.catalog.read() as conn:
        shelf = shelf_of(request, conn, NAME, with_paths([wanted.path], [wanted.path]))
        file = comfyui.previewed(plain_entries(shelf.files), wanted)
        picture = cover_answer(request, context, conn, file.lora_id, shelf.limits)
    if picture is None:
        raise NotFound("There is no picture of it.")
    return picture


def _names(shelf: Shelf) -> list[str]:
    return comfyui.file_names(plain_entries(shelf.files), shelf.profile.relative)
