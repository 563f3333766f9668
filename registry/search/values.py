"""What a value of a field means: written text, or bounds from elsewhere, to a value of the tree.

Values come out in one form each, so that equal questions are equal trees: `Between` holds floats for fields
of kind NUMBER and otherwise whole numbers without open ends; hashes are bare lower-case digits, folders bare
paths, flags `yes` or `no`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from registry.hashing.lookup import parse_hash_query
from registry.search import text as texts
from registry.search.fields import NUMERIC, Field, Kind
from registry.search.nodes import Between, Exact, Known
from registry.search.units import (
    DATES,
    around,
    read_ago,
    read_date,
    read_float,
    read_number,
    read_sides,
    read_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.search.nodes import Bound, Value

Number = Fraction | float | int

FLAGS: Final = {"yes": "yes", "true": "yes", "1": "yes", "no": "no", "false": "no", "0": "no"}
INTEGERS: Final = range(-(2**63), 2**63)
_EXPECTED: Final[Mapping[Kind, str]] = {
    Kind.WORDS: "words",
    Kind.KEY: "a value",
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number",
    Kind.SIZE: "a size such as 200mb",
    Kind.DATE: "a date such as 2024, 2024-05, 2024-05-17 or -7d",
    Kind.RESOLUTION: "a number of pixels or WxH",
    Kind.HASH: "8 or more hex digits",
    Kind.FOLDER: "a folder",
    Kind.FLAG: "yes or no",
}
_SIGNS = str.maketrans({"≥": ">=", "≤": "<=", "\u2212": "-"})
_COMPARED = re.compile(r"(>=|<=|>|<|=)(.*)", re.DOTALL)
_DOTS = re.compile(r"\.{2,}")


class UnreadableError(ValueError):
    """A text or bound is no value of its field; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class Written:
    """One value as it was typed; what is `quoted` has no special meaning."""

    text: str
    quoted: bool = False
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class _Point:
    """A number or period that was written: where it begins and ends, and what it means by itself."""

    first: Number
    last: Number
    low: Number | None
    high: Number | None


def expected(row: Field) -> str:
    """Return what a value of a field is, with an example."""
    return f"{row.name} takes {_EXPECTED[row.kind]}, as in {row.example.lstrip('-')}"


def read(row: Field, written: Written, now: int, swapped: Callable[[], None]) -> Value:
    """Return what a written value means in a field; call `swapped` if a range was written backwards.

    Raises UnreadableError where it means nothing there.
    """
    if not written.quoted and not written.text and written.prefix:
        return Known(known=True)
    plain = not written.quoted and not written.prefix
    if plain and written.text.casefold() == "none" and "none" not in row.names:
        return Known(known=False)
    if row.kind in NUMERIC:
        if written.prefix:
            raise UnreadableError(expected(row))
        return _measured(row, written.text, now, swapped)
    return exact(row, written.text, prefix=written.prefix)


def exact(row: Field, text: str, *, prefix: bool = False) -> Value:
    """Return a text as a value of a field, in the form in which it is compared or shown.

    Raises UnreadableError where it is none.
    """
    text = text.strip()
    reader = _EXACT.get(row.kind)
    if reader is None:
        raise UnreadableError(expected(row))
    found = reader(row, text, prefix)
    if found is None:
        raise UnreadableError(expected(row))
    return found


def _words(_: Field, text: str, prefix: bool) -> Value | None:  # noqa: FBT001 - one of a table
    return Exact(text, prefix) if texts.runs(text) else None


def _key(row: Field, text: str, prefix: bool) -> Value | None:  # noqa: FBT001 - one of a table
    if not prefix:
        wanted = texts.key(text)
        text = next((value for value, name in row.names.items() if texts.key(name) == wanted), text)
    return Exact(text, prefix) if texts.key(text) else None


def _hash(_: Field, text: str, prefix: bool) -> Value | None:  # noqa: ARG001, FBT001 - one of a table
    digits = parse_hash_query(text)
    return Exact(digits) if digits else None


def _folder(_: Field, text: str, prefix: bool) -> Value | None:  # noqa: FBT001 - one of a table
    path = text.replace("\\", "/").strip("/ ")
    if not text or (prefix and not path):
        return Known(known=True) if text else None
    return Exact(texts.ROOT_FOLDER if path in {"", "."} else path, prefix)


def _flag(_: Field, text: str, prefix: bool) -> Value | None:  # noqa: ARG001, FBT001 - one of a table
    found = FLAGS.get(texts.fold(text))
    return Exact(found) if found else None


