"""The query language: what a person types, as a tree. No text is an error; what is ignored is said.

::

    query = and { "OR" and }
    and   = term { ["AND"] term }
    term  = [ "-" ] ( "(" query ")" | field | PHRASE [ "*" ] | WORD [ "*" ] )
    field = NAME ":" value { "," value }
    value = ( ">=" | "<=" | ">" | "<" | "=" ) scalar | [ [ ">" ] scalar ] ".." [ [ "<" ] scalar ]
          | "*" | "none" | scalar [ "*" ]
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

from registry.errors import BadRequest
from registry.search import text as texts
from registry.search.fields import BY_NAME, FIELDS, NUMERIC, RELEVANCE, SORTS
from registry.search.nodes import And, Exact, Match, Node, Not, Or, Query, Saved, Sort, Text
from registry.search.reading import SAVED, SORT, Sign, Token, clean, shown, tokens
from registry.search.trees import NOTHING, all_of, any_of, negated
from registry.search.values import UnreadableError, Written, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from registry.search.fields import Field
    from registry.search.nodes import Value

_Part = TypeVar("_Part", Token, Written)
MAX_TYPED: Final = 2_000
"""Characters of a query that are read."""
MAX_WRITTEN: Final = 32_000
"""Characters that `registry.search.writing` needs at most for a query of `MAX_TYPED`."""
MAX_PARTS: Final = 200
"""Words, phrases and values of one query."""
MAX_BEGINNINGS: Final = 12
"""Words and values of one query that end in a star: each looks at all words that begin so."""
MAX_DEPTH: Final = 20
"""Parentheses within parentheses."""
MAX_WARNINGS: Final = 20
MAX_REPLACED: Final = 2_000
"""Nodes of a query whose saved searches were replaced."""
MAX_LEVELS: Final = 150
"""How deep such a query may be, far from where Python stops to recurse."""


@dataclass(frozen=True, slots=True)
class QueryWarning:
    """Something of a query that was ignored or read otherwise; `at` is where it stands in the text."""

    slug: str
    text: str
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text asks, and what of it was not understood."""

    query: Query
    warnings: tuple[QueryWarning, ...] = ()


@dataclass(slots=True)
class _Reading:
    tokens: deque[Token]
    text: str
    now: int
    warnings: list[QueryWarning]
    sort: Sort | None = None

    def warn(self, slug: str, text: str, at: int) -> None:
        self.warnings.append(QueryWarning(slug, text, at))


def parse(text: str, now: int, *, longest: int = MAX_TYPED) -> Parsed:
    """Return what a text asks, with `now` in milliseconds since the epoch for `-7d` and the like.

    Never raises. Of a longer text than `longest` only the beginning is read.
    """
    warnings: list[QueryWarning] = []
    if len(text) > longest:
        warnings.append(QueryWarning("query-cut", f"only the first {longest} characters were read", longest))
    text = clean(text[:longest])
    few = _bounded(_few_open(tokens(text), warnings), warnings)
    reading = _Reading(deque(few), text, now, warnings)
    where = _any(reading)
    return Parsed(Query(where, reading.sort), _told(warnings))


def _told(warnings: Iterable[QueryWarning]) -> tuple[QueryWarning, ...]:
    """Return warnings in the order of the text, no sentence twice."""
    told: dict[str, QueryWarning] = {}
    for warning in sorted(warnings, key=lambda said: said.at or 0):
        told.setdefault(warning.text, warning)
    return tuple(told.values())[:MAX_WARNINGS]


def _bounded(found: Iterable[Token], warnings: list[QueryWarning]) -> Iterator[Token]:
    """Give tokens while they are few enough, with every closing parenthesis belonging to one that is open."""
    depth = ignored = parts = 0
    for token in found:
        parts += _parts(token)
        if parts > MAX_PARTS:
            text = f"only the first {MAX_PARTS} words and values were read"
            warnings.append(QueryWarning("too-many-parts", text, token.at))
            return
        if token.sign is Sign.OPEN and depth == MAX_DEPTH:
            if not ignored:
                text = f"parentheses were ignored within {MAX_DEPTH} others"
                warnings.append(QueryWarning("too-deep", text, token.at))
            ignored += 1
        elif token.sign is Sign.CLOSE and ignored:
            ignored -= 1
        elif token.sign is Sign.CLOSE and not depth:
            text = "a closing parenthesis without an opening one was ignored"
            warnings.append(QueryWarning("stray-parenthesis", text, token.at))
        else:
            depth += (token.sign is Sign.OPEN) - (token.sign is Sign.CLOSE)
            yield token


