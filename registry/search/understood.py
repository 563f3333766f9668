"""What was understood of a query, as an English sentence made from the rows of the fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.identify.names import NO_ARCHITECTURE
from registry.search import text as texts
from registry.search.fields import FIELDS, NUMERIC, RELEVANCE, Field, Kind
from registry.search.nodes import And, Between, Exact, Known, Match, Node, Not, Or, Query, Saved, Sort, Text
from registry.search.reading import shown
from registry.search.units import (
    UNITS,
    around_text,
    instant_text,
    moment_text,
    number_text,
    period_text,
    size_edge,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from registry.search.nodes import Value

# How a field is said where "with the NOUN VALUE" or "with NOUN NUMBER" would not do.
_SAID: Final[Mapping[str, str]] = {
    "name": "named {}",
    "dataset": "trained on the folder {}",
    "comment": "with {} in the comment",
    "arch": "of architecture {}",
    "checkpoint": "trained on {}",
    "model": "of the model {}",
    "similar": "like {}",
    "adapter": "of the adapter {}",
    "kind": "that are {}",
    "rank": "of rank {}",
    "trainer": "made by {}",
    "res": "trained at {}",
    "images": "with {} images",
    "epochs": "of a run of {} epochs",
    "trained": "trained {}",
    "size": "of {}",
    "date": "changed {}",
    "added": "first seen {}",
    "year": "changed in {}",
    "root": "in the root {}",
    "folder": "in the folder {}",
    "path": "with {} in the path",
    "hash": "with a hash that begins with {}",
    "has": "with {}",
    "id": "of id {}",
}
# Nouns that do not stand after "without any".
_NOUNS: Final = {"checkpoint": "named checkpoint", "added": "date of first sight", "has": "companion or fact"}
_FLAGS: Final = {
    ("dup", "yes"): "with duplicates",
    ("dup", "no"): "without duplicates",
    ("missing", "yes"): "that are missing",
    ("missing", "no"): "that are not missing",
}
# Names that cannot stand in front of a noun.
_NO_ADJECTIVE: Final[Mapping[str, Iterable[str]]] = {
    "arch": NO_ARCHITECTURE,
    "adapter": {"other", "none", "unknown"},
}
_ORDERS: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.DATE: ("oldest first", "newest first"),
    Kind.SIZE: ("smallest first", "largest first"),
    Kind.RESOLUTION: ("smallest first", "largest first"),
    Kind.INTEGER: ("lowest first", "highest first"),
    Kind.NUMBER: ("lowest first", "highest first"),
}


def sentence(query: Query, sorted_by: Sort) -> str:
    """Return what a query asks, and how its answer is sorted, as a person would say it; plain text."""
    where = query.where
    nodes = list(where.nodes if isinstance(where, And) else () if where is None else (where,))
    head = _head(nodes) if nodes else "everything"
    words = [_word(node) for node in nodes if isinstance(node, Text)]
    said = [_said(node) for node in nodes if not isinstance(node, Text)]
    if words:
        said.insert(0, f"matching {_listed(words, 'and')}")
    found = f"{head} {', '.join(said)}" if said else head
    return f"{found[:1].upper()}{found[1:]}, {_order(sorted_by)}"


def _head(nodes: list[Node]) -> str:
    """Return the noun with what stands before it, and take what it says out of the list."""
    architecture = _taken(nodes, "arch")
    adapter = _taken(nodes, "adapter")
    noun = _taken(nodes, "kind") or ("adapters" if adapter else "loras")
    return " ".join(filter(None, (architecture, adapter, noun)))


def _taken(nodes: list[Node], field: str) -> str | None:
    asked = [node for node in nodes if isinstance(node, Match) and node.field == field]
    if len(asked) != 1:
        return None
    names, without = _value_names(FIELDS[field]), _NO_ADJECTIVE.get(field, ())
    keys = [
        texts.key(value.text) for value in asked[0].values if isinstance(value, Exact) and not value.prefix
    ]
    if len(keys) != len(asked[0].values) or any(key in without or key not in names for key in keys):
        return None
    nodes.remove(asked[0])
    return _listed([names[key] for key in keys], "or")


def _value_names(row: Field) -> dict[str, str]:
    return {texts.key(value): name for value, name in row.names.items()}


def _said(node: Node) -> str:
    match node:
        case And(nodes) | Or(nodes):
            return _together(nodes, either=isinstance(node, Or))
        case Not(inner):
            return _contrary(inner)
        case Text():
            return f"matching {_word(node)}"
        case Saved(name):
            return f"of the saved search “{shown(name)}”"
        case Match(field, values):
            return _match(FIELDS[field], values)


def _together(nodes: tuple[Node, ...], *, either: bool) -> str:
    if not nodes:
        return "that cannot be" if either else "of any kind"
    return ("either " if either else "") + (" or " if either else " and ").join(map(_inner, nodes))


def _inner(node: Node) -> str:
    return f"({_said(node)})" if isinstance(node, And | Or) else _said(node)


def _contrary(node: Node) -> str:
    said = _inner(node)
    for begins, contrary in (
        ("with ", "without "),
        ("without ", "with "),
        ("that are not ", "that are "),
        ("that are ", "that are not "),
    ):
        if said.startswith(begins):
            return contrary + said.removeprefix(begins)
    return f"not {said}"


def _word(node: Text) -> str:
    return f"“{shown(node.text)}{'…' * node.prefix}”"


def _match(row: Field, values: tuple[Value, ...]) -> str:
    if values in {(Known(known=True),), (Known(known=False),)}:
        return (
            f"{'with' if values[0] == Known(known=True) else 'without'} any {_NOUNS.get(row.name, row.noun)}"
        )
    if row.kind is Kind.FLAG and len(values) == 1 and isinstance(values[0], Exact):
        return _FLAGS.get((row.name, values[0].text), f"with {row.noun}: {shown(values[0].text)}")
    usual = f"with {row.noun} {{}}" if row.kind in NUMERIC else f"with the {row.noun} {{}}"
    names = _value_names(row)
    said = _listed([_value(row, value, names) for value in values], "or")
    return _SAID.get(row.name, usual).replace("{}", said)


def _value(row: Field, value: Value, names: Mapping[str, str]) -> str:
    match value:
        case Known(known):
            return "any at all" if known else "none at all"
        case Exact(text, True):
            return f"what begins with “{shown(text)}”"
        case Exact(text, _):
            if row.kind is Kind.RESOLUTION or row.name in {"has", "year"}:
                return shown(text)
            plain = text.replace("_", " ") if row.name == "tag" and any(map(str.isalnum, text)) else text
            return names.get(texts.key(text), f"“{shown(plain)}”")
        case Between():
            return _SPANS.get(row.kind, _numbers)(value)


def _numbers(value: Between) -> str:
    return _span(value, number_text)


def _span(value: Between, said: Callable[[float], str]) -> str:
    low = "" if value.low is None else ("above " if value.low_open else "") + said(value.low)
    high = "" if value.high is None else ("below " if value.high_open else "") + said(value.high)
    if low and high:
        return low if low == high else f"{low} {'and' if value.low_open or value.high_open else 'to'} {high}"
    if low:
        return low if value.low_open else f"{low} or more"
    return high if value.high_open or not high else f"up to {high}"


def _sizes(value: Between) -> str:
    low, high = (None if bound is None else int(bound) for bound in (value.low, value.high))
    if low is not None and high is not None and (rounded := around_text(low, high)):
        return f"about {rounded[:-2]} {rounded[-2:].upper()}"
    first, after = (None, False) if low is None else size_edge(low, -1)
    last, before = (None, False) if high is None else size_edge(high, 1)
    return _span(Between(first, last, after, before), _bytes)


def _bytes(size: float) -> str:
    unit, factor = next(
        ((name, factor) for name, factor in reversed(UNITS.items()) if abs(size) >= factor), ("b", 1)
    )
    if factor == 1:
        return f"{int(size)} bytes"
    return f"{number_text(round(size / factor, 2))} {unit.upper()}"


def _dates(value: Between) -> str:
    low, high = (None if bound is None else int(bound) for bound in (value.low, value.high))
    first = "" if low is None else _moment(moment_text(low))
    last = "" if high is None else _moment(moment_text(high, ends=True))
    if low is None or high is None:
        return f"since {first}" if first else f"until {last}" if last else "at any time"
    if period := period_text(low, high):
        return f"{'on' if len(period) == 10 else 'in'} {period}"
    return f"on {_moment(instant_text(low))}" if low == high else f"from {first} to {last}"


def _moment(written: str) -> str:
    day, _, clock = written.partition("T")
    return f"{day} {clock.removesuffix('Z').removesuffix('.000')} UTC" if clock else day


_SPANS: Final[Mapping[Kind, Callable[[Between], str]]] = {Kind.SIZE: _sizes, Kind.DATE: _dates}


def _order(sort: Sort) -> str:
    row = FIELDS.get(sort.field)
    if sort.field == RELEVANCE or row is None:
        return "best matches first"
    order = _ORDERS.get(row.kind, ("A to Z", "Z to A"))[sort.descending]
    return order if row.name in {"date", "size"} else f"by {row.noun}, {order}"


def _listed(items: list[str], word: str) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"
