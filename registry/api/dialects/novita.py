"""The v2 routes of Novita: what Civitai says of a version of which a file is here, and all models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from registry.api.access import actor_of, needs
from registry.api.context import context_of
from registry.api.dialects.addresses import Addresses
from registry.api.dialects.answers import Dialect, sent, streamed, view_of
from registry.api.dialects.origins import Asked, one_each, within
from registry.api.serialise import to_json
from registry.api.shelf import shelf_of
from registry.errors import Forbidden, NotFound
from registry.wire import novita

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.api.shelf import Shelf
    from registry.catalog.entries import Listed
    from registry.errors import RegistryError

router = APIRouter()

NAME: Final = "novita"
_ONE: Final = "/v2/model/civitai_version_id/{civitai_version_id}"


@router.get(_ONE, dependencies=[needs("read")])
def version(request: Request, civitai_version_id: str) -> Response:
    """Tell what is known of a version on Civitai of which a file is here."""
    number = novita.read_version_id(civitai_version_id)
    addresses = Addresses(request)
    with context_of(request).catalog.read() as conn:
        found = Asked(request, conn, NAME).of_versions([number]).get(number, [])
        # A file that several versions have is told of as the one that is shown.
        entry = next((one for one in found if one.shown.version_id == number), None)
        if entry is None:
            raise NotFound("no version has that id", remedy="ask for one of which a file is here")
        image_url = addresses.images(conn, [entry])(entry)
        answer = novita.found(entry, download_url=addresses.file(entry), image_url=image_url)
    return sent(request, answer)


@router.get("/v2/models", dependencies=[needs("read")])
def models(request: Request) -> Response:
    """List all models, or those of one type."""
    wanted = novita.read_type(request.query_params)
    addresses = Addresses(request)
    with context_of(request).catalog.read() as conn:
        seen = view_of(request, conn, NAME)
        seen = seen._replace(etag=f'{seen.etag[:-1]}-{addresses.until}"')
        if seen.unchanged:
            return seen.not_modified()
        shelf = shelf_of(request, conn, NAME)
    files = one_each(shelf.files)
    if wanted is not None:
        files = [one for one in files if one.kind == novita.KINDS.get(wanted)]
    return streamed(request, _written(shelf, files, addresses), seen, withheld=shelf.withheld)


@router.post(f"{_ONE}/sync", dependencies=[needs("write")])
def sync(request: Request, civitai_version_id: str) -> Response:
    """Ask Civitai for a version and its model, in the background; this route is ours, not Novita's."""
    number = novita.read_version_id(civitai_version_id)
    job = context_of(request).sync_version(number, actor_of(request))
    return sent(request, novita.envelope(0, "", {"job": job}))


def _written(shelf: Shelf, files: Sequence[Listed], addresses: Addresses) -> Iterator[bytes]:
    first, last = to_json(novita.listed(())).split(b"[]")
    yield first + b"["
    between = b""
    for entries in shelf.batches(files):
        with shelf.context.catalog.read() as conn:
            images = addresses.images(conn, entries)
        for entry in within(shelf.limits, entries):
            made = novita.model(entry, download_url=addresses.file(entry), image_url=images(entry))
            yield between + to_json(made)
            between = b","
    yield b"]" + last


def _failure(error: RegistryError) -> tuple[int, object]:
    # Who may not ask is told so before any envelope is looked into.
    return (error.status if isinstance(error, Forbidden) else 200), novita.failed(error)


DIALECT: Final = Dialect(router, _failure)
