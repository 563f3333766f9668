"""Rendered metadata against the plain reading of A1111's rules with Python's own json."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from registry.wire.a1111 import COVER_KEY, FIRST_KEYS, metadata_json

ANY_TEXT = st.text(st.characters(), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(2**62, 2**66) | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
TEXTS = st.one_of(
    ANY_TEXT,
    st.dictionaries(ANY_TEXT, VALUES, max_size=4).map(json.dumps),
    st.dictionaries(ANY_TEXT, VALUES, max_size=4).map(lambda value: json.dumps(value, ensure_ascii=False)),
    st.text('{}[]":,0129.eE+-NaInf\\ud8', max_size=20).map("{".__add__),
)
KEYS = st.one_of(ANY_TEXT, st.sampled_from([*FIRST_KEYS, COVER_KEY, "ss_output_name"]))


def without_halves_joined(value: Any) -> Any:
    """Read what JSON can say of a value: neighbouring halves of a pair are one character, no NaN."""
    return json.loads(json.dumps(value), parse_constant=lambda _name: None)


def plain_reading(metadata: dict[str, str]) -> dict[str, Any]:
    order = {key: position for position, key in enumerate(FIRST_KEYS)}
    shown: dict[str, Any] = {}
    for key, text in sorted(metadata.items(), key=lambda entry: order.get(entry[0], 999)):
        shown[key] = text
        if text[:1] == "{":
            with contextlib.suppress(ValueError):
                shown[key] = json.loads(text)
    shown.pop(COVER_KEY, None)
    return shown


@given(st.dictionaries(KEYS, TEXTS, max_size=6))
def test_metadata_are_what_the_plain_reading_gives(metadata: dict[str, str]) -> None:
    rendered = json.loads(metadata_json(metadata).decode("utf-8"))
    expected = without_halves_joined(plain_reading(metadata))
    assert json.dumps(rendered) == json.dumps(expected)
