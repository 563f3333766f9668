"""The v3 route of Novita: models page by page, narrowed by filters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from registry.api.access import needs
from registry.api.context import context_of
from registry.api.dialects.addresses import Addresses
from registry.api.dialects.answers import Dialect, sent
from registry.api.dialects.novita import NAME
from registry.api.dialects.origins import ids_by_name, ids_by_tag, one_each, within
from registry.api.shelf import shelf_of
from registry.wire import novita

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from registry.api.shelf import Shelf
    from registry.catalog.entries import Listed
    from registry.errors import RegistryError
    from registry.shown import Entry
    from registry.wire.novita import Query

    Made = dict[str, object]

router = APIRouter()

MOST_LOOKED_AT: Final = 1_000
"""So many models are looked at for one page, which may then be short."""
_AT_ONCE: Final = 100
_SOURCES: Final = {"public": "civitai", "private": "uploading"}


@router.get("/v3/model", dependencies=[needs("read")])
def models(request: Request) -> Response:
    """List models page by page, in the order in which they came into the catalog."""
    query = novita.read_query(request.query_params)
    addresses = Addresses(request)
    with context_of(request).catalog.read() as conn:
        shelf = shelf_of(request, conn, NAME)
        candidates = _candidates(request, shelf, query)
        page, end = _page(conn, shelf, candidates, query, addresses)
    more = end < len(candidates)
    answer = novita.models_v3(page, next_start=end if more else None)
    return sent(request, answer, withheld=shelf.withheld)


def _candidates(request: Request, shelf: Shelf, query: Query) -> list[Listed]:
    """Return the models that lists and the index tell to be meant, before any of them is looked at."""
    found = one_each(shelf.files)
    if query.types:
        kinds = {novita.KINDS.get(name) for name in query.types}
        found = [one for one in found if one.kind in kinds]
    if query.is_sdxl is not None:
        found = [one for one in found if (one.architecture == "sdxl") == query.is_sdxl]
    narrowed = [ids_by_tag(request, tag) for tag in query.tags]
    if query.query is not None:
        narrowed.append(ids_by_name(request, query.query))
    return [one for one in found if all(one.lora_id in ids for ids in narrowed)]


def _page(
    conn: Connection, shelf: Shelf, candidates: list[Listed], query: Query, addresses: Addresses
) -> tuple[list[Made], int]:
    """Return a page, and how many candidates come before the next one."""
    unfiltered = replace(query, limit=novita.MAX_LIMIT, start=0) == novita.Query()
    at_once = query.limit if unfiltered else _AT_ONCE
    end, place = min(query.start + MOST_LOOKED_AT, len(candidates)), query.start
    page: list[tuple[Entry, Made]] = []
    while place < end and len(page) < query.limit:
        some = candidates[place : min(place + at_once, end)]
        entries = {entry.file_id: entry for entry in within(shelf.limits, shelf.entries(conn, some))}
        for one in some:
            if len(page) == query.limit:
                break
            place += 1
            entry = entries.get(one.file_id)
            if entry is not None and _is_wanted(made := _made(entry, addresses), entry, query):
                page.append((entry, made))
    covers = addresses.covers(conn, [entry for entry, _ in page], shelf.limits)
    return [{**made, "cover_url": covers.get(entry.lora_id, "")} for entry, made in page], place


def _made(entry: Entry, addresses: Addresses) -> Made:
    return novita.model_v3(entry, download_url=addresses.file(entry), download_ttl=addresses.seconds)


def _is_wanted(made: Made, entry: Entry, query: Query) -> bool:
    """Whether a model is meant by the filters that are about what is told of it."""
    tags = {tag.casefold() for tag in (*entry.shown.tags, *entry.shown.user_tags)}
    sources = {source for source in (query.source, _SOURCES.get(query.visibility or "")) if source}
    inpainting = made["base_model_type"] == "Inpainting"
    return (
        sources <= {made["source"]}
        and query.is_nsfw in {None, made["is_nsfw"]}
        and query.is_inpainting in {None, inpainting}
        and {tag.casefold() for tag in query.tags} <= tags
    )


def _failure(error: RegistryError) -> tuple[int, object]:
    return error.status, novita.failed_v3(error)


DIALECT: Final = Dialect(router, _failure)
