"""A place to go on from is a text of a stranger: whatever stands in it, it is taken or refused by name."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registry import cursor as cursors
from registry.errors import BadRequest
from registry.search.fields import RELEVANCE, SORTS
from registry.search.nodes import Sort, Text
from tests.support.search_index import indexed
from tests.support.search_records import record

if TYPE_CHECKING:
    from registry.search.engine import Engine

FAR = 2**63
VALUES = st.none() | st.booleans() | st.integers(-FAR, 2 * FAR - 1) | st.floats() | st.text(max_size=60)
ROWS = st.integers(-FAR, FAR - 1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    chance = random.Random(5)
    return indexed(tmp_path_factory.mktemp("index"), [record(chance, number) for number in range(1, 41)])


@given(order=st.sampled_from((*SORTS, RELEVANCE)), descending=st.booleans(), value=VALUES, row=ROWS)
@example(order=RELEVANCE, descending=False, value=-1, row=0)
@example(order=RELEVANCE, descending=False, value=10**12, row=0)
@example(order="size", descending=False, value=1.5, row=0)
@example(order="size", descending=False, value=FAR - 1, row=FAR - 1)
@example(order="size", descending=True, value=-FAR, row=-FAR)
@example(order="name", descending=False, value="x" * 49, row=0)
@example(order="name", descending=True, value="\x00", row=0)
@example(order="alpha", descending=False, value=3, row=0)
@example(order="alpha", descending=True, value=sys.float_info.max, row=0)
def test_a_page_goes_on_from_any_place_or_refuses_it(
    engine: Engine,
    order: str,
    descending: bool,  # noqa: FBT001 - drawn
    value: object,
    row: int,
) -> None:
    cursor = cursors.after(order, (value, row), descending=descending)
    try:
        hits = engine.search(Text("style"), sort=Sort(order, descending), limit=5, cursor=cursor)
    except BadRequest:
        return
    assert len(hits.ids) <= 5


@pytest.mark.parametrize("value", [-1, 1001, 1.5, "1", True])
def test_a_place_among_the_best_is_one_of_the_first_thousand(engine: Engine, value: object) -> None:
    with pytest.raises(BadRequest, match="no place in this list"):
        engine.search(Text("style"), sort=Sort(RELEVANCE), cursor=cursors.after(RELEVANCE, (value, 0)))
