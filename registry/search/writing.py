"""Queries as text: what `parse` reads as the same tree, in the shortest form that is plain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from registry.search.fields import FIELDS, Kind
from registry.search.nodes import And, Between, Exact, Known, Match, Node, Not, Or, Query, Saved, Text
from registry.search.reading import QUOTES, SAVED, SORT
from registry.search.trees import settled
from registry.search.units import (
    around_text,
    instant_text,
    moment_text,
    number_text,
    period_text,
    size_edge,
    size_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.search.nodes import Value

_QUOTE = re.compile(f"[{QUOTES}]")
# What can stand as a value without quotation marks in any field.
_PLAIN = re.compile(r"[^\W_](?:[\w/+-]|\.(?!\.))*")


def format_query(query: Query) -> str:
    """Return the text of a query; `parse` makes the same query of it."""
    parts = [] if query.where is None else [_written(query.where)]
    if query.sort:
        parts.append(f"{SORT}:{'-' * query.sort.descending}{query.sort.field}")
    return " ".join(parts)


def quoted(text: str) -> str:
    """Return text between quotation marks, with those that it holds doubled."""
    return '"' + _QUOTE.sub(lambda found: found.group() * 2, text) + '"'


def _written(node: Node) -> str:
    match settled(node):
        case Or(nodes):
            return " OR ".join(map(_written, nodes))
        case And(nodes):
            return " ".join(_grouped(inner, Or) for inner in nodes)
        case Not(inner):
            return "-" + _grouped(inner, And, Or)
        case Text(text, prefix, phrase):
            return (quoted(text) if phrase else text) + "*" * prefix
        case Saved(name):
            return f"{SAVED}:{plain(name)}"
        case Match(field, values):
            return f"{field}:{','.join(value_text(FIELDS[field].kind, value) for value in values)}"


def _grouped(node: Node, *kinds: type[And | Or]) -> str:
    return f"({_written(node)})" if isinstance(settled(node), kinds) else _written(node)


def value_text(kind: Kind, value: Value) -> str:
    """Return one value of a field of this kind as it is typed."""
    match value:
        case Known(known):
            return "*" if known else "none"
        case Exact(text, prefix):
            return plain(text) + "*" * prefix
        case Between():
            return _BETWEEN.get(kind, _numbers)(value)


def plain(text: str) -> str:
    """Return a value as it is typed: as it is where it means itself, else between quotation marks."""
    return text if _PLAIN.fullmatch(text) and text.casefold() != "none" else quoted(text)


def _numbers(value: Between) -> str:
    return _span(value, number_text)


def _span(value: Between, written: Callable[[float], str]) -> str:
    low = "" if value.low is None else written(value.low)
    high = "" if value.high is None else written(value.high)
    if not low or not high:
        lone_low = f">{low}" if value.low_open else f"{low}.."
        return lone_low if low else f"<{high}" if value.high_open else f"..{high}"
    if low == high:
        return low
    return f"{'>' * value.low_open}{low}..{'<' * value.high_open}{high}"


def _bytes(size: float) -> str:
    return size_text(int(size))


def _sizes(value: Between) -> str:
    low, high = (None if bound is None else int(bound) for bound in (value.low, value.high))
    if low is not None and high is not None and (rounded := around_text(low, high)):
        return rounded
    if low == high:
        # With a larger unit it would mean what rounds to it.
        return f"{low}b"
    first, after = (None, False) if low is None else size_edge(low, -1)
    last, before = (None, False) if high is None else size_edge(high, 1)
    return _span(Between(first, last, after, before), _bytes)


def _dates(value: Between) -> str:
    low, high = (None if bound is None else int(bound) for bound in (value.low, value.high))
    if low is not None and high is not None and (period := period_text(low, high)):
        return period
    if low is not None and low == high:
        return instant_text(low)
    first = "" if low is None else moment_text(low)
    last = "" if high is None else moment_text(high, ends=True)
    return f"{first}..{last}"


_BETWEEN: Final[Mapping[Kind, Callable[[Between], str]]] = {Kind.SIZE: _sizes, Kind.DATE: _dates}
