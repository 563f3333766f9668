from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.highlight import Wanted, marked, spans, wanted_of
from registry.search.query import parse


def found(query: str, name: str) -> list[str]:
    """Return the parts of a name that a query marks."""
    return [name[start:end] for start, end in spans(name, wanted_of(parse(query, 0).query.where))]


@pytest.mark.parametrize(
    ("query", "name", "parts"),
    [
        ("detail", "DetailTweakerXL_v2", ["Detail"]),
        ("detail tweaker", "DetailTweakerXL_v2", ["DetailTweaker"]),
        ("tweaker v2", "DetailTweakerXL_v2", ["Tweaker", "v2"]),
        ("detailtweaker", "detail-tweaker", ["detail-tweaker"]),
        ("detail_tweaker", "a detail tweaker", ["detail tweaker"]),
        ('"ink wash"', "wash of ink wash", ["ink wash"]),
        ("ink wash", "wash of ink", ["wash", "ink"]),
        ('name:"ink wash"', "ink wash", ["ink wash"]),
        ("name:ink OR wash", "ink, wash", ["ink", "wash"]),
        ("twe*", "DetailTweaker", ["Tweaker"]),
        ("twe", "DetailTweaker", []),
        ("weaker", "DetailTweaker", []),
        ("-ink", "ink", []),
        ("arch:sdxl", "sdxl", []),
        ("-(ink wash)", "ink wash", []),
        ("ink ink", "ink ink", ["ink", "ink"]),
        ("cafe", "Un Café", ["Café"]),
        ("cafe", "Un Cafe\u0301 noir", ["Cafe\u0301"]),
        ("strasse", "Straße", ["Straße"]),
        ("猫", "黒猫の絵", ["猫"]),
        ("汉服", "古风漢服_v1", ["漢服"]),
        ("漢服 v1", "古风汉服v1", ["汉服v1"]),
        ("ガラス", "ｶﾞﾗｽの城", ["ｶﾞﾗｽ"]),
        ("\uff47\uff4c\uff41\uff53\uff53", "Glass", ["Glass"]),
        ("[bold]", "[bold]", ["bold"]),
        ("", "ink", []),
        ("ink", "", []),
    ],
)
def test_what_a_query_finds_in_a_name_is_marked(query: str, name: str, parts: list[str]) -> None:
    assert found(query, name) == parts


def test_marks_are_put_around_the_places_and_change_nothing_else() -> None:
    assert marked("ink wash", [(0, 3)]) == "\x1b[1;33mink\x1b[0m wash"
    assert marked("ink", []) == "ink"


WORDS = st.lists(
    st.sampled_from(["ink", "Wash", "XL", "v2", "汉服", "漢", "é", "e\u0301", "ﬁ", "ﾞ", "_", " ", "-"])
)


@given(
    st.text(max_size=40) | WORDS.map("".join), st.lists(st.text(max_size=8) | st.sampled_from(["ink", "汉"]))
)
def test_any_name_keeps_its_letters_and_has_its_marks_apart(name: str, wanted: list[str]) -> None:
    places = spans(name, [Wanted(letters, prefix=True) for letters in wanted if letters])
    ends = [0, *(end for place in places for end in place), len(name)]
    assert ends == sorted(ends)
    assert all(start < end for start, end in places)
    assert re.sub(r"\x1b\[(1;33|0)m", "", marked(name.replace("\x1b", "?"), places)) == name.replace(
        "\x1b", "?"
    )


@given(WORDS.map("".join))
def test_a_name_that_is_asked_as_it_is_stands_in_it(name: str) -> None:
    wanted = wanted_of(parse(f'"{name}"', 0).query.where)
    assert len(spans(name, wanted)) == bool(wanted)