def _parts(token: Token) -> int:
    """Return how much a token asks for: values, and the words that a text has without any blank."""
    if token.sign is Sign.FIELD:
        return max(1, sum(max(1, len(texts.runs(value.text))) for value in token.values))
    return max(1, len(texts.runs(token.text))) if token.sign in {Sign.WORD, Sign.PHRASE} else 0


def _few_open(found: Iterable[Token], warnings: list[QueryWarning]) -> Iterator[Token]:
    """Give tokens of which only the first few words and values end in a star."""
    left = MAX_BEGINNINGS

    def ended(part: _Part) -> _Part:
        nonlocal left
        if not (part.prefix and part.text):
            return part
        left -= 1
        return part if left >= 0 else replace(part, prefix=False)

    for token in found:
        # Names of sorts and of saved searches begin nothing.
        named = token.sign is Sign.FIELD and token.text in {SORT, SAVED}
        kept = token if named else ended(replace(token, values=tuple(map(ended, token.values))))
        if kept != token:
            text = f"only the first {MAX_BEGINNINGS} words with a star were read as beginnings"
            warnings.append(QueryWarning("too-many-beginnings", text, token.at))
        yield kept


def _any(reading: _Reading) -> Node | None:
    """Read terms and OR up to a closing parenthesis or the end."""
    choices: list[Node] = []
    terms: list[Node] = []
    lone: Token | None = None
    empty = True
    while reading.tokens and reading.tokens[0].sign is not Sign.CLOSE:
        token = reading.tokens[0]
        if token.sign in {Sign.OR, Sign.AND}:
            reading.tokens.popleft()
            if token.sign is Sign.AND:
                continue
            if empty:
                reading.warn("stray-or", "an OR with nothing before it was ignored", token.at)
                continue
            lone, empty = token, True
            if terms:
                choices.append(all_of(terms))
                terms = []
            continue
        empty, lone = False, None
        if (term := _term(reading)) is not None:
            terms.append(term)
    if lone:
        reading.warn("stray-or", "an OR with nothing after it was ignored", lone.at)
    if terms:
        choices.append(all_of(terms))
    return any_of(choices) if choices else None


def _term(reading: _Reading) -> Node | None:
    token = reading.tokens.popleft()
    minus: Token | None = None
    contrary = False
    while token.sign is Sign.MINUS:
        minus, contrary = token, not contrary
        ahead = reading.tokens[0] if reading.tokens else None
        if ahead is None or ahead.at != token.at + 1 or ahead.sign in {Sign.CLOSE, Sign.OR, Sign.AND}:
            reading.warn("stray-minus", "a minus sign with nothing after it was ignored", token.at)
            return None
        token = reading.tokens.popleft()
    node = _positive(reading, token)
    if minus and token.sign is Sign.FIELD and token.text == SORT:
        text = "a minus sign before “sort:” was ignored; “sort:-date” sorts the other way round"
        reading.warn("stray-minus", text, minus.at)
    return negated(node) if node is not None and contrary else node


def _positive(reading: _Reading, token: Token) -> Node | None:
    if token.sign is Sign.OPEN:
        node = _any(reading)
        if reading.tokens:
            reading.tokens.popleft()
        return node
    return _field(reading, token) if token.sign is Sign.FIELD else _text(reading, token)


def _text(reading: _Reading, token: Token) -> Node | None:
    if texts.runs(token.text):
        return Text(token.text, token.prefix, phrase=token.sign is Sign.PHRASE)
    if written := token.text + "*" * token.prefix:
        reading.warn("nothing-to-find", f"there is nothing to look for in “{shown(written)}”", token.at)
    return None


def _field(reading: _Reading, token: Token) -> Node | None:
    if not token.values:
        reading.warn("empty-value", _empty(token), token.at)
        return None
    if token.text == SORT:
        _sort(reading, token)
        return None
    if token.text == SAVED:
        names = [name for value in token.values if (name := (value.text + "*" * value.prefix).strip())]
        return any_of([Saved(name) for name in dict.fromkeys(names)]) if names else None
    return _match(reading, token, FIELDS[token.text])


def _match(reading: _Reading, token: Token, row: Field) -> Node | None:
    def swapped() -> None:
        text = f"the range of {row.name} was turned round: the smaller end comes first"
        reading.warn("reversed-range", text, token.at)

    values: dict[Value, None] = {}
    for written in token.values:
        try:
            values[read(row, written, reading.now, swapped)] = None
        except UnreadableError as error:
            typed = f"{row.name}:{written.text}{'*' * written.prefix}"
            reading.warn("unreadable-value", f"“{shown(typed)}” was ignored: {error}", token.at)
    return Match(row.name, tuple(values)) if values else None


