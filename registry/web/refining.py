"""A query as it was typed, with one value more or one less: what the links of a page lead to.

What was typed stays as it was typed wherever that means the right thing; else the query is written anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.search import text as texts
from registry.search.fields import FIELDS
from registry.search.nodes import And, Exact, Known, Match, Query
from registry.search.query import parse
from registry.search.reading import MINUS, OPENING, QUOTES, Sign, clean, last_word, tokens
from registry.search.trees import all_of
from registry.search.values import UnreadableError, Written, read
from registry.search.writing import format_query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.search.nodes import Node, Value

_PROBE: Final = Match("id", (Known(),))


@dataclass(frozen=True, slots=True)
class Typed:
    """A query and the text that it was read from.

    `stem` is a text to which a term can be appended to ask for that too, `None` if there is none.
    """

    text: str
    now: int
    query: Query
    stem: str | None


def read_typed(text: str, now: int) -> Typed:
    """Return what a text asks, ready to be refined; `now` in milliseconds since the epoch."""
    query = parse(text, now).query
    wanted = Query(_all((*_terms(query), _PROBE)), query.sort)
    plain = text.strip()
    stem = next(
        (
            stem
            for stem in (plain, f"({plain})")
            if parse(f"{stem} {format_query(Query(_PROBE))}", now).query == wanted
        ),
        None,
    )
    return Typed(text, now, query, stem)


def value_of(field: str, shown: str, now: int) -> Value | None:
    """Return the value of a field that its facet shows so, `None` if it cannot be asked for."""
    try:
        return read(FIELDS[field], Written(shown, quoted=True), now, lambda: None)
    except UnreadableError:
        return None


def asked(field: str, value: Value) -> str:
    """Return the query that asks for one value of a field."""
    return format_query(Query(Match(field, (value,))))


def has(typed: Typed, field: str, value: Value) -> bool:
    """Whether a query asks for a value of a field, among others perhaps."""
    return any(
        isinstance(term, Match) and term.field == field and any(_same(value, other) for other in term.values)
        for term in _terms(typed.query)
    )


def with_value(typed: Typed, field: str, value: Value) -> str:
    """Return the query that asks for a value of a field as well."""
    return narrowed(typed, Match(field, (value,)))


def narrowed(typed: Typed, term: Node) -> str:
    """Return the query that asks for one more thing."""
    if typed.stem is not None:
        return f"{typed.stem} {format_query(Query(term))}".strip()
    query = typed.query
    return format_query(Query(_all((*_terms(query), term)), query.sort))


def without_value(typed: Typed, field: str, value: Value) -> str:
    """Return the query that does not ask for a value of a field any more."""
    query = typed.query
    wanted = Query(_all(_left(_terms(query), field, value)), query.sort)
    for start, end in _spans(typed.text, field):
        cut = f"{typed.text[:start]}{typed.text[end:]}".strip()
        if parse(cut, typed.now).query == wanted:
            return cut
    return format_query(wanted)


def completed(typed: str, insert: str) -> str:
    """Return a text whose last word is completed by a suggestion, ready for the next word."""
    word = last_word(typed)
    bare = word.lstrip(MINUS + OPENING + QUOTES)
    before = "".join(sign for sign in word.removesuffix(bare) if sign not in QUOTES)
    return f"{typed.removesuffix(word)}{before}{insert}{'' if insert.endswith(':') else ' '}"


def _terms(query: Query) -> tuple[Node, ...]:
    where = query.where
    return () if where is None else where.nodes if isinstance(where, And) else (where,)


def _all(terms: Iterable[Node]) -> Node | None:
    found = tuple(terms)
    return all_of(found) if found else None


def _left(terms: tuple[Node, ...], field: str, value: Value) -> Iterable[Node]:
    for term in terms:
        if not isinstance(term, Match) or term.field != field:
            yield term
        elif left := tuple(other for other in term.values if not _same(value, other)):
            yield Match(field, left)


def _same(first: Value, second: Value) -> bool:
    if isinstance(first, Exact) and isinstance(second, Exact) and not second.prefix:
        return texts.key(first.text) == texts.key(second.text)
    return first == second


def _spans(text: str, field: str) -> Iterable[tuple[int, int]]:
    """Give where the terms of a field stand in a text, with the blanks behind them."""
    found = list(tokens(clean(text)))
    for token, after in zip(found, [*found[1:], None], strict=True):
        if token.sign is Sign.FIELD and token.text == field:
            yield token.at, len(text) if after is None else after.at
