"""A query as the engine's query, made of objects: no text of a user ever reaches a parser of the engine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import tantivy
from tantivy import FieldType, Occur

from registry.search import text
from registry.search.fields import COLUMNS, FIELDS, FREE, OPEN_ENDED, TAG, Kind, TextColumn
from registry.search.nodes import And, Between, Exact, Known, Match, Not, Or, Text
from registry.search.schema import BAG, FLOATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.search.fields import Field
    from registry.search.nodes import Node, Value
    from registry.search.text import Run

Query = tantivy.Query
_WHOLE_NAME: Final = 10_000.0
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$#&~-]")


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
            case Match(name, values):
                row = FIELDS[name]
                return any_of([self._value(row, value) for value in values])
            case _:
                # A saved search that nobody put in its place finds nothing.
                return Query.empty_query()

    def scored(self, node: Node | None) -> Query:
        """Return the query of a tree in which hits are ordered.

        Whole names that are just what was typed come first, then words in the columns that have a boost.
        """
        better = [
            Query.boost_query(
                self._in_column(column, text.runs(one.text), prefix=one.prefix, phrase=one.phrase),
                column.boost,
            )
            for one in _texts(node)
            for column in COLUMNS
            if column.boost
        ]
        if words := _plain_words(node):
            whole = self._term("whole", text.key(" ".join(words)))
            better.append(Query.const_score_query(whole, _WHOLE_NAME))
        return Query.boolean_query(
            [(Occur.Must, self.query(node)), *((Occur.Should, query) for query in better)]
        )

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
            low, high = (None if bound is None else float(bound) for bound in (low, high))
        if low is None and high is None:
            return self._term("known", row.name)
        return self.between(field, low, high, low_open=value.low_open, high_open=value.high_open)

    def _exact(self, row: Field, wanted: str, *, prefix: bool) -> Query:
        field = f"k_{row.name}"
        match row.kind:
            case Kind.WORDS:
                column = next(column for column in COLUMNS if column.field == row.name)
                phrase = len(wanted.split()) > 1
                return self._in_column(column, text.runs(wanted), prefix=prefix, phrase=phrase)
            case Kind.HASH:
                return Query.regex_query(self._schema, field, _escaped(wanted.lower()) + ".*")
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
        tokens = [token for run in found for token in run.sequence]
        if node.phrase:
            options = self._phrases(tokens, prefix=node.prefix)
        else:
            last = len(found) - 1
            words = [self._free(run, prefix=node.prefix and place == last) for place, run in enumerate(found)]
            options = [self._all(words)]
        if node.prefix and len(tokens) > 1:
            options.append(self._begins("k_tag", text.tag_term(text.key(node.text))))
        if not (node.prefix or node.phrase):
            options += [self._term("k_tag", text.tag_term(tag)) for tag in self._translate(node.text)]
        return any_of(options)

    def _free(self, run: Run, *, prefix: bool) -> Query:
        """Return the query for a run in any of the texts."""
        # What begins with some characters of a script without blanks is what holds them.
        if run.script:
            held = [self._term(BAG, gram) for gram in text.grams(run.whole, text.GRAM)]
            if len(run.whole) <= text.GRAM:
                return held[0] if held else self._term(BAG, run.whole)
            # Few have them all, which are looked at more closely.
            return self._all([*held, any_of(self._phrases(list(run.sequence), prefix=False))])
        whole = self._begins(BAG, run.whole) if prefix else self._term(BAG, run.whole)
        if len(run.sequence) == 1:
            return whole
        return any_of([whole, *self._phrases(list(run.sequence), prefix=prefix)])

    def _phrases(self, tokens: list[str], *, prefix: bool) -> list[Query]:
        columns = OPEN_ENDED if prefix and len(tokens) > 1 else FREE
        return [self._sequence(column, tokens, prefix=prefix) for column in columns] if tokens else []

    def _in_column(self, column: TextColumn, found: Sequence[Run], *, prefix: bool, phrase: bool) -> Query:
        if not found:
            return Query.empty_query()
        if phrase:
            return self._sequence(column, [token for run in found for token in run.sequence], prefix=prefix)
        last = len(found) - 1
        return self._all(
            [self._run(column, run, prefix=prefix and place == last) for place, run in enumerate(found)]
        )

    def _run(self, column: TextColumn, run: Run, *, prefix: bool) -> Query:
        options = [self._sequence(column, list(run.sequence), prefix=prefix)]
        if not run.script or len(run.whole) == 1:
            alone, joined = f"j_{column.name}", run.whole
            options.append(self._begins(alone, joined) if prefix else self._term(alone, joined))
            if len(run.sequence) > 1:
                field = f"t_{column.name}"
                options.append(self._begins(field, joined) if prefix else self._term(field, joined))
        return any_of(options)

    def _sequence(self, column: TextColumn, tokens: list[str], *, prefix: bool) -> Query:
        field = f"t_{column.name}"
        if len(tokens) == 1:
            return self._begins(field, tokens[0]) if prefix else self._term(field, tokens[0])
        if prefix:
            # The engine's own query for this looks at 50 words that begin so, no more.
            patterns = [_escaped(token) for token in tokens]
            words: list[str | tuple[int, str]] = [*patterns[:-1], patterns[-1] + ".*"]
            return Query.regex_phrase_query(self._schema, field, words)
        return Query.phrase_query(self._schema, field, list(tokens))

    def _term(self, field: str, value: str) -> Query:
        option = "position" if field.startswith("t_") else "freq" if field == BAG else "basic"
        return Query.term_query(self._schema, field, value, option)

    def _begins(self, field: str, value: str) -> Query:
        return Query.regex_query(self._schema, field, _escaped(value) + ".*")

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
    """Return the free words that are asked for together, in order; none where there are others."""
    match node:
        case Text(word, False):
            return [word]
        case And(nodes):
            return [word for one in nodes for word in _plain_words(one)]
        case _:
            return []
