"""How trees of a query are put together, so that what means the same is built the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.search.nodes import And, Exact, Known, Like, Match, Node, Not, Or

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EVERYTHING: Final = And(())
NOTHING: Final = Or(())


def all_of(nodes: Iterable[Node]) -> Node:
    """Return what asks for all of these: each once, one of one, no And directly in an And."""
    return _flat(And, nodes)


def any_of(nodes: Iterable[Node]) -> Node:
    """Return what asks for at least one of these: each once, one of one, no Or directly in an Or."""
    return _flat(Or, nodes)


def _flat(kind: type[And | Or], nodes: Iterable[Node]) -> Node:
    flat = [inner for node in nodes for inner in (node.nodes if isinstance(node, kind) else (node,))]
    once = tuple(dict.fromkeys(flat))
    return once[0] if len(once) == 1 else kind(once)


def asks_for(node: Node | None, field: str) -> bool:
    """Tell whether a field is asked for anywhere in a tree."""
    match node:
        case Match(name, _):
            return name == field
        case Not(inner):
            return asks_for(inner, field)
        case And(nodes) | Or(nodes):
            return any(asks_for(each, field) for each in nodes)
        case _:
            return False


def values_of(node: Node | None, field: str) -> list[str]:
    """Return the texts that a field is asked for anywhere in a tree."""
    match node:
        case Match(name, values) if name == field:
            return [value.text for value in values if isinstance(value, Exact)]
        case Not(inner):
            return values_of(inner, field)
        case And(nodes) | Or(nodes):
            return [text for each in nodes for text in values_of(each, field)]
        case _:
            return []


def with_like(node: Node, field: str, ids: Mapping[str, tuple[int, ...]]) -> Node:
    """Return a tree in which the texts that a field is asked for have the ids that they mean."""
    match node:
        case Match(name, values) if name == field:
            return Match(
                name,
                tuple(
                    Like(value.text, value.prefix, ids[value.text]) if isinstance(value, Exact) else value
                    for value in values
                ),
            )
        case Not(inner):
            return Not(with_like(inner, field, ids))
        case And(nodes):
            return And(tuple(with_like(each, field, ids) for each in nodes))
        case Or(nodes):
            return Or(tuple(with_like(each, field, ids) for each in nodes))
        case _:
            return node


def negated(node: Node) -> Node:
    """Return what asks for the contrary: never a Not directly in a Not."""
    return node.node if isinstance(node, Not) else Not(node)


def settled(node: Node) -> Node:
    """Return a node; where it is an And or Or of none, as saved searches leave them, what can be typed.

    Every lora has an id.
    """
    return Match("id", (Known(isinstance(node, And)),)) if node in {EVERYTHING, NOTHING} else node


def groups(node: Node) -> int:
    """Return how deep parentheses nest where this is written."""
    match node:
        case And(nodes):
            return max((groups(inner) + isinstance(inner, Or) for inner in nodes), default=0)
        case Or(nodes):
            return max((groups(inner) for inner in nodes), default=0)
        case Not(inner):
            return groups(inner) + isinstance(inner, And | Or)
        case _:
            return 0
