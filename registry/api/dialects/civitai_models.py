"""The list of models of the mirror of Civitai: each once, where the first of its loras stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from registry import cursor as cursors
from registry.api.context import context_of
from registry.api.dialects.addresses import Addresses
from registry.api.dialects.civitai_told import NAME, Teller
from registry.api.dialects.origins import ALL, Asked, ids_by_tag, ids_of
from registry.api.shelf import shelf_of
from registry.search.writing import plain
from registry.wire import civitai_mirror as mirror
from registry.wire.civitai_words import base_model, is_nsfw, model_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection
    from starlette.requests import Request

    from registry.shown import Entry
    from registry.wire.civitai_mirror import Query

MOST_LOOKED_AT: Final = 1_000
"""So many loras are looked at for one page, which may then be short."""
_AT_ONCE: Final = 100
_ORDER: Final = "civitai"


def page_of_models(request: Request, query: Query) -> tuple[dict[str, object], int]:
    """Return a page of models, and how many files are withheld from the list.

    Raises BadRequest for a cursor that is none, IndexDamaged.
    """
    addresses = Addresses(request)
    # The search reads the catalog by itself.
    best = None if query.query is None else context_of(request).searching.all_ids(query.query, ALL)
    with context_of(request).catalog.read() as conn:
        shelf = shelf_of(request, conn, NAME)
        candidates = _candidates(request, conn, query, {one.lora_id for one in shelf.files}, best)
        teller = Teller(request, conn, addresses)
        found, end = _page(teller, candidates, _start(query.cursor, candidates), query)
        items = list(teller.models(found).values())
    if not query.limit or end >= len(candidates):
        return mirror.models(items), shelf.withheld
    following = cursors.after(_ORDER, (end, candidates[end - 1]))
    page = mirror.models(items, next_cursor=following, next_page=_address(request, following))
    return page, shelf.withheld


def _candidates(
    request: Request, conn: Connection, query: Query, there: set[int], best: Sequence[int] | None
) -> list[int]:
    """Return those of the loras that may be meant, in order, before any of them is looked at.

    `best` has what the words of the query find, if it has any.
    """
    if query.ids:
        there = there & _of_ids(request, conn, query.ids)
    if query.tag is not None:
        there = there & ids_by_tag(request, query.tag)
    if query.username is not None:
        there = there & ids_of(request, f"creator:{plain(query.username)}")
    if best is None:
        return sorted(there, reverse=True)
    return [key for key in best if key in there]


def _of_ids(request: Request, conn: Connection, numbers: Iterable[int]) -> set[int]:
    known = Asked(request, conn, NAME).of_models([number for number in numbers if number > 0])
    ours = {key for number in numbers if (key := mirror.lora_of(number)) is not None}
    return ours | {entry.lora_id for some in known.values() for entry in some}


def _page(
    teller: Teller, candidates: Sequence[int], start: int, query: Query
) -> tuple[dict[int, list[Entry]], int]:
    """Return the files of the models of a page, and how many candidates come before the next one."""
    ranks = {lora_id: rank for rank, lora_id in enumerate(candidates)}
    end, place = min(start + MOST_LOOKED_AT, len(candidates)), start
    page: dict[int, list[Entry]] = {}
    while place < end and len(page) < query.limit:
        some = candidates[place : min(place + _AT_ONCE, end)]
        models = teller.files_of_models(teller.of_loras(some))
        first: dict[int, list[int]] = {}
        for number, entries in models.items():
            rank = min((ranks[one.lora_id] for one in entries if one.lora_id in ranks), default=-1)
            first.setdefault(rank, []).append(number)
        for _ in some:
            if len(page) >= query.limit:
                break
            for number in first.get(place, ()):
                if _is_wanted(models[number], query):
                    page[number] = models[number]
            place += 1
    return page, place


def _is_wanted(entries: Sequence[Entry], query: Query) -> bool:
    """Whether one of the files of a model is meant by all that narrows the list."""
    return any(_fits(entry, query) for entry in entries)


def _fits(entry: Entry, query: Query) -> bool:
    shown = entry.shown
    bases = {word.casefold() for word in query.base_models}
    return (
        (query.tag is None or _is_among(query.tag, shown.tags))
        and (query.username is None or _is_among(query.username, (shown.creator or "",)))
        and (not query.types or model_type(entry) in query.types)
        and (not bases or (base_model(entry) or "").casefold() in bases)
        and query.nsfw in {None, is_nsfw(entry)}
    )


def _is_among(word: str, words: Iterable[str]) -> bool:
    return word.casefold() in {each.casefold() for each in words}


def _start(cursor: str | None, candidates: Sequence[int]) -> int:
    """Return how many candidates come before a page: up to the last of the page before, if it is there."""
    if cursor is None:
        return 0
    place, last = cursors.decode(cursor, _ORDER, cursors.is_integer)
    try:
        return candidates.index(last) + 1
    except ValueError:
        return max(0, int(place))


def _address(request: Request, cursor: str) -> str:
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    path = request.url.path.lstrip("/")
    return f"{request.base_url}{path}?{urlencode([*asked, ('cursor', cursor)])}"
