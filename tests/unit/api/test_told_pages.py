"""Pages of which only some loras are told of: they are filled, bounded, and go on without a gap."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from registry.api.told_pages import PAGES, SIZE, Spot, fill, read_spot, write_spot
from registry.cursor import is_integer
from registry.views import LoraView, Page

if TYPE_CHECKING:
    from collections.abc import Collection

    from registry.api.told_pages import ToldPage


def lora(number: int) -> LoraView:
    return cast("LoraView", SimpleNamespace(id=number))


def page_of(told: Collection[int], total: int, start: Spot, limit: int) -> ToldPage:
    """Return a page of a list of the numbers from 1 to `total`, sorted by themselves."""

    def read(after: tuple[object, int] | None, skip: int, most: int) -> Page:
        first = (after[1] if after else 0) + skip + 1
        shown = range(first, min(first + most, total + 1))
        more = (shown[-1], shown[-1]) if shown and shown[-1] < total else None
        return Page([lora(number) for number in shown], more, total)

    return fill(read, lambda views: [one for one in views if one.id in told], start, limit)


def walk(told: Collection[int], total: int, limit: int) -> list[list[int]]:
    pages, start, withheld = [], Spot(), 0
    while True:
        page = page_of(told, total, start, limit)
        pages.append([one.id for one in page.items])
        withheld += page.withheld
        if not page.more:
            assert withheld == total - len(told)
            return pages
        assert page.last is None or page.last in told
        spot = Spot(start.after if page.last is None else (page.last, page.last), page.skip)
        start = read_spot(write_spot(spot, "id", descending=False), "id", is_integer, descending=False)
        assert start == spot


@pytest.mark.parametrize("limit", [1, 3, SIZE + 1])
@pytest.mark.parametrize(
    "told", [range(1, 1), range(1, 8), (1, 500), (250, 251, 600), range(200, 402), range(1, 601, 7)]
)
def test_every_lora_that_is_told_of_is_on_one_page(told: Collection[int], limit: int) -> None:
    pages = walk(told, 600, limit)
    assert [one for page in pages for one in page] == list(told)
    assert all(len(page) == limit for page in pages[:-1])


def test_a_page_reads_so_far_and_no_further() -> None:
    end = 2 * PAGES * SIZE + 100
    assert walk((1, end), end, 5) == [[1], [], [end]]
    assert page_of((), end, Spot(), 5)[1:] == (PAGES * SIZE, end, True, None, PAGES * SIZE)


def test_an_empty_list_is_one_empty_page() -> None:
    assert walk((), 0, 5) == [[]]
