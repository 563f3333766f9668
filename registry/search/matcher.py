"""Whether a record is what a query asks for: the meaning of queries, one record at a time.

The index answers the same questions for many records at once and is held to this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from registry.search.fields import COLUMNS, FIELDS, FREE, NUMERIC, OPEN_ENDED, Field, Kind
from registry.search.nodes import And, Between, Exact, Known, Match, Node, Not, Or, Saved, Text, Value
from registry.search.text import (
    GRAM,
    ROOT_FOLDER,
    SHORT,
    Run,
    beginning,
    folders,
    grams,
    is_open,
    key,
    runs,
    sequence,
    stands_in,
)
from registry.search.units import comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from registry.views import SearchRecord

_WORDS: Final = {column.field: column for column in COLUMNS if column.field}


def untranslated(_: str) -> Sequence[str]:
    """Return no tags for any word."""
    return ()


def matches(
    node: Node | None,
    record: SearchRecord,
    translate: Callable[[str], Sequence[str]] = untranslated,
) -> bool:
    """Return whether a record is what a tree asks for.

    `translate` gives the tags, folded, that a free word of another language means. Raises ValueError for a
    saved search: `registry.search.query.replace_saved` puts what it asks in its place.
    """
    match node:
        case None:
            return True
        case And(nodes):
            return all(matches(inner, record, translate) for inner in nodes)
        case Or(nodes):
            return any(matches(inner, record, translate) for inner in nodes)
        case Not(inner):
            return not matches(inner, record, translate)
        case Text():
            return _text(node, record, translate)
        case Match(name, values):
            return any(_value(FIELDS[name], value, record) for value in values)
        case Saved(name):
            raise ValueError(f"the saved search {name!r} was not replaced")


def _text(node: Text, record: SearchRecord, translate: Callable[[str], Sequence[str]]) -> bool:
    texts = _Texts(
        [[*column.read(record)] for column in FREE], [[*column.read(record)] for column in OPEN_ENDED]
    )
    parts = runs(node.text)
    if _words(texts, parts, prefix=node.prefix, phrase=node.phrase):
        return True
    if node.prefix:
        begun = beginning(key(node.text))
        several = sum(len(run.sequence) for run in parts) > 1
        return several and any(key(tag).startswith(begun) for tag, _ in record.tags)
    if node.phrase:
        return False
    tags = set(translate(node.text))
    return bool(tags) and any(key(tag) in tags for tag, _ in record.tags)


class _Texts(NamedTuple):
    """The texts in which words are looked for, by column; phrases whose end is open in fewer."""

    columns: Sequence[Sequence[str]]
    open_ended: Sequence[Sequence[str]]

    def holds(self, token: str, *, prefix: bool = False) -> bool:
        """Whether a token, or one that begins so, is among all by which these texts are found."""
        held = (held for some in self.columns for text in some for run in runs(text) for held in run.bag)
        wanted = beginning(token) if prefix else token
        return any(one.startswith(wanted) if prefix else one == wanted for one in held)


def _words(texts: _Texts, found: Sequence[Run], *, prefix: bool, phrase: bool) -> bool:
    """Whether a phrase stands in one of the texts, or each run of a word in any of them."""
    if not found:
        return False
    prefix = is_open(found, prefix=prefix)
    if phrase:
        return _phrase(texts, found, prefix=prefix)
    last = len(found) - 1
    return all(_word(texts, run, prefix=prefix and place == last) for place, run in enumerate(found))


def _word(texts: _Texts, run: Run, *, prefix: bool) -> bool:
    if run.script and len(run.whole) > GRAM:
        return _phrase(texts, [run], prefix=False)
    if texts.holds(run.whole, prefix=prefix):
        return True
    return not run.script and len(run.sequence) > 1 and _phrase(texts, [run], prefix=prefix)


def _phrase(texts: _Texts, found: Sequence[Run], *, prefix: bool) -> bool:
    tokens = [token for run in found for token in run.sequence]
    if len(tokens) == 1:
        return _word(texts, found[0], prefix=prefix)
    # A stretch of a script without blanks stands where all its parts do, up to four characters long.
    parts = [
        gram
        for run in found
        if run.script and len(run.whole) > 2
        for gram in grams(run.whole, min(GRAM, len(run.whole)))
    ]
    columns = texts.open_ended if prefix else texts.columns
    return all(map(texts.holds, parts)) and any(_follow(tokens, some, prefix=prefix) for some in columns)


def _follow(tokens: list[str], texts: Sequence[str], *, prefix: bool) -> bool:
    """Whether tokens follow one another in a text of a column."""
    if prefix and len(tokens[-1]) < SHORT:
        begun = any(token.startswith(tokens[-1]) for text in texts for token in sequence(text))
        return begun and _follow(tokens[:-1], texts, prefix=False)
    return any(stands_in(tokens, sequence(text), prefix=prefix) for text in texts)


def _value(row: Field, value: Value, record: SearchRecord) -> bool:
    if isinstance(value, Exact) and row.kind is Kind.WORDS:
        phrase = len(value.text.split()) > 1
        texts = [[*_WORDS[row.name].read(record)]]
        return _words(_Texts(texts, texts), runs(value.text), prefix=value.prefix, phrase=phrase)
    found = [one for one in row.read(record) if one is not None and one != ""]
    match value:
        case Known(known):
            return bool(found) is known
        case Between():
            return row.kind in NUMERIC and any(_lies(row.kind, value, one) for one in found)
        case Exact(text, prefix):
            return row.kind in _EXACT and any(_EXACT[row.kind](one, text, prefix) for one in found)


def _lies(kind: Kind, span: Between, value: object) -> bool:
    number = max(value) if isinstance(value, tuple) else value
    if not isinstance(number, int | float):
        return False
    low, high = span.low, span.high
    if kind is Kind.NUMBER:
        number, low, high = (None if one is None else comparable(one) for one in (number, low, high))
        if number is None:
            return False
    return (
        (low is None or number > low or (number == low and not span.low_open))
        and (high is None or number < high or (number == high and not span.high_open))
    )  # fmt: skip


def _key(value: object, wanted: str, prefix: bool) -> bool:  # noqa: FBT001 - one of a table
    found, asked = key(str(value)), key(wanted)
    return found.startswith(beginning(asked)) if prefix else found == asked


def _hash(value: object, wanted: str, prefix: bool) -> bool:  # noqa: ARG001, FBT001 - one of a table
    return str(value).startswith(beginning(wanted))


def _flag(value: object, wanted: str, prefix: bool) -> bool:  # noqa: ARG001, FBT001 - one of a table
    return wanted == ("yes" if value else "no")


def _sides(value: object, wanted: str, prefix: bool) -> bool:  # noqa: ARG001, FBT001 - one of a table
    return isinstance(value, tuple) and wanted == f"{value[0]}x{value[1]}"


def _folder(value: object, wanted: str, prefix: bool) -> bool:  # noqa: FBT001 - one of a table
    asked = folders(wanted)[-1]
    if prefix and asked == ROOT_FOLDER:
        return True
    begun = beginning(asked)
    return any(path.startswith(begun) if prefix else path == asked for path in folders(str(value)))


_EXACT: Final[Mapping[Kind, Callable[[object, str, bool], bool]]] = {
    Kind.KEY: _key,
    Kind.HASH: _hash,
    Kind.FLAG: _flag,
    Kind.RESOLUTION: _sides,
    Kind.FOLDER: _folder,
}
