"""Where a page ended, as an opaque text that is checked when it comes back."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, TypeGuard

import orjson

from registry.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 2000
_INTEGER = range(-(2**63), 2**63)


def after(sort: str, last: tuple[object, int], *, descending: bool = False) -> str:
    """Return the cursor that goes on after a row, given as (sort value, id)."""
    return base64.urlsafe_b64encode(orjson.dumps([sort, descending, *last])).decode().rstrip("=")


def decode(
    cursor: str, sort: str, fits: Callable[[object], bool], *, descending: bool = False
) -> tuple[Any, int]:
    """Return (sort value, id) of a cursor; `fits` says whether a value is one that this sort compares.

    Raises BadRequest for anything that is not a cursor of this sort and order.
    """
    row = _parse(cursor)
    if row is None or not fits(row[2]):
        raise BadRequest("that is no place in this list", remedy="pass next_cursor on as it is")
    if row[:2] != (sort, descending):
        raise BadRequest(
            "that is a place in a list of another order", remedy="start again from its beginning"
        )
    return row[2:]


def is_text(value: object) -> TypeGuard[str]:
    """Whether a sort value is a text that databases can compare with; none of them stores NUL."""
    return isinstance(value, str) and "\x00" not in value


def is_integer(value: object) -> TypeGuard[int]:
    """Whether a sort value is an integer of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and value in _INTEGER


def _parse(cursor: str) -> tuple[str, bool, object, int] | None:
    if len(cursor) > _LONGEST:
        return None
    try:
        row = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(row, list) or len(row) != 4:
        return None
    sort, descending, value, last = row
    if not isinstance(sort, str) or not isinstance(descending, bool) or not is_integer(last):
        return None
    return sort, descending, value, last
