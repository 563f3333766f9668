"""Values of requests are within their bounds or refused."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadRequest
from registry.wire.parameters import MAX_LISTED, choices, flag, line, whole, words

if TYPE_CHECKING:
    from collections.abc import Callable

ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none())


@pytest.mark.parametrize(("value", "number"), [(1, 1), ("5", 5), (" 5 ", 5), (5.0, 5)])
def test_whole_numbers_may_be_texts(value: object, number: int) -> None:
    assert whole("limit", value, 1, 5) == number


@pytest.mark.parametrize("value", [0, 6, "x", "", None, True, 1.5, float("nan"), "9" * 5_000, [1]])
def test_a_number_out_of_bounds_is_refused_and_the_bounds_are_named(value: object) -> None:
    with pytest.raises(BadRequest, match="limit is no whole number from 1 to 5"):
        whole("limit", value, 1, 5)


def test_a_line_is_stripped_and_may_be_none() -> None:
    assert (line("q", " a b "), line("q", "  "), line("q", None)) == ("a b", None, None)
    assert line("q", "a\x00\ud800") == "a␀\ufffd"


@pytest.mark.parametrize("value", ["x" * 501, 5, ["a"], {}])
def test_a_line_is_a_text_of_some_length(value: object) -> None:
    with pytest.raises(BadRequest):
        line("q", value)


@pytest.mark.parametrize(
    ("value", "said"), [("true", True), ("False", False), (True, True), (None, None), ("", None)]
)
def test_flags(value: object, said: bool | None) -> None:  # noqa: FBT001 - it is what is expected
    assert flag("nsfw", value) is said


@pytest.mark.parametrize("value", ["yes", 1, 0, [], "2"])
def test_a_flag_is_true_or_false(value: object) -> None:
    with pytest.raises(BadRequest):
        flag("nsfw", value)


def test_words_are_given_several_times_or_with_commas_and_kept_once() -> None:
    assert words("tags", ["a, b", "b,c", "", ",", None]) == ("a", "b", "c")


@pytest.mark.parametrize("value", [",".join(map(str, range(MAX_LISTED + 1))), "x" * 501, 5])
def test_words_are_bounded(value: object) -> None:
    with pytest.raises(BadRequest):
        words("tags", [value])


def test_choices_are_spelled_as_in_the_table() -> None:
    assert choices("types", ["lora", "LORA", "locon"], ["LORA", "LoCon", "VAE"]) == ("LORA", "LoCon")
    with pytest.raises(BadRequest, match="types is none of LORA, LoCon"):
        choices("types", ["lora", "x"], ["LORA", "LoCon"])


@pytest.mark.parametrize(
    "read",
    [
        lambda value: whole("x", value, 1, 9),
        lambda value: line("x", value),
        lambda value: flag("x", value),
        lambda value: words("x", [value]),
    ],
)
def test_nothing_else_is_raised(read: Callable[[object], object]) -> None:
    @given(ANYTHING)
    def holds(value: object) -> None:
        with contextlib.suppress(BadRequest):
            assert isinstance(read(value), int | str | tuple | None)

    holds()
