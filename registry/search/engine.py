"""Answering queries from the index: hits in order, how many there are, facets, and places to go on from."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from registry import cursor as cursors
from registry.errors import BadRequest, IndexDamaged
from registry.search import facets as counting
from registry.search.compile import Compiler, none_of
from registry.search.fields import FIELDS, RELEVANCE, Kind
from registry.search.index import no_panic
from registry.search.nodes import And, Match, Or, Sort, Text
from registry.search.paging import ID, Pager, Place
from registry.search.schema import FLOATS, SORT_BYTES, sorts_by_text
from registry.search.vocabulary import Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import tantivy

    from registry.search.fields import Field
    from registry.search.index import Place as IndexPlace
    from registry.search.index import State
    from registry.search.nodes import Node
    from registry.views import Facet

RANKED: Final = 1000
"""Hits by relevance that can be paged through; what is beyond is found by saying more, or by another sort."""
NEWEST: Final = Sort("added", descending=True)
_MORE: Final = 100  # hits that are looked at beyond a page, for the sake of equal ones
_PLACES: Final = 4  # decimals of a score that count; hits closer than that are equal


@dataclass(frozen=True, slots=True)
class Hits:
    """The ids of one page in order, how many loras match in all, facets, and where the next page begins."""

    ids: list[int]
    total: int
    next_cursor: str | None
    generation: int
    sort: Sort
    facets: dict[str, Facet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """An opened index at one commit."""

    state: State
    index: tantivy.Index
    searcher: tantivy.Searcher
    terms: Terms


class Engine:
    """Searches the index in a folder, which some process keeps up to date; may be used by several threads."""

    def __init__(self, place: IndexPlace, translate: Callable[[str], Sequence[str]] = none_of) -> None:
        self._place = place
        self._translate = translate
        self._turn = threading.Lock()
        self._now: _Snapshot | None = None

    @property
    def generation(self) -> int:
        """The generation of the catalog that answers are of; -1 where there is no index yet."""
        return -1 if self._now is None else self._now.state.seq

    def refresh(self) -> int:
        """Look for a newer commit and return the generation that answers are of from now on."""
        state = self._place.state()
        with self._turn:
            now = self._now
            if state is None or (now is not None and now.state == state):
                return self.generation
            same = now is not None and now.state.folder == state.folder
            index = now.index if now is not None and same else self._place.open(state.folder)
            with no_panic():
                index.reload()
                searcher = index.searcher()
                self._now = _Snapshot(state, index, searcher, Terms(searcher))
        return self.generation

    def close(self) -> None:
        """Let go of the files of the index."""
        with self._turn:
            self._now = None

    def search(
        self,
        where: Node | None,
        *,
        sort: Sort | None = None,
        limit: int = 50,
        cursor: str | None = None,
        facets: Sequence[str] = (),
    ) -> Hits:
        """Return one page of what a tree finds, in the order asked for, else by relevance or newest first.

        Raises BadRequest for a facet or cursor that does not exist, IndexDamaged where there is no
        index to ask.
        """
        order = sort or (Sort(RELEVANCE) if has_words(where) else NEWEST)
        wanted = counting.check_facets(facets)
        place = None if cursor is None else _decode(cursor, order)
        if limit < 1:
            raise BadRequest("a page has at least one row")
        now = self.snapshot()
        compiler = Compiler(now.index.schema, self._translate)
        with no_panic():
            found = compiler.query(where)
            if order.field == RELEVANCE:
                start = 0 if place is None else int(place.value or 0)
                ids, total, more = self._ranked(now.searcher, compiler, where, start, limit)
            else:
                total = _total(now.searcher.search(found, 1))
                pager = Pager(now.searcher, compiler, found, FIELDS[order.field], descending=order.descending)
                page = pager.page(place, limit)
                ids, more = page.ids, page.next
            counts = counting.count(now.searcher, found, wanted)
        return Hits(ids, total, _encode(more, order), now.state.seq, order, counts)

    def count(self, where: Node | None) -> int:
        """Return how many loras match."""
        now = self.snapshot()
        with no_panic():
            return _total(now.searcher.search(Compiler(now.index.schema, self._translate).query(where), 1))

    def sample(self, where: Node | None, limit: int) -> list[int]:
        """Return the ids of some of the matches."""
        now = self.snapshot()
        with no_panic():
            query = Compiler(now.index.schema, self._translate).query(where)
            hits = now.searcher.search(query, limit, count=False, order_by_field=ID).hits
            return [int(lora_id) for lora_id, _ in hits]

    def snapshot(self) -> _Snapshot:
        """Return the index as it is now."""
        if self._now is None:
            self.refresh()
        if self._now is None:
            raise IndexDamaged("the search index is being made", remedy="try again in a moment")
        return self._now

    @staticmethod
    def _ranked(
        searcher: tantivy.Searcher, compiler: Compiler, where: Node | None, start: int, limit: int
    ) -> tuple[list[int], int, Place | None]:
        """Return a page of the best hits; of equal ones the newest comes first."""
        query, end = compiler.scored(where), start + limit
        window = min(RANKED, end + _MORE)
        while True:
            result = searcher.search(query, window)
            scores = [round(float(score), _PLACES) for score, _ in result.hits]
            # Which of equal hits are the newest can only be said of all of them.
            if window == RANKED or len(scores) < window or scores[end - 1] > scores[-1]:
                break
            window = RANKED
        total = _total(result)
        addresses = [address for _, address in result.hits]
        ids = searcher.fast_field_values(ID, addresses)
        dates = searcher.fast_field_values("n_date", addresses)
        ranked = sorted(zip(scores, dates, ids, strict=True), reverse=True, key=_rank)
        shown = [int(lora_id or 0) for _, _, lora_id in ranked[start : start + limit]]
        end = start + len(shown)
        return shown, total, Place(end, 0) if end < min(total, RANKED) else None


def _total(result: tantivy.SearchResult) -> int:
    """Return how many documents a search found; the engine's stubs do not know that it tells."""
    return int(cast("Any", result).count or 0)


def _rank(row: tuple[float, float | None, float | None]) -> tuple[float, float, float]:
    return row[0], row[1] or 0, row[2] or 0


def has_words(node: Node | None) -> bool:
    """Whether a tree asks for words, so that some hits are better than others."""
    match node:
        case Text():
            return True
        case And(nodes) | Or(nodes):
            return any(has_words(one) for one in nodes)
        case Match(name, _):
            return FIELDS[name].kind is Kind.WORDS
        case _:
            return False


def _encode(place: Place | None, order: Sort) -> str | None:
    if place is None:
        return None
    return cursors.after(order.field, (place.value, place.lora_id), descending=order.descending)


def _decode(cursor: str, order: Sort) -> Place:
    fits = _is_rank if order.field == RELEVANCE else partial(_is_value, FIELDS[order.field])
    return Place(*cursors.decode(cursor, order.field, fits, descending=order.descending))


def _is_rank(value: object) -> bool:
    return cursors.is_integer(value) and 0 <= value <= RANKED


def _is_value(row: Field, value: object) -> bool:
    """Whether a field may have this as what it is sorted by."""
    if value is None:
        return True
    if sorts_by_text(row):
        return cursors.is_text(value) and len(value.encode()) <= SORT_BYTES
    if row.kind in FLOATS:
        return isinstance(value, float) and math.isfinite(value)
    return cursors.is_integer(value)
