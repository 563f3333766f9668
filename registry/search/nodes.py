"""The tree of a query: what is asked of a lora, apart from how it was typed and how it is answered."""

from __future__ import annotations

from dataclasses import dataclass

Bound = int | float
"""A number in the unit of its field: a plain number, bytes, or milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Text:
    """A word or phrase anywhere in what can be read: names, trigger words, tags, comments, folders.

    A word with `prefix` is the beginning of one; a `phrase` stands as it is, word after word.
    """

    text: str
    prefix: bool = False
    phrase: bool = False


@dataclass(frozen=True, slots=True)
class Exact:
    """A value of a field as it is, or with `prefix` what begins so."""

    text: str
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Like(Exact):
    """A text that names a lora, with the ids of the loras like that one, its own among them."""

    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Between:
    """Numbers from `low` to `high`, both included unless open; `None` is no bound."""

    low: Bound | None = None
    high: Bound | None = None
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """Whether a field has any value at all."""

    known: bool = True


Value = Exact | Between | Known


@dataclass(frozen=True, slots=True)
class Match:
    """Any of `values` in the field of that name (of `registry.search.fields`)."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved search, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """What is not so."""

    node: Node


@dataclass(frozen=True, slots=True)
class And:
    """All of these."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of these."""

    nodes: tuple[Node, ...]


Node = Text | Match | Saved | Not | And | Or


@dataclass(frozen=True, slots=True)
class Sort:
    """In which order: the name of a field that sorts, or `relevance`."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: `where` is `None` for everything, `sort` `None` for the usual order."""

    where: Node | None = None
    sort: Sort | None = None
