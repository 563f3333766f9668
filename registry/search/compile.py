"""A query as the engine's query, made of objects: no text of a user ever reaches a parser of the engine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import tantivy
from tantivy import FieldType, Occur

from registry.search import text
from registry.search.fields import COLUMNS, FIELDS, FREE, OPEN_ENDED, SIMILAR, TAG, Kind, TextColumn
from registry.search.nodes import And, Between, Exact, Known, Like, Match, Not, Or, Text
from registry.search.schema import BAG, FLOATS, document_key
from registry.search.units import comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.search.fields import Field
    from registry.search.nodes import Node, Value
    from registry.search.text import Run

Query = tantivy.Query
_WHOLE_NAME: Final = 1_000_000.0
_BOOSTED: Final = tuple(column for column in COLUMNS if column.boost)
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$#&~-]")


class _Where(NamedTuple):
    """Where words are looked for: a field of all their tokens, and columns that keep their order."""

    bag: str
    columns: Sequence[TextColumn]
    open_ended: Sequence[TextColumn]


_FREELY: Final = _Where(BAG, FREE, OPEN_ENDED)


def _of(column: TextColumn) -> _Where:
    return _Where(f"b_{column.name}", (column,), (column,))


def none_of(_: str) -> Sequence[str]:
    """Translate nothing."""
    return ()


class Compiler:
    """Makes queries for one schema; `translate` gives the tags that a word of another language means."""

    def __init__(self, schema: tantivy.Schema, translate: Callable[[str], Sequence[str]] = none_of) -> None:
        self._schema = schema
        self._translate = translate

    def query(self, node: Node | None) -> Query:  # noqa: PLR0911 - one for each kind of node
        """Return the query that finds what a tree asks for."""
        match node:
            case None:
                return Query.all_query()
            case And(nodes):
                return self._all([self.query(one) for one in nodes])
            case Or(nodes):
                return any_of([self.query(one) for one in nodes])
            case Not(inner):
                return self.query_not(self.query(inner))
            case Text():
                return self._text(node)
            case Match(name, values) if name == SIMILAR:
                return self._similar(values)
            case Match(name, values):
                row = FIELDS[name]
                found = any_of([self._value(row, value) for value in values])
                # Only words are found well or less well.
                return found if row.kind is Kind.WORDS else Query.const_score_query(found, 0.0)
            case _:
                # A saved search that nobody put in its place finds nothing.
                return Query.empty_query()

    def scored(self, node: Node | None) -> Query:
        """Return the query of a tree in which hits are ordered.

        Whole names that are just what was typed come first, then words in the columns that have a boost.
        """
        better: list[Query] = []
        for one in dict.fromkeys(_texts(node)):
            for column in _BOOSTED:
                hit = self._words(_of(column), text.runs(one.text), prefix=one.prefix, phrase=one.phrase)
                # The boost says in which column, the hit by itself how well.
                better += [Query.const_score_query(hit, column.boost), hit]
        if words := _plain_words(node):
            whole = self._term("whole", text.key(" ".join(words)))
            better.append(Query.const_score_query(whole, _WHOLE_NAME))
        return Query.boolean_query(
            [(Occur.Must, self.query(node)), *((Occur.Should, query) for query in better)]
        )

    def _similar(self, values: Sequence[Value]) -> Query:
        likes = [value.ids for value in values if isinstance(value, Like)]
        keys = {document_key(lora_id) for ids in likes for lora_id in ids}
        others = [value for value in values if not isinstance(value, Exact)]
        found = [self._value(FIELDS[SIMILAR], value) for value in others]
        if keys:
            found.append(Query.term_set_query(self._schema, "key", sorted(keys)))
        return Query.const_score_query(any_of(found), 0.0)

    def equal(self, field: str, value: str | float) -> Query:
        """Return the query for documents with one value in an engine field."""
        if isinstance(value, str):
            return self._term(field, value)
        return self.between(field, value, value)

    def between(
        self,
        field: str,
        low: float | None,
        high: float | None,
        *,
        low_open: bool = False,
        high_open: bool = False,
    ) -> Query:
        """Return the query for documents with a number in a range; `None` is no bound."""
        kind = FieldType.Float if isinstance(low if low is not None else high, float) else FieldType.Integer
        return Query.range_query(
            self._schema,
            field,
            FieldType.Unsigned if field.startswith("s_") else kind,
            low,
            high,
            # The engine refuses an open end where there is no bound.
            include_lower=low is None or not low_open,
            include_upper=high is None or not high_open,
        )

    def _value(self, row: Field, value: Value) -> Query:
        match value:
            case Known(known):
                there = self._term("known", row.name)
                return there if known else self.query_not(there)
            case Between():
                return self._between(row, value)
            case Exact(wanted, prefix):
                return self._exact(row, wanted, prefix=prefix)

    def query_not(self, query: Query) -> Query:
        """Return the query for all other documents."""
        return Query.boolean_query([(Occur.Must, Query.all_query()), (Occur.MustNot, query)])

    def _between(self, row: Field, value: Between) -> Query:
        field = f"n_{row.name}"
        low, high = value.low, value.high
        if row.kind in FLOATS:
            low, high = (None if bound is None else comparable(bound) for bound in (low, high))
        if low is None and high is None:
            return self._term("known", row.name)
        return self.between(field, low, high, low_open=value.low_open, high_open=value.high_open)

    def _exact(self, row: Field, wanted: str, *, prefix: bool) -> Query:
        field = f"k_{row.name}"
        match row.kind:
            case Kind.WORDS:
                column = next(column for column in COLUMNS if column.field == row.name)
                phrase = len(wanted.split()) > 1
                return self._words(_of(column), text.runs(wanted), prefix=prefix, phrase=phrase)
            case Kind.HASH:
                return self._begins(field, wanted.lower())
            case Kind.FOLDER:
                path = text.folders(wanted)[-1]
                if prefix and path == text.ROOT_FOLDER:
                    return Query.all_query()
                return self._begins(field, path) if prefix else self._term(field, path)
            case Kind.KEY:
                folded = text.tag_term(text.key(wanted)) if row.name == TAG else text.key(wanted)
                return self._begins(field, folded) if prefix else self._term(field, folded)
            case _:
                return self._term(field, wanted.lower())

    def _text(self, node: Text) -> Query:
        found = text.runs(node.text)
        options = [self._words(_FREELY, found, prefix=node.prefix, phrase=node.phrase)]
        if node.prefix and sum(len(run.sequence) for run in found) > 1:
            options.append(self._begins("k_tag", text.tag_term(text.key(node.text))))
        if not (node.prefix or node.phrase):
            options += [self._term("k_tag", text.tag_term(tag)) for tag in self._translate(node.text)]
        return any_of(options)

    def _words(self, where: _Where, found: Sequence[Run], *, prefix: bool, phrase: bool) -> Query:
        """Return the query for a phrase, or for the runs of a word, each anywhere."""
        if not found:
            return Query.empty_query()
        prefix = text.is_open(found, prefix=prefix)
        if phrase:
            return self._phrase(where, found, prefix=prefix)
        last = len(found) - 1
        return self._all(
            [self._word(where, run, prefix=prefix and place == last) for place, run in enumerate(found)]
        )

    def _word(self, where: _Where, run: Run, *, prefix: bool) -> Query:
        if run.script and len(run.whole) > text.GRAM:
            return self._phrase(where, [run], prefix=False)
        whole = self._begins(where.bag, run.whole) if prefix else self._term(where.bag, run.whole)
        if run.script or len(run.sequence) == 1:
            return whole
        return any_of([whole, self._phrase(where, [run], prefix=prefix)])

    def _phrase(self, where: _Where, found: Sequence[Run], *, prefix: bool) -> Query:
        tokens = [token for run in found for token in run.sequence]
        if len(tokens) == 1:
            return self._word(where, found[0], prefix=prefix)
        columns = where.open_ended if prefix else where.columns
        ordered = any_of([self._sequence(column, tokens, prefix=prefix) for column in columns])
        # Pairs of two runs may follow one another as those of one do; longer stretches tell.
        held = [
            self._term(where.bag, gram)
            for run in found
            if run.script and len(run.whole) > 2
            for gram in text.grams(run.whole, min(text.GRAM, len(run.whole)))
        ]
        return self._all([*held, ordered])

    def _sequence(self, column: TextColumn, tokens: list[str], *, prefix: bool) -> Query:
        field = f"t_{column.name}"
        if len(tokens) == 1:
            return self._term(field, tokens[0])
        *first, last = tokens
        if prefix and len(last) < text.SHORT:
            # The engine looks at no more than some thousand words that begin so.
            return self._all([self._sequence(column, first, prefix=False), self._begins(field, last)])
        if prefix:
            patterns: list[str | tuple[int, str]] = [
                *map(_escaped, first),
                _escaped(text.beginning(last)) + ".*",
            ]
            return Query.regex_phrase_query(self._schema, field, patterns)
        return Query.phrase_query(self._schema, field, list(tokens))

    def _term(self, field: str, value: str) -> Query:
        option = "position" if field.startswith("t_") else "freq" if field == BAG else "basic"
        return Query.term_query(self._schema, field, value, option)

    def _begins(self, field: str, value: str) -> Query:
        return Query.regex_query(self._schema, field, _escaped(text.beginning(value)) + ".*")

    @staticmethod
    def _all(queries: Sequence[Query]) -> Query:
        if not queries:
            return Query.empty_query()
        if len(queries) == 1:
            return queries[0]
        return Query.boolean_query([(Occur.Must, query) for query in queries])


def any_of(queries: Sequence[Query]) -> Query:
    """Return the query that finds what at least one of these does; nothing if there are none."""
    if not queries:
        return Query.empty_query()
    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Should, q) for q in queries])


def _escaped(value: str) -> str:
    """Return a pattern that matches just this text; the engine knows no escapes of other characters."""
    return _SPECIAL.sub(lambda found: "\\" + found.group(), value)


def _texts(node: Node | None) -> Iterator[Text]:
    """Give the free words and phrases that a hit may have."""
    match node:
        case Text():
            yield node
        case And(nodes) | Or(nodes):
            for one in nodes:
                yield from _texts(one)


def _plain_words(node: Node | None) -> list[str]:
    """Return the free words that are asked for together, in order; none where there is anything else."""
    nodes = node.nodes if isinstance(node, And) else (node,)
    words = [one.text for one in nodes if isinstance(one, Text) and not one.prefix]
    return words if len(words) == len(nodes) else []
