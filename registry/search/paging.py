"""Pages of the documents that a query finds, in the order of one field and then of ids, from any place on.

The engine can order by a field but neither continues behind a document nor orders documents that are equal in
it. So a page is made of runs of equal documents: those whose value lies behind are asked for in the field's
order; of a run that does not fit the page whole, its part is asked for by id. Documents without a value come
last in both directions, by id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tantivy
from tantivy import Occur, Order

from registry.search.documents import sort_parts
from registry.search.schema import sorts_by_text

if TYPE_CHECKING:
    from registry.search.compile import Compiler
    from registry.search.fields import Field

Query = tantivy.Query
Key = str | int | float
ID = "n_id"


@dataclass(frozen=True, slots=True)
class Place:
    """The last document of a page: its value (`None` where it has none) and id."""

    value: Key | None
    lora_id: int


@dataclass(frozen=True, slots=True)
class Page:
    """Ids in order, and where the next page begins, `None` at the end."""

    ids: list[int]
    next: Place | None


class Pager:
    """Gives pages of what `found` finds, ordered by a field."""

    def __init__(
        self,
        searcher: tantivy.Searcher,
        compiler: Compiler,
        found: tantivy.Query,
        row: Field,
        *,
        descending: bool,
    ) -> None:
        self._searcher = searcher
        self._compiler = compiler
        self._found = found
        self._known = compiler.equal("known", row.name)
        self._text = sorts_by_text(row)
        self._field = f"s_{row.name}" if self._text else f"n_{row.name}"
        self._descending = descending
        self._order = Order.Desc if descending else Order.Asc

    def page(self, after: Place | None, limit: int) -> Page:
        """Return up to `limit` ids behind a place, or from the beginning."""
        # One more than asked tells whether there is a next page.
        rows = self._rows(after, limit + 1)
        shown = rows[:limit]
        more = Place(*shown[-1]) if len(rows) > limit else None
        return Page([lora_id for _, lora_id in shown], more)

    def _rows(self, after: Place | None, limit: int) -> list[tuple[Key | None, int]]:
        rows: list[tuple[Key | None, int]] = []
        if after is None or after.value is not None:
            value = None if after is None else after.value
            if after is not None and value is not None:
                rows += self._equal(value, after.lora_id, limit)
            while len(rows) < limit:
                behind, value = self._behind(value, limit - len(rows))
                rows += behind
                if value is None or len(rows) >= limit:
                    break
                rows += self._equal(value, None, limit - len(rows))
        if len(rows) < limit:
            last = after.lora_id if after is not None and after.value is None else None
            rows += self._without(last, limit - len(rows))
        return rows

    def _behind(self, value: Key | None, limit: int) -> tuple[list[tuple[Key | None, int]], Key | None]:
        """Return whole runs behind a value, and the value of the run that follows and may be incomplete."""
        query = self._and(self._found, self._known, *self._range(value))
        # Two more, so that the run at the end of the page is seen to go on.
        hits = self._searcher.search(
            query, limit + 1, count=False, order_by_field=self._field, order=self._order
        ).hits
        rows: list[tuple[Key | None, int]] = list(
            zip([key for key, _ in hits], self._ids([address for _, address in hits]), strict=True)
        )
        incomplete = None
        if len(hits) > limit:
            incomplete = rows[-1][0]
            rows = [row for row in rows if row[0] != incomplete]
        rows.sort(key=_id, reverse=self._descending)
        rows.sort(key=_value, reverse=self._descending)
        return rows, incomplete

    def _equal(self, value: Key, last: int | None, limit: int) -> list[tuple[Key | None, int]]:
        """Return documents with one value in the order of their ids, behind an id."""
        query = self._and(self._found, self._compiler.equal(self._field, value), *self._ids_behind(last))
        hits = self._searcher.search(query, limit, count=False, order_by_field=ID, order=self._order).hits
        return [(value, int(lora_id)) for lora_id, _ in hits]

    def _without(self, last: int | None, limit: int) -> list[tuple[Key | None, int]]:
        query = self._and(self._found, self._compiler.query_not(self._known), *self._ids_behind(last))
        hits = self._searcher.search(query, limit, count=False, order_by_field=ID, order=self._order).hits
        return [(None, int(lora_id)) for lora_id, _ in hits]

    def _ids_behind(self, last: int | None) -> list[tantivy.Query]:
        if last is None:
            return []
        low, high = (None, last) if self._descending else (last, None)
        return [self._compiler.between(ID, low, high, low_open=True, high_open=True)]

    def _range(self, value: Key | None) -> list[tantivy.Query]:
        if value is None:
            return []
        if not isinstance(value, str):
            return [self._beyond(self._field, value)]
        # Texts have no ranges: their bytes as numbers do, one part after the other.
        options = []
        equal: list[tantivy.Query] = []
        for place, number in enumerate(sort_parts(value)):
            field = f"{self._field}_{place}"
            options.append(self._and(*equal, self._beyond(field, number)))
            equal.append(self._compiler.between(field, number, number))
        return [Query.boolean_query([(Occur.Should, option) for option in options])]

    def _beyond(self, field: str, number: float) -> tantivy.Query:
        low, high = (None, number) if self._descending else (number, None)
        return self._compiler.between(field, low, high, low_open=True, high_open=True)

    def _ids(self, addresses: list[tantivy.DocAddress]) -> list[int]:
        return [int(value or 0) for value in self._searcher.fast_field_values(ID, addresses)]

    @staticmethod
    def _and(*queries: tantivy.Query) -> tantivy.Query:
        return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Must, q) for q in queries])


def _id(row: tuple[Key | None, int]) -> int:
    return row[1]


def _value(row: tuple[Key | None, int]) -> Key:
    return row[0] if row[0] is not None else 0
