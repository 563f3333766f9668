"""Where a page ended, as an opaque text that is checked when it comes back."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import orjson

from registry.errors import BadRequest

_LONGEST = 2000
_INTEGER = range(-(2**63), 2**63)


class Cursor(NamedTuple):
    """The last row of a page: the value it was sorted by and its id."""

    sort: str
    descending: bool
    value: str | int
    id: int


def encode(cursor: Cursor) -> str:
    """Return the cursor as text that fits a query string."""
    return base64.urlsafe_b64encode(orjson.dumps(list(cursor))).decode().rstrip("=")


def decode(text: str, *, sort: str, descending: bool, text_value: bool) -> Cursor:
    """Return the cursor in a text; `text_value` says whether that sort compares texts or integers.

    Raises BadRequest for anything that is not a cursor of this sort and order.
    """
    cursor = _parse(text)
    if cursor is None:
        raise BadRequest("that is no cursor of this list", remedy="pass next_cursor on as it is")
    if (cursor.sort, cursor.descending) != (sort, descending):
        raise BadRequest("that cursor belongs to another sort", remedy="start again without a cursor")
    if isinstance(cursor.value, str) != text_value:
        raise BadRequest("that is no cursor of this list", remedy="pass next_cursor on as it is")
    return cursor


def _parse(text: str) -> Cursor | None:
    if len(text) > _LONGEST:
        return None
    try:
        row = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(row, list) or len(row) != len(Cursor._fields):
        return None
    sort, descending, value, last = row
    fits = isinstance(sort, str) and type(descending) is bool and type(last) is int and last in _INTEGER
    if isinstance(value, str):
        # NUL cannot be stored, so no honest cursor has it, and PostgreSQL refuses to compare with it.
        fits = fits and "\x00" not in value
    else:
        fits = fits and type(value) is int and value in _INTEGER
    return Cursor(sort, descending, value, last) if fits else None
