"""Whether a record is what a query asks for: the meaning of queries, one record at a time.

The index answers the same questions for many records at once and is held to this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.search.fields import COLUMNS, FIELDS, FREE, NUMERIC, OPEN_ENDED, Field, Kind
from registry.search.nodes import And, Between, Exact, Known, Match, Node, Not, Or, Saved, Text, Value
from registry.search.text import ROOT_FOLDER, Run, folders, key, runs, sequence, stands_in

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
    tokens = sequence(node.text)
    if node.phrase:
        texts = _free_texts(record, open_ended=node.prefix and len(tokens) > 1)
        found = any(stands_in(tokens, sequence(text), prefix=node.prefix) for text in texts)
    else:
        parts = runs(node.text)
        last = len(parts) - 1
        found = bool(parts) and all(
            _free(run, record, prefix=node.prefix and place == last) for place, run in enumerate(parts)
        )
    if node.prefix:
        begun = key(node.text)
        return found or (len(tokens) > 1 and any(key(tag).startswith(begun) for tag, _ in record.tags))
    if found or node.phrase:
        return found
    tags = set(translate(node.text))
    return bool(tags) and any(key(tag) in tags for tag, _ in record.tags)


def _free_texts(record: SearchRecord, *, open_ended: bool) -> list[str]:
    """Return the texts in which free words are looked for, or those for phrases whose end is open."""
    return [text for column in (OPEN_ENDED if open_ended else FREE) for text in column.read(record)]


def _free(run: Run, record: SearchRecord, *, prefix: bool) -> bool:
    prefix = prefix and not run.script
    ordered = _free_texts(record, open_ended=prefix and len(run.sequence) > 1)
    return any(_follow(run, text, prefix=prefix) for text in ordered) or any(
        _is_one(run, text, prefix=prefix) for text in _free_texts(record, open_ended=False)
    )


def _in_values(wanted: str, values: Sequence[str], *, prefix: bool, phrase: bool) -> bool:
    """Return whether a phrase stands in one of some texts, or each run of a word in any of them."""
    found = runs(wanted)
    if not found:
        return False
    if phrase:
        return any(stands_in(sequence(wanted), sequence(value), prefix=prefix) for value in values)
    last = len(found) - 1
    return all(
        any(_run(run, value, prefix=prefix and place == last) for value in values)
        for place, run in enumerate(found)
    )


def _run(wanted: Run, value: str, *, prefix: bool) -> bool:
    return _follow(wanted, value, prefix=prefix) or _is_one(wanted, value, prefix=prefix)


def _follow(wanted: Run, value: str, *, prefix: bool) -> bool:
    """Return whether the parts of a run follow one another in a text."""
    return stands_in(list(wanted.sequence), sequence(value), prefix=prefix)


def _is_one(wanted: Run, value: str, *, prefix: bool) -> bool:
    """Return whether a run stands in a text as one token."""
    if wanted.script:
        return len(wanted.whole) == 1 and any(
            wanted.whole in run.singles for run in runs(value) if run.script
        )
    singles = (single for run in runs(value) if not run.script for single in run.singles)
    alone = {*sequence(value), *singles}
    return any(one.startswith(wanted.whole) for one in alone) if prefix else wanted.whole in alone


def _value(row: Field, value: Value, record: SearchRecord) -> bool:
    if isinstance(value, Exact) and row.kind is Kind.WORDS:
        phrase = len(value.text.split()) > 1
        texts = list(_WORDS[row.name].read(record))
        return _in_values(value.text, texts, prefix=value.prefix, phrase=phrase)
    found = [one for one in row.read(record) if one is not None and one != ""]
    match value:
        case Known(known):
            return bool(found) is known
        case Between():
            return row.kind in NUMERIC and any(_lies(value, one) for one in found)
        case Exact(text, prefix):
            return row.kind in _EXACT and any(_EXACT[row.kind](one, text, prefix) for one in found)


def _lies(span: Between, value: object) -> bool:
    number = max(value) if isinstance(value, tuple) else value
    if not isinstance(number, int | float):
        return False
    return (
        (span.low is None or number > span.low or (number == span.low and not span.low_open))
        and (span.high is None or number < span.high or (number == span.high and not span.high_open))
    )  # fmt: skip


def _key(value: object, wanted: str, prefix: bool) -> bool:  # noqa: FBT001 - one of a table
    found, asked = key(str(value)), key(wanted)
    return found.startswith(asked) if prefix else found == asked


def _hash(value: object, wanted: str, prefix: bool) -> bool:  # noqa: ARG001, FBT001 - one of a table
    return str(value).startswith(wanted)


def _flag(value: object, wanted: str, prefix: bool) -> bool:  # noqa: ARG001, FBT001 - one of a table
    return wanted == ("yes" if value else "no")


def _sides(value: object, wanted: str, prefix: bool) -> bool:  # noqa: ARG001, FBT001 - one of a table
    return isinstance(value, tuple) and wanted == f"{value[0]}x{value[1]}"


def _folder(value: object, wanted: str, prefix: bool) -> bool:  # noqa: FBT001 - one of a table
    asked = folders(wanted)[-1]
    if prefix and asked == ROOT_FOLDER:
        return True
    return any(path.startswith(asked) if prefix else path == asked for path in folders(str(value)))


_EXACT: Final[Mapping[Kind, Callable[[object, str, bool], bool]]] = {
    Kind.KEY: _key,
    Kind.HASH: _hash,
    Kind.FLAG: _flag,
    Kind.RESOLUTION: _sides,
    Kind.FOLDER: _folder,
}
