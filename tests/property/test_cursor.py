"""Cursors come back as they were made, and nothing else passes for one."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from registry.cursor import after, decode, is_integer, is_text
from registry.errors import BadRequest

INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=200)


@given(sort=st.sampled_from(["name", "size"]), value=TEXTS | INTEGERS, row=INTEGERS, descending=st.booleans())
def test_a_cursor_comes_back(sort: str, value: str | int, row: int, descending: bool) -> None:  # noqa: FBT001 - drawn
    cursor = after(sort, (value, row), descending=descending)
    assert decode(cursor, sort, is_text if isinstance(value, str) else is_integer, descending=descending) == (
        value,
        row,
    )


@given(st.text(max_size=300) | st.text("ABCDEFabcdef0123456789-_=", max_size=80), st.booleans())
def test_any_other_text_is_refused_by_name(cursor: str, text: bool) -> None:  # noqa: FBT001 - drawn
    with contextlib.suppress(BadRequest):
        value, row = decode(cursor, "name", is_text if text else is_integer)
        assert isinstance(value, str) is text
        assert isinstance(row, int)
