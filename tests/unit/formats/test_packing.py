"""Packing of metadata and JSON: what goes in comes out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.formats.packing import (
    MAX_TAG,
    clean_text,
    pack_json,
    pack_metadata,
    stored_tag,
    unpack_json,
    unpack_metadata,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(metadata=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=6))
def test_metadata_come_back_string_for_string_in_order(metadata: dict[str, str]) -> None:
    assert list(unpack_metadata(pack_metadata(metadata)).items()) == list(metadata.items())


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | ANY_TEXT, st.lists, max_leaves=6
    )
)
def test_plain_values_come_back(value: object) -> None:
    assert unpack_json(pack_json(value)) == value


@pytest.mark.parametrize("beside", ["", "\ud800"])
def test_what_json_cannot_say_is_null(beside: str) -> None:
    value = [beside, math.nan, (math.inf, {"a": -math.inf, "b": 1.5})]
    assert unpack_json(pack_json(value)) == [beside, None, [None, {"a": None, "b": 1.5}]]


@given(text=ANY_TEXT)
def test_clean_text_can_be_written_anywhere(text: str) -> None:
    clean = clean_text(text)
    assert "\x00" not in clean
    assert clean.encode().decode() == clean
    assert len(clean) == len(text)
    assert clean_text(clean) == clean


def test_tags_are_stored_clean_and_bounded() -> None:
    assert stored_tag("a\x00\udfff") == "a␀\ufffd"
    assert len(stored_tag("x" * 10_000)) == MAX_TAG
