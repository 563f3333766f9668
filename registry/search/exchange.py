"""Queries as JSON, for API users and saved searches.

::

    {"where": NODE | null, "sort": {"by": FIELD | "relevance", "descending": BOOL} | null}
    NODE  = {"and": [NODE, ...]} | {"or": [NODE, ...]} | {"not": NODE} | {"saved": NAME}
          | {"text": WORD, "prefix": BOOL} | {"phrase": TEXT, "prefix": BOOL}
          | {"field": FIELD, "any": [VALUE, ...]}
    VALUE = {"is": TEXT} | {"begins": TEXT} | {"known": BOOL}
          | {"from": NUMBER, "to": NUMBER, "above": NUMBER, "below": NUMBER}

Of bounds there is at most one on each side. Sizes are bytes, dates milliseconds since the epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from registry.errors import BadRequest
from registry.search import text as texts
from registry.search.fields import BY_NAME, NUMERIC, RELEVANCE, Field, Kind
from registry.search.nodes import And, Between, Exact, Known, Match, Node, Not, Or, Query, Saved, Sort, Text
from registry.search.query import MAX_BEGINNINGS, MAX_DEPTH, MAX_PARTS, MAX_TYPED, parse
from registry.search.reading import clean, shown
from registry.search.trees import all_of, any_of, groups, negated, settled
from registry.search.values import INTEGERS, UnreadableError, between, exact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.search.nodes import Bound, Value

MAX_LEVELS: Final = 3 * MAX_DEPTH + 4
"""What `MAX_DEPTH` parentheses can hold: a Not, an And and an Or each."""
MAX_CHARACTERS: Final = 2 * MAX_TYPED
_BOUNDS: Final = ("from", "to", "above", "below")


def to_json(query: Query) -> dict[str, object]:
    """Return a query as JSON; `from_json` makes the same query of it."""
    sort = query.sort and {"by": query.sort.field, "descending": query.sort.descending}
    return {"where": None if query.where is None else _node_json(query.where), "sort": sort}


def _node_json(node: Node) -> dict[str, object]:
    match settled(node):
        case And(nodes):
            return {"and": [_node_json(inner) for inner in nodes]}
        case Or(nodes):
            return {"or": [_node_json(inner) for inner in nodes]}
        case Not(inner):
            return {"not": _node_json(inner)}
        case Text(text, prefix, phrase):
            return {"phrase" if phrase else "text": text, "prefix": prefix}
        case Saved(name):
            return {"saved": name}
        case Match(field, values):
            return {"field": field, "any": [_value_json(value) for value in values]}


def _value_json(value: Value) -> dict[str, object]:
    match value:
        case Known(known):
            return {"known": known}
        case Exact(text, prefix):
            return {"begins" if prefix else "is": text}
        case Between(low, high, low_open, high_open):
            lower = {} if low is None else {"above" if low_open else "from": low}
            upper = {} if high is None else {"below" if high_open else "to": high}
            return {**lower, **upper}


@dataclass(slots=True)
class _Budget:
    parts: int = MAX_PARTS
    characters: int = MAX_CHARACTERS
    beginnings: int = MAX_BEGINNINGS


def from_json(value: object) -> Query:
    """Return the query that JSON describes, in the form in which `parse` would give it.

    Raises BadRequest, with the path of the part that is wrong.
    """
    found = _object(value, "", {"where", "sort"})
    where, sort = found.get("where"), found.get("sort")
    node = None if where is None else _node(where, "where", _Budget(), 0)
    if node is not None and groups(node) > MAX_DEPTH:
        _refuse("where", f"nests more than {MAX_DEPTH} groups")
    return Query(node, None if sort is None else _sort(sort))


def _refuse(path: str, what: str) -> NoReturn:
    raise BadRequest(f"{path or 'the query'} {what}")


def _object(value: object, path: str, keys: set[str]) -> Mapping[str, object]:
    if not isinstance(value, dict):
        _refuse(path, "is no object")
    for key in value:
        if key not in keys:
            _refuse(path, f"has an unknown key “{shown(str(key))}”; it may have {', '.join(sorted(keys))}")
    return value


def _list(value: object, path: str) -> list[object]:
    if not isinstance(value, list):
        _refuse(path, "is no list")
    if not value:
        _refuse(path, "is empty")
    return value


def _string(value: object, path: str, budget: _Budget) -> str:
    if not isinstance(value, str):
        _refuse(path, "is no text")
    budget.characters -= len(value)
    if budget.characters < 0:
        _refuse(path, f"is one text too many: a query may hold {MAX_CHARACTERS} characters")
    return clean(value).strip()


def _boolean(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        _refuse(path, "is neither true nor false")
    return value


def _spend(path: str, budget: _Budget, parts: int = 1) -> None:
    budget.parts -= max(1, parts)
    if budget.parts < 0:
        _refuse(path, f"is one too many: a query may hold {MAX_PARTS} words and values")


def _prefix(found: Mapping[str, object], path: str, budget: _Budget) -> bool:
    prefix = _boolean(found.get("prefix", False), f"{path}.prefix")
    return _begin(path, budget) if prefix else prefix


def _begin(path: str, budget: _Budget) -> bool:
    budget.beginnings -= 1
    if budget.beginnings < 0:
        _refuse(path, f"is one beginning too many: a query may hold {MAX_BEGINNINGS}")
    return True


def _sort(value: object) -> Sort:
    found = _object(value, "sort", {"by", "descending"})
    name = found.get("by")
    descending = _boolean(found.get("descending", False), "sort.descending")
    row = BY_NAME.get(name) if isinstance(name, str) else None
    if name == RELEVANCE:
        return Sort(RELEVANCE)
    if row is None or row.sort is None:
        _refuse("sort.by", "is no field that can be sorted by")
    return Sort(row.name, descending)


def _node(value: object, path: str, budget: _Budget, level: int) -> Node:
    if level > MAX_LEVELS:
        _refuse(path, "lies too deep")
    if not isinstance(value, dict):
        _refuse(path, "is no object")
    for name, (others, reader) in _NODES.items():
        if name in value:
            return reader(_object(value, path, {name, *others}), path, budget, level)
    _refuse(path, f"has none of {', '.join(_NODES)}")


def _and(found: Mapping[str, object], path: str, budget: _Budget, level: int) -> Node:
    return all_of(_nodes(found["and"], f"{path}.and", budget, level))


def _or(found: Mapping[str, object], path: str, budget: _Budget, level: int) -> Node:
    return any_of(_nodes(found["or"], f"{path}.or", budget, level))


def _nodes(value: object, path: str, budget: _Budget, level: int) -> list[Node]:
    found = enumerate(_list(value, path))
    return [_node(inner, f"{path}[{place}]", budget, level + 1) for place, inner in found]


def _not(found: Mapping[str, object], path: str, budget: _Budget, level: int) -> Node:
    return negated(_node(found["not"], f"{path}.not", budget, level + 1))


def _text(found: Mapping[str, object], path: str, budget: _Budget, _: int) -> Node:
    word = _string(found["text"], f"{path}.text", budget)
    _spend(path, budget, len(texts.runs(word)))
    prefix = _prefix(found, path, budget)
    node = Text(word, prefix)
    if parse(word + "*" * prefix, 0, longest=MAX_CHARACTERS + 1).query != Query(node):
        _refuse(f"{path}.text", "is not one word that can be looked for; a phrase may hold anything")
    return node


def _phrase(found: Mapping[str, object], path: str, budget: _Budget, _: int) -> Node:
    phrase = _string(found["phrase"], f"{path}.phrase", budget)
    _spend(path, budget, len(texts.runs(phrase)))
    if not texts.runs(phrase):
        _refuse(f"{path}.phrase", "has nothing to look for")
    return Text(phrase, _prefix(found, path, budget), phrase=True)


def _saved(found: Mapping[str, object], path: str, budget: _Budget, _: int) -> Node:
    _spend(path, budget)
    name = _string(found["saved"], f"{path}.saved", budget)
    return Saved(name) if name else _refuse(f"{path}.saved", "is empty")


def _match(found: Mapping[str, object], path: str, budget: _Budget, _: int) -> Node:
    name = found["field"]
    row = BY_NAME.get(name) if isinstance(name, str) else None
    if row is None:
        _refuse(f"{path}.field", "is no field that can be searched")
    values: dict[Value, None] = {}
    for place, value in enumerate(_list(found.get("any"), f"{path}.any")):
        values[_value(row, value, f"{path}.any[{place}]", budget)] = None
    return Match(row.name, tuple(values))


_NODES: Final = {
    "and": ((), _and),
    "or": ((), _or),
    "not": ((), _not),
    "text": (("prefix",), _text),
    "phrase": (("prefix",), _phrase),
    "saved": ((), _saved),
    "field": (("any",), _match),
}


def _value(row: Field, value: object, path: str, budget: _Budget) -> Value:
    found = _object(value, path, {"is", "begins", "known", *_BOUNDS})
    try:
        if len(found) == 1:
            ((name, only),) = found.items()
            if name == "known":
                _spend(path, budget)
                return _known(row, _boolean(only, f"{path}.known"))
            if name in {"is", "begins"}:
                text = _string(only, f"{path}.{name}", budget)
                _spend(path, budget, len(texts.runs(text)))
                return exact(row, text, prefix=name == "begins" and _begin(path, budget))
        _spend(path, budget)
        return _between(row, found, path)
    except UnreadableError as error:
        raise BadRequest(f"{path} is no value: {error}") from error


def _known(row: Field, known: bool) -> Value:  # noqa: FBT001 - the value itself
    # Where `none` is a value, every lora has one.
    return Exact("none") if not known and "none" in row.names else Known(known)


def _between(row: Field, found: Mapping[str, object], path: str) -> Between:
    if row.kind not in NUMERIC or not found or not found.keys() <= set(_BOUNDS):
        _refuse(path, "is no value of that field")
    if {"from", "above"} <= found.keys() or {"to", "below"} <= found.keys():
        _refuse(path, "has two bounds on one side")
    bounds = {name: _bound(row, bound, f"{path}.{name}") for name, bound in found.items()}
    return between(
        row,
        bounds.get("from", bounds.get("above")),
        bounds.get("to", bounds.get("below")),
        low_open="above" in bounds,
        high_open="below" in bounds,
    )


def _bound(row: Field, value: object, path: str) -> Bound:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(path, "is no number")
    if not (math.isfinite(value) if isinstance(value, float) else value in INTEGERS):
        _refuse(path, "is too large a number")
    if row.kind is not Kind.NUMBER and isinstance(value, float) and not value.is_integer():
        _refuse(path, "is no whole number")
    return value
