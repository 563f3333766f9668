"""A record as the document that the index holds of it.

A rebuild spends most of its time here. So what is made of a text is remembered, and what the table of fields
says is laid out once, when this is loaded.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from functools import lru_cache, partial
from itertools import compress, islice, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import orjson

from registry.search import fields, text
from registry.search.fields import COLUMNS, NUMERIC, TABLE, TAG, TAG_TIMES, TAGS, Field, Kind
from registry.search.schema import BAG, FLOATS, KEYS, SORT_BYTES, SORT_PARTS, document_key, sorts_by_text
from registry.search.units import comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from registry.search.readers import Read
    from registry.views import SearchRecord

_INT64: Final = 1 << 63
_MAX_FACET: Final = 200
_SHORT: Final = 40
_REMEMBERED: Final = 1 << 16
"""So many texts of up to 40 characters are remembered: a library is made of some ten thousand of them."""

Made = TypeVar("Made")
Values = dict[str, list[object]]
Words = tuple[str, str]
"""The tokens of a text in order, and all by which words find it."""


def document(record: SearchRecord) -> str:
    """Return the document of a record as JSON, which the engine reads sooner than objects.

    Raises TypeError for what cannot be written so.
    """
    return orjson.dumps(values_of(record)).decode()


def values_of(record: SearchRecord) -> Values:
    """Return what the document of a record holds, by engine field; fields that hold nothing are left out."""
    values: Values = {
        "key": [document_key(record.id)],
        "whole": list(dict.fromkeys([text.key(name) for name in fields.WHOLE_NAMES(record)])),
    }
    bag: list[object] = []
    for tokens_field, bag_field, read_texts, times in _COLUMNS:
        found = [_words[one] if len(one) <= _SHORT else _long(one) for one in read_texts(record)]
        if found:
            tokens, bags = zip(*found, strict=True)
            values[tokens_field] = list(filter(None, tokens))
            held: list[object] = [*filter(None, bags)]
            if bag_field:
                values[bag_field] = held
            bag += times * held
    if record.tags:
        bag += _put_tags(values, record.tags)
    values[BAG] = bag
    _put_fields(values, record)
    for sort_fields, read_value in _SORTS:
        if (value := read_value(record)) is not None:
            values.update(zip(sort_fields, _sort_values(str(value)), strict=True))
    return {name: value for name, value in values.items() if value}


def _put_tags(values: Values, pairs: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Put in tags, of which there are more than of all else together: in one go, each looked up once.

    Gives what they are in the bag.
    """
    # The catalog gives them in this order, in which those that count as often are neighbours.
    tags, counts = zip(*sorted(pairs, key=itemgetter(1), reverse=True), strict=True)
    tokens, bags, keys = zip(*map(_tags.__getitem__, tags), strict=True)
    values["k_tag"] = [" ".join(dict.fromkeys(compress(keys, tags)))]
    values[f"t_{TAGS}"] = [one for one in tokens if " " in one]
    rising, top, first = counts[::-1], counts[0] or 1, 0
    for share, times in TAG_TIMES:
        end = len(tags) - bisect_left(rising, share * top)
        if words := " ".join(filter(None, bags[first:end])):
            yield from repeat(words, times)
        first = end


def _put_fields(values: Values, record: SearchRecord) -> None:
    known = _put_header(values, record.header)
    for name, read, read_terms, number_kind, facet in _ROWS:
        found = [value for value in read(record) if value is not None and value != ""]
        if found:
            known.append(name)
            if read_terms is not None:
                values[f"k_{name}"] = read_terms(found)
            if number_kind is not None:
                values[f"n_{name}"] = _number(number_kind, found)
        if facet is not None:
            values[f"f_{name}"] = [value[:_MAX_FACET] for value in facet(record)]
    values["known"] = [" ".join(known)]


def _put_header(values: Values, header: Mapping[str, object]) -> list[str]:
    """Put in the rows that are one column of the header and return the names of those that have a value."""
    known: list[str] = []
    for name, column, is_key, number_kind, has_facet in _HEADER_ROWS:
        value = header.get(column)
        if value is not None and value != "":
            known.append(name)
            if is_key:
                values[f"k_{name}"] = [_keys[str(value)]]
            if number_kind is not None:
                values[f"n_{name}"] = _number(number_kind, [value])
            if has_facet:
                values[f"f_{name}"] = [str(value)[:_MAX_FACET]]
    return known


class _Remembered(dict[str, Made]):
    """What was made of each short text so far; when there are too many it begins anew."""

    def __init__(self, make: Callable[[str], Made]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, one: str) -> Made:
        made = self._make(one)
        if len(one) <= _SHORT:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[one] = made
        return made


def _words_of(one: str) -> Words:
    found = text.runs(one)
    tokens = " ".join([token for run in found for token in run.sequence])
    bag = " ".join(dict.fromkeys([token for run in found for token in run.bag]))
    # Most words are their own token: one object for all is less to keep and to reach for.
    tokens = one if tokens == one else tokens
    return tokens, tokens if tokens == bag else bag


def _tag_of(tag: str) -> tuple[str, str, str]:
    tokens, bag = _words_of(tag.replace("_", " "))
    key = text.tag_term(text.key(tag))
    return tokens, bag, next((same for same in (tag, tokens) if same == key), key)


