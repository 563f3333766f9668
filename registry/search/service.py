"""Search as it is asked for: text or tree in, ids with everything that is told beside them out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from registry.catalog.engine import now_ms
from registry.catalog.saved import get_saved, list_saved
from registry.catalog.tag_lists import SAMPLE, tags_sample
from registry.errors import NotFound
from registry.search import vocabulary
from registry.search.engine import NEWEST, RANKED, Engine
from registry.search.fields import HIDDEN, LEVEL, SIMILAR, TAG
from registry.search.nodes import And, Exact, Match, Not, Or, Query, Sort, Text
from registry.search.query import QueryWarning, parse, replace_saved
from registry.search.trees import EVERYTHING, all_of, asks_for, values_of, with_like
from registry.search.understood import sentence
from registry.search.writing import format_query
from registry.views import Facet, FacetValue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from registry.catalog.engine import Catalog
    from registry.search.engine import Hits
    from registry.search.index import Place
    from registry.search.nodes import Node
    from registry.search.translations import Translations
    from registry.views import Suggestion

_PATIENCE: Final = 2.0
_LOOK: Final = 0.02
_CORRECTED: Final = 3
"""Of a query with more unknown words nobody can tell what was meant."""


@dataclass(frozen=True, slots=True)
class Found:
    """One page of what was found, and what was made of the question.

    `did_you_mean` is a query that finds more where this one finds nothing, `withheld` how many more there are
    whose level is not to be told of.
    """

    hits: Hits
    query: Query
    understood: str
    warnings: list[QueryWarning]
    did_you_mean: str | None
    took_ms: float
    withheld: int = 0

    def without(self, count: int) -> Found:
        """Return it where so many more are not to be told of."""
        if not count:
            return self
        hits = replace(self.hits, total=max(0, self.hits.total - count))
        return replace(self, hits=hits, withheld=self.withheld + count)


class Searching:
    """Answers queries over one catalog from its index; may be used by several threads."""

    def __init__(
        self,
        catalog: Catalog,
        place: Place,
        translations: Translations,
        clock: Callable[[], int] = now_ms,
        alike: Callable[[str], Sequence[int]] = lambda _text: (),
    ) -> None:
        self._catalog = catalog
        self.place = place
        self._translations = translations
        self._clock = clock
        self._alike = alike
        self.engine = Engine(place, translations.tags)

    def close(self) -> None:
        """Let go of the index."""
        self.engine.close()

    def parse(self, text: str) -> tuple[Query, list[QueryWarning]]:
        """Return what a text asks for, with saved searches put in their places."""
        parsed = parse(text, self._clock())
        return self.complete(parsed.query, list(parsed.warnings))

    def complete(self, query: Query, warnings: list[QueryWarning]) -> tuple[Query, list[QueryWarning]]:
        """Put saved searches and what is like a lora in their places, and say where there is none."""
        where, more = replace_saved(query.where, self._saved)
        # Looked up once, however often this tree is asked for.
        like = {text: tuple(self._alike(text)) for text in dict.fromkeys(values_of(where, SIMILAR))}
        unlike = [
            QueryWarning("nothing-like", f"similar:{text} means no lora, several, or one not measured yet")
            for text, ids in like.items()
            if not ids
        ]
        if where is not None and like:
            where = with_like(where, SIMILAR, like)
        return Query(where, query.sort), [*warnings, *more, *unlike]

    def search(  # noqa: PLR0913 - what a search can be asked for, all named
        self,
        question: str | Query,
        *,
        sort: Sort | None = None,
        limit: int = 50,
        cursor: str | None = None,
        facets: Sequence[str] = (),
        min_generation: int | None = None,
        levels: Collection[str] | None = None,
    ) -> Found:
        """Return one page of what a text or tree finds; raises BadRequest, IndexDamaged.

        With `levels`, names of the field `nsfw`, only loras of these are told of, and no other query is
        meant: words that are near may be those of others.

        Hidden loras are found only if `hidden:` is asked for. With `min_generation` it waits a moment for the
        index to be as new as that.
        """
        begun = time.perf_counter()
        self._wait_for(min_generation)
        if isinstance(question, str):
            query, warnings = self.parse(question)
        else:
            query, warnings = self.complete(question, [])
        order = sort or query.sort
        whole = _visible(query.where)
        where = whole if levels is None else _of_levels(whole, levels)
        hits = self.engine.search(where, sort=order, limit=limit, cursor=cursor, facets=facets)
        if TAG in facets or "all" in facets:
            hits.facets[TAG] = self._tag_facet(where)
        meant = None if hits.total or levels is not None else self._meant(query)
        took = (time.perf_counter() - begun) * 1000
        withheld = 0 if levels is None else self._count(whole) - hits.total
        return Found(hits, query, sentence(query, hits.sort), warnings, meant, round(took, 2), withheld)

    def all_ids(self, text: str, limit: int, *, hidden: bool = False) -> list[int]:
        """Return the ids of the first `limit` loras that a text finds, in order, the best of many first.

        As in a search hidden ones are left out, unless `hidden` or the text wants them.
        """
        self.engine.refresh()
        query, _ = self.parse(text)
        query = query if hidden else Query(_visible(query.where), query.sort)
        found = self._ids(query, limit)
        if len(found) == RANKED < limit:
            # There pages by relevance end.
            found += self._ids(Query(query.where, NEWEST), limit)
        return [*dict.fromkeys(found)][:limit]

    def _count(self, where: Node | None) -> int:
        return self.engine.search(where, limit=1).total

    def _ids(self, query: Query, limit: int) -> list[int]:
        found: list[int] = []
        cursor = None
        while True:
            hits = self.engine.search(
                query.where, sort=query.sort, limit=min(1000, limit - len(found)), cursor=cursor
            )
            found += hits.ids
            cursor = hits.next_cursor
            if cursor is None or len(found) >= limit:
                return found

    def suggest(self, typed: str, limit: int = 12, *, fixed: bool = False) -> list[Suggestion]:
        """Return what may complete the last word of a text; `fixed` leaves out what only loras tell."""
        self.engine.refresh()
        with self._catalog.read() as conn:
            saved = [one.name for one in list_saved(conn)]
        terms = self.engine.snapshot().terms
        return vocabulary.suggest(
            terms, typed[-500:], translations=self._translations, saved=saved, limit=limit, fixed=fixed
        )

    def _wait_for(self, generation: int | None) -> None:
        deadline = time.monotonic() + _PATIENCE
        while self.engine.refresh() < (generation or 0) and time.monotonic() < deadline:
            time.sleep(_LOOK)

    def _saved(self, name: str) -> Node | None:
        try:
            with self._catalog.read() as conn:
                found = get_saved(conn, name)
        except NotFound:
            return None
        return parse(found.query, self._clock()).query.where or EVERYTHING

    def _tag_facet(self, where: Node | None) -> Facet:
        """Count tags over a sample: over all matches it takes longer than anybody waits."""
        ids = self.engine.sample(where, SAMPLE)
        with self._catalog.read() as conn:
            sample = tags_sample(conn, ids)
        values = [FacetValue(tag, self._translations.name(tag) or tag, count) for tag, count in sample.tags]
        return Facet(TAG, values, sample.distinct, sample.loras)

    def _meant(self, query: Query) -> str | None:
        """Return a query like this one whose words exist, if that finds anything."""
        searcher = self.engine.snapshot().searcher
        unknown = 0

        def better(node: Node) -> Node:
            nonlocal unknown
            if unknown > _CORRECTED:
                return node
            match node:
                case Text(word, prefix, False) if not self.engine.count(node):
                    unknown += 1
                    near = vocabulary.nearest(searcher, word) if unknown <= _CORRECTED else None
                    return node if near is None else Text(near, prefix)
                case And(nodes):
                    return And(tuple(better(one) for one in nodes))
                case Or(nodes):
                    return Or(tuple(better(one) for one in nodes))
                case _:
                    return node

        if query.where is None:
            return None
        meant = better(query.where)
        if unknown > _CORRECTED or meant == query.where or not self.engine.count(meant):
            return None
        return format_query(Query(meant, query.sort))


def _of_levels(where: Node | None, levels: Collection[str]) -> Node:
    told = Match(LEVEL, tuple(map(Exact, sorted(levels))))
    return told if where is None else all_of((where, told))


def _visible(where: Node | None) -> Node | None:
    """Leave out what the user hid, unless that is asked for."""
    if asks_for(where, HIDDEN):
        return where
    return _NOT_HIDDEN if where is None else all_of((where, _NOT_HIDDEN))


_NOT_HIDDEN: Final = Not(Match(HIDDEN, (Exact("yes"),)))
