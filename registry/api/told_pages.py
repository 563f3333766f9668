"""Pages of a list of which somebody is told only some: filled with these, and naming no other one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from registry import cursor as cursors
from registry.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.views import LoraView, Page

PAGES: Final = 20
"""So many pages are read for one that is told of."""
SIZE: Final = 200
"""Of so many loras each, or as many as are asked for."""
_BEHIND: Final = "."
_DIGITS: Final = 18


class Spot(NamedTuple):
    """A place in a list: so many loras behind one that was told of, or behind the beginning."""

    after: tuple[object, int] | None = None
    skip: int = 0


class ToldPage(NamedTuple):
    """Loras that are told of, how many were passed over, of how many, and where it goes on if it does.

    That is `skip` loras behind `last`, or behind where this page began if that is `None`.
    """

    items: list[LoraView]
    withheld: int
    total: int
    more: bool
    last: int | None
    skip: int


def fill(
    read: Callable[[tuple[object, int] | None, int, int], Page],
    told: Callable[[Sequence[LoraView]], Sequence[LoraView]],
    start: Spot,
    limit: int,
) -> ToldPage:
    """Read pages until `limit` loras are told of, the list ends or `PAGES` are read.

    `read` takes a place, how many to skip behind it and how many to read at most.
    """
    items: list[LoraView] = []
    withheld, last, skip, total = 0, None, start.skip, 0
    after, behind = start
    for _ in range(PAGES):
        page = read(after, behind, max(SIZE, limit))
        total = page.total
        shown = {one.id for one in told(page.items)}
        for number, one in enumerate(page.items, 1):
            if one.id not in shown:
                withheld, skip = withheld + 1, skip + 1
                continue
            items.append(one)
            last, skip = one.id, 0
            if len(items) == limit:
                more = page.next is not None or number < len(page.items)
                return ToldPage(items, withheld, total, more, last, skip)
        if page.next is None:
            return ToldPage(items, withheld, total, more=False, last=last, skip=skip)
        after, behind = page.next, 0
    return ToldPage(items, withheld, total, more=True, last=last, skip=skip)


def write_spot(spot: Spot, sort: str, *, descending: bool) -> str:
    """Return the cursor of a place."""
    text = "" if spot.after is None else cursors.after(sort, spot.after, descending=descending)
    return f"{text}{_BEHIND}{spot.skip}" if spot.skip else text


def read_spot(text: str, sort: str, fits: Callable[[object], bool], *, descending: bool) -> Spot:
    """Return the place of a cursor; raises BadRequest as `registry.cursor.decode` does."""
    cursor, behind, skip = text.partition(_BEHIND)
    if behind and not (skip.isascii() and skip.isdecimal() and len(skip) <= _DIGITS):
        raise BadRequest("that is no place in this list", remedy="pass next_cursor on as it is")
    after = None
    if cursor or not behind:
        after = cursors.decode(cursor, sort, fits, descending=descending)
    return Spot(after, int(skip or 0))