_words = _Remembered(_words_of)
_tags = _Remembered(_tag_of)
_keys = _Remembered(text.key)
# The name of a file is read for several fields, and hardly any other file has it.
_long_word = lru_cache(maxsize=64)(_words_of)


def _long(one: str) -> Words:
    """Return the words of a text from those of its parts between blanks, beyond which nothing reaches."""
    tokens: list[str] = []
    bag: list[str] = []
    for chunk in one[: text.MAX_TEXT].split():
        # To see that a word is its own token is quicker than to look it up.
        if chunk.islower() and chunk.isalpha() and chunk.isascii():
            tokens.append(chunk[: text.MAX_TOKEN])
            continue
        found, held = _words[chunk] if len(chunk) <= _SHORT else _long_word(chunk)
        if found:
            tokens.append(found)
            bag.append(held)
    return " ".join(tokens), " ".join(dict.fromkeys(" ".join((*tokens, *bag)).split()))


def terms(kind: Kind, value: object) -> Iterable[str]:
    """Return the terms under which a value of a field that is compared as a whole is found."""
    if kind is Kind.FLAG:
        return ("yes" if value else "no",)
    if kind is Kind.RESOLUTION:
        return (f"{value[0]}x{value[1]}",) if isinstance(value, tuple) else ()
    if kind is Kind.HASH:
        return (str(value),)
    if kind is Kind.FOLDER:
        return text.folders(str(value))
    return (_keys[str(value)],)


def number_of(kind: Kind, value: object) -> int | float | None:
    """Return what is compared of a numeric value."""
    if kind is Kind.RESOLUTION:
        value = max(value) if isinstance(value, tuple) else None
    if not isinstance(value, int | float):
        return None
    if kind in FLOATS:
        return comparable(value)
    return value if isinstance(value, int) and -_INT64 <= value < _INT64 else None


def sort_key(value: str) -> str:
    """Return the beginning of a folded text that it is sorted by: whole characters of at most 48 bytes."""
    return text.key(value).encode()[:SORT_BYTES].decode("utf-8", "ignore")


_PARTS: Final = struct.Struct(f">{SORT_PARTS}Q")


def sort_parts(key: str) -> list[int]:
    """Return the bytes of a sort key as numbers that compare as it does."""
    return list(_PARTS.unpack(key.encode().ljust(SORT_BYTES, b"\0")))


@lru_cache(maxsize=1 << 10)
def _sort_values(value: str) -> tuple[list[object], ...]:
    key = sort_key(value)
    parts: list[list[object]] = [[number] for number in sort_parts(key)]
    return ([key], *parts)


class _HeaderRow(NamedTuple):
    """A row of the table of fields that is one column of the header, laid out."""

    name: str
    column: str
    is_key: bool
    number_kind: Kind | None
    has_facet: bool


class _Row(NamedTuple):
    """Any other row, laid out: which engine fields it fills, and with what."""

    name: str
    read: Read
    read_terms: Callable[[list[object]], list[object]] | None
    number_kind: Kind | None
    facet: Callable[[SearchRecord], Iterable[str]] | None


def _laid_out(row: Field) -> _Row:
    # Tags are put in by themselves; here it only counts whether there are any.
    is_tag = row.name == TAG
    has_terms = row.kind in KEYS and not is_tag
    return _Row(
        row.name,
        _first_tag if is_tag else row.read,
        _TERMS.get(row.kind, partial(_terms, row.kind)) if has_terms else None,
        row.kind if row.kind in NUMERIC else None,
        row.facet,
    )


def _first_tag(record: SearchRecord) -> Iterable[object]:
    return islice((tag for tag, _ in record.tags if tag), 1)


def _terms(kind: Kind, found: list[object]) -> list[object]:
    return list(dict.fromkeys([term for value in found for term in terms(kind, value)]))


def _key_terms(found: list[object]) -> list[object]:
    if len(found) == 1:
        return [_keys[str(found[0])]]
    return list(dict.fromkeys(map(_keys.__getitem__, map(str, found))))


def _hash_terms(found: list[object]) -> list[object]:
    return [" ".join(dict.fromkeys(map(str, found)))]


# What `terms` gives one by one, for kinds that most fields are of or that have many values.
_TERMS: Final = {Kind.KEY: _key_terms, Kind.HASH: _hash_terms}


def _number(kind: Kind, found: list[object]) -> list[object]:
    first = found[0]
    # What nearly all numbers are, without a closer look.
    if type(first) is int and kind not in FLOATS and -_INT64 <= first < _INT64:
        return found[:1]
    numbers: list[object] = [n for value in found if (n := number_of(kind, value)) is not None]
    return numbers[:1]


_HEADER_ROWS: Final = tuple(
    _HeaderRow(
        row.name,
        row.column,
        row.kind is Kind.KEY,
        row.kind if row.kind in NUMERIC else None,
        row.facet is not None,
    )
    for row in TABLE
    if row.column is not None
)
_ROWS: Final = tuple(_laid_out(row) for row in TABLE if row.column is None)
_COLUMNS: Final = tuple(
    (f"t_{column.name}", f"b_{column.name}" if column.counts_apart else None, column.read, column.times)
    for column in COLUMNS
    if column.name != TAGS
)
_SORTS: Final = tuple(
    ((f"s_{row.name}", *(f"s_{row.name}_{part}" for part in range(SORT_PARTS))), row.sort)
    for row in TABLE
    if row.sort is not None and sorts_by_text(row)
)
