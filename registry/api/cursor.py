"""Where a page ended, as an opaque text that is checked when it comes back."""

from __future__ import annotations

import base64
import binascii

import orjson

from registry.errors import BadRequest

_LONGEST = 2000
_INTEGER = range(-(2**63), 2**63)


def after(sort: str, last: tuple[object, int], *, descending: bool = False) -> str:
    """Return the cursor that goes on after a row, given as (sort value, id)."""
    return base64.urlsafe_b64encode(orjson.dumps([sort, descending, *last])).decode().rstrip("=")


def decode(cursor: str, sort: str, *, text: bool, descending: bool = False) -> tuple[str | int, int]:
    """Return (sort value, id) of a cursor; `text` says whether that sort compares texts or integers.

    Raises BadRequest for anything that is not a cursor of this sort and order.
    """
    row = _parse(cursor)
    if row is None or isinstance(row[2], str) != text:
        raise BadRequest("that is no cursor of this list", remedy="pass next_cursor on as it is")
    if row[:2] != (sort, descending):
        raise BadRequest("that cursor belongs to another sort", remedy="start again without a cursor")
    return row[2:]


def _parse(cursor: str) -> tuple[str, bool, str | int, int] | None:
    if len(cursor) > _LONGEST:
        return None
    try:
        row = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(row, list) or len(row) != 4:
        return None
    sort, descending, value, last = row
    if not isinstance(sort, str) or not isinstance(descending, bool) or not _is_integer(last):
        return None
    # NUL cannot be stored, so no honest cursor has it, and PostgreSQL refuses to compare with it.
    fits = "\x00" not in value if isinstance(value, str) else _is_integer(value)
    return (sort, descending, value, last) if fits else None


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _INTEGER