def _sides(_: Field, text: str, prefix: bool) -> Value | None:  # noqa: ARG001, FBT001 - one of a table
    found = read_sides(texts.fold(text))
    return Exact(found) if found else None


_EXACT: Final[Mapping[Kind, Callable[[Field, str, bool], Value | None]]] = {
    Kind.WORDS: _words,
    Kind.KEY: _key,
    Kind.HASH: _hash,
    Kind.FOLDER: _folder,
    Kind.FLAG: _flag,
    Kind.RESOLUTION: _sides,
}


def between(
    row: Field,
    low: Number | None,
    high: Number | None,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> Between:
    """Return bounds in the one form that a field has for them.

    Raises UnreadableError where no number lies between them, or they are too large.
    """
    below: Bound | None
    above: Bound | None
    if row.kind is Kind.NUMBER:
        below = None if low is None else float(low) + 0.0
        above = None if high is None else float(high) + 0.0
    else:
        below = None if low is None else math.ceil(low) + (low_open and low == math.ceil(low))
        above = None if high is None else math.floor(high) - (high_open and high == math.floor(high))
        limits = DATES if row.kind is Kind.DATE else INTEGERS
        if any(bound is not None and bound not in limits for bound in (below, above)):
            raise UnreadableError("that is too large")
        low_open = high_open = False
    low_open, high_open = low_open and low is not None, high_open and high is not None
    if below is not None and above is not None and (below, low_open or high_open) > (above, False):
        raise UnreadableError("nothing lies there")
    return Between(below, above, low_open, high_open)


def _measured(row: Field, text: str, now: int, swapped: Callable[[], None]) -> Value:
    plain = unicodedata.normalize("NFKC", text).translate(_SIGNS).strip().lower()
    ends = _DOTS.split(plain, maxsplit=1)
    if len(ends) == 2:
        return _range(row, ends[0].strip(), ends[1].strip(), now, swapped)
    if row.kind is Kind.RESOLUTION and (sides := read_sides(plain)):
        return Exact(sides)
    compared = _COMPARED.match(plain)
    sign, scalar = compared.groups() if compared else ("=", plain)
    point = _point(row, scalar.strip(), now)
    if sign in {">", ">="}:
        return between(row, point.last if sign == ">" else point.first, None, low_open=sign == ">")
    if sign in {"<", "<="}:
        return between(row, None, point.first if sign == "<" else point.last, high_open=sign == "<")
    return between(row, point.low, point.high)


def _range(row: Field, low: str, high: str, now: int, swapped: Callable[[], None]) -> Value:
    if not low and not high:
        return Known(known=True)
    low_open, high_open = low[:1] == ">" and low[:2] != ">=", high[:1] == "<" and high[:2] != "<="
    low, high = low.removeprefix(">").removeprefix("="), high.removeprefix("<").removeprefix("=")
    if row.kind is Kind.SIZE and (first := read_size(low)) and (last := read_size(high)) and not first.unit:
        low += last.unit or ""
    start = _point(row, low, now) if low else None
    end = _point(row, high, now) if high else None
    if start and end and start.first > end.last:
        swapped()
        start, end, low_open, high_open = end, start, high_open, low_open
    return between(
        row,
        None if start is None else start.last if low_open else start.first,
        None if end is None else end.first if high_open else end.last,
        low_open=low_open,
        high_open=high_open,
    )


def _point(row: Field, text: str, now: int) -> _Point:
    found = _POINTS[row.kind](text, now)
    if found is None:
        raise UnreadableError(expected(row))
    return found


def _whole(text: str, _: int) -> _Point | None:
    number = read_number(text)
    return None if number is None else _Point(number, number, number, number)


def _float(text: str, _: int) -> _Point | None:
    number = read_float(text)
    return None if number is None else _Point(number, number, number, number)


def _size(text: str, _: int) -> _Point | None:
    size = read_size(text)
    return size and _Point(size.value, size.value, *around(size))


def _date(text: str, now: int) -> _Point | None:
    if (ago := read_ago(text, now)) is not None:
        return _Point(ago, ago, ago, None)
    period = read_date(text)
    return period and _Point(*period, *period)


_POINTS: Final[Mapping[Kind, Callable[[str, int], _Point | None]]] = {
    Kind.INTEGER: _whole,
    Kind.NUMBER: _float,
    Kind.SIZE: _size,
    Kind.DATE: _date,
    Kind.RESOLUTION: _whole,
}
