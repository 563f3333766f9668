"""Questions that an engine could choke on are answered like all others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from registry.search.matcher import matches
from registry.search.nodes import Between, Match, Text
from registry.search.query import MAX_BEGINNINGS, parse, replace_saved
from registry.search.translations import load
from registry.search.vocabulary import suggest
from registry.views import SearchFile, SearchRecord
from tests.support.search_index import indexed

if TYPE_CHECKING:
    from pathlib import Path

    from registry.search.engine import Engine

LONG = "长" * 340
NOTHING = load([])


def lora(number: int, name: str = "x", **more: object) -> SearchRecord:
    file = SearchFile(1, "loras", f"a/{name}.safetensors", "a", name, "present", hashed=False)
    record: dict[str, object] = {"kind": "lora", "name": name, "size": 1, "date": 1, "added": 1, **more}
    return SearchRecord(id=number, files=(file,), **record)  # type: ignore[arg-type] # the tests' own


RECORDS = [
    lora(1, "盲盒 盒子"),
    lora(2, tags=(("哈哈 哈哈", 3), (LONG, 2))),
    lora(3, "盲盒子", description="long hair everywhere"),
    lora(4, "style 100001", claimed=(LONG,)),
    lora(5, "style 200002", tags=(("1girl\u200b", 3), ("long_hair", 2))),
    lora(6, "aB" * 400),
]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return indexed(tmp_path, RECORDS)


@pytest.mark.parametrize(
    "text",
    [
        f"tag:{LONG[:333]}*",
        f'"{LONG}"*',
        f"{LONG}*",
        f"folder:{LONG}*",
        f"trainer:{LONG}*",
        "tag:" + "ﷺ" * 50 + "*",
        "a_" * 999 + "a*",
        "aB" * 999 + "*",
        "ﷺ" * 1900,
        "a/b/c/" * 330,
        "hash:" + "a" * 64,
        '"style 1"*',
        "style2*",
        "盲盒子",
        "-盲盒子",
        "哈哈哈",
        "哈哈哈哈",
        '"盲盒子"',
        '"哈哈哈"',
        "name:盲盒子",
        'name:"盲盒 盒子"',
        "tag:1girl",
        "long_h*",
        '"long h"*',
        '"long hair"',
    ],
)
def test_the_index_answers_as_the_matcher_does(engine: Engine, text: str) -> None:
    where = parse(text, 0).query.where

    assert set(engine.search(where).ids) == {one.id for one in RECORDS if matches(where, one)}


def test_characters_of_two_words_are_not_found_as_one(engine: Engine) -> None:
    assert engine.search(parse("盲盒子", 0).query.where).ids == [3]
    assert engine.search(parse('"盲盒子"', 0).query.where).ids == [3]
    assert engine.search(parse("name:盲盒子", 0).query.where).ids == [3]


@pytest.mark.parametrize("rate", [0.0009673231478508899, 1 / 3, 1e-4, 5e-324, 1.7e308])
def test_a_number_is_found_by_what_is_shown_of_it(tmp_path: Path, rate: float) -> None:
    records = [lora(1, header={"learning_rate": rate}), lora(2, header={"learning_rate": rate * 0.5 + 1})]
    where = Match("lr", (Between(rate, rate),))

    assert indexed(tmp_path, records).search(where).ids == [1]
    assert [one.id for one in records if matches(where, one)] == [1]


@pytest.mark.parametrize("odd", [math.nan, math.inf, 10**400])
def test_a_number_that_is_none_hides_no_lora(tmp_path: Path, odd: float) -> None:
    engine = indexed(tmp_path, [lora(1, "style", header={"learning_rate": odd, "alpha": odd})])

    assert engine.search(Text("style")).ids == [1]


def test_what_is_suggested_is_found(engine: Engine) -> None:
    terms = engine.snapshot().terms
    suggest(terms, "1gi\ud800", translations=NOTHING)
    (found,) = [one for one in suggest(terms, "1gi", translations=NOTHING) if one.kind == "tag"]

    assert engine.search(parse(found.insert, 0).query.where).ids == [5]


def test_saved_searches_do_not_multiply_what_a_query_may_cost() -> None:
    saved = parse(" ".join(f"a{number}*" for number in range(MAX_BEGINNINGS)), 0).query.where
    once, warnings = replace_saved(parse("saved:s1", 0).query.where, lambda _: saved)
    assert (once, warnings) == (saved, ())

    twice, warnings = replace_saved(parse("saved:s1 saved:s2", 0).query.where, lambda _: saved)
    assert [warning.slug for warning in warnings] == ["too-large"]
    assert twice is not None
    assert not matches(twice, RECORDS[0])