def _empty(token: Token) -> str:
    row = FIELDS.get(token.text)
    example = row.example.lstrip("-") if row else "sort:-date" if token.text == SORT else "saved:name"
    text = f"“{token.text}:” was ignored, it has no value; write it as in {example}"
    return f"{text}; in a shell < and > need quotes around the query" if row and row.kind in NUMERIC else text


def _sort(reading: _Reading, token: Token) -> None:
    if reading.sort or len(token.values) > 1:
        reading.warn("several-sorts", "only one sort is used", token.at)
    typed = token.values[0].text.strip()
    found = sort_named(typed)
    if found is None:
        text = f"“sort:{shown(typed)}” was ignored; one can sort by {', '.join((RELEVANCE, *SORTS))}"
        reading.warn("unknown-sort", text, token.at)
    reading.sort = found or reading.sort


def sort_named(typed: str) -> Sort | None:
    """Return the sort that `rank`, `-rank`, `rank-desc` or `rank:asc` mean, `None` if it is none."""
    name = texts.fold(typed).replace("-", "_").replace(":", "_")
    descending = name.startswith("_")
    name = name.lstrip("_+")
    for ending, turned in (("_asc", False), ("_desc", True)):
        if name.endswith(ending):
            name, descending = name.removesuffix(ending), turned
            break
    row = BY_NAME.get(name)
    if name == RELEVANCE:
        return Sort(RELEVANCE)
    return Sort(row.name, descending) if row and row.sort else None


def sort_asked(typed: str) -> Sort:
    """Return the sort of a name; raises BadRequest for one that nothing is sorted by."""
    found = sort_named(typed)
    if found is None:
        raise BadRequest(
            f"there is no sort {shown(typed)!r}", remedy=f"sorts are {', '.join((RELEVANCE, *SORTS))}"
        )
    return found


@dataclass(slots=True)
class _Replacing:
    lookup: Callable[[str], Node | None]
    warnings: dict[QueryWarning, None] = field(default_factory=dict)
    nodes: int = 0
    beginnings: int = 0
    too_large: bool = False

    def nothing(self, slug: str, text: str) -> Node:
        self.warnings[QueryWarning(slug, text)] = None
        return NOTHING


def replace_saved(
    node: Node | None, lookup: Callable[[str], Node | None]
) -> tuple[Node | None, tuple[QueryWarning, ...]]:
    """Return a tree with every saved search replaced by what it asks, and what could not be replaced.

    `lookup` gives what the search of a name asks: `None` where there is none, `And(())` for everything. What
    is unknown, contains itself or is too large finds nothing.
    """
    if node is None:
        return None, ()
    replacing = _Replacing(lookup)
    replaced = _replaced(node, replacing, (), 0)
    return NOTHING if replacing.too_large else replaced, tuple(replacing.warnings)


def _replaced(node: Node, replacing: _Replacing, within: tuple[str, ...], level: int) -> Node:
    replacing.nodes += 1
    replacing.beginnings += _beginnings(node) if within else 0
    if replacing.nodes > MAX_REPLACED or level > MAX_LEVELS or replacing.beginnings > MAX_BEGINNINGS:
        replacing.too_large = True
        return replacing.nothing("too-large", "the saved searches in this query are too large together")
    match node:
        case And(nodes):
            return all_of([_replaced(inner, replacing, within, level + 1) for inner in nodes])
        case Or(nodes):
            return any_of([_replaced(inner, replacing, within, level + 1) for inner in nodes])
        case Not(inner):
            return negated(_replaced(inner, replacing, within, level + 1))
        case Saved(name):
            return _saved(name, replacing, within, level)
        case _:
            return node


def _beginnings(node: Node) -> int:
    match node:
        case Text(_, prefix):
            return int(prefix)
        case Match(_, values):
            return sum(isinstance(value, Exact) and value.prefix for value in values)
        case _:
            return 0


def _saved(name: str, replacing: _Replacing, within: tuple[str, ...], level: int) -> Node:
    if name in within:
        text = f"the saved search “{shown(name)}” contains itself, which finds nothing"
        return replacing.nothing("circular-saved-search", text)
    found = replacing.lookup(name)
    if found is None:
        text = f"there is no saved search “{shown(name)}”, which finds nothing"
        return replacing.nothing("unknown-saved-search", text)
    return _replaced(found, replacing, (*within, name), level + 1)
