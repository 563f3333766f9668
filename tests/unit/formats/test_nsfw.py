"""Levels: masks, names, and the estimate from words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadRequest
from registry.formats.nsfw import LEVELS, NAMES, estimate, highest, highest_of, read_level, read_words
from registry.levels import load_words

OWN = load_words()


@pytest.mark.parametrize(
    ("mask", "level"),
    [(None, None), (0, None), (-1, None), (1, 1), (3, 2), (31, 16), (32, 32), (60, 32), (4096, 32)],
)
def test_a_mask_counts_as_its_highest_level(mask: int | None, level: int | None) -> None:
    assert highest(mask) == level


def test_the_highest_of_several_is_that_of_those_that_have_one() -> None:
    assert highest_of([None, 1, 6, 0]) == 4
    assert highest_of([]) is None
    assert highest_of([None, 0]) is None


@pytest.mark.parametrize(
    ("texts", "level"),
    [
        (["detail_tweaker_xl"], None),
        (["bikini_armor"], "pg13"),
        (["Completely Nude", "bikini"], "x"),
        (["completely_nude"], "x"),
        (["anal_sex"], "xxx"),
        (["analysis", "Essex", "sussex landscape", "cockpit", "dickens"], None),
        (["裸体画风"], "x"),
        (["全裸,长发"], "x"),
        ([], None),
    ],
)
def test_words_of_names_and_tags_tell_a_level(texts: list[str], level: str | None) -> None:
    assert estimate(texts, OWN) == (None if level is None else LEVELS[level])


def test_texts_are_not_read_across() -> None:
    assert estimate(["see", "through"], OWN) is None
    assert estimate(["see through"], OWN) == LEVELS["r"]


@given(st.lists(st.text()))
def test_any_text_can_be_estimated(texts: list[str]) -> None:
    assert estimate(texts, OWN) in {None, *NAMES}


def test_a_table_of_words_is_read_and_told_apart() -> None:
    words = read_words(["# mine", "", "kiss , pg13", "holding hands,xxx", "吻,r"])
    assert estimate(["a kiss"], words) == LEVELS["pg13"]
    assert estimate(["holding_hands"], words) == LEVELS["xxx"]
    assert estimate(["热吻"], words) == LEVELS["r"]
    assert estimate(["nude"], words) is None
    assert words.digest not in {OWN.digest, read_words(["kiss,pg"]).digest}


@pytest.mark.parametrize("line", ["kiss", "kiss,purple", "kiss,pg13,more", "!!,pg"])
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(BadRequest, match="line 2"):
        read_words(["hug,pg", line])


def test_levels_are_read_by_name_in_any_spelling() -> None:
    assert [read_level(name) for name in ("pg", "PG-13", " xxx ")] == [1, 2, 16]
    with pytest.raises(BadRequest, match="purple"):
        read_level("purple")
