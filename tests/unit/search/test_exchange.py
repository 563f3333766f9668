from __future__ import annotations

import pytest

from registry.errors import BadRequest
from registry.search.exchange import MAX_CHARACTERS, from_json, to_json
from registry.search.nodes import And, Between, Exact, Known, Match, Not, Or, Query, Saved, Sort, Text
from registry.search.query import MAX_BEGINNINGS, MAX_DEPTH, MAX_PARTS, parse

QUERY = Query(
    And(
        (
            Match("arch", (Exact("sdxl"),)),
            Match("rank", (Between(8, 64),)),
            Match("lr", (Between(0.0001, 0.5, low_open=True, high_open=True),)),
            Not(Match("trainer", (Exact("kohya", prefix=True), Known(known=False)))),
            Or((Text("tweak", prefix=True), Text("red dress", phrase=True), Saved("mine"))),
        ),
    ),
    Sort("date", descending=True),
)
JSON = {
    "where": {
        "and": [
            {"field": "arch", "any": [{"is": "sdxl"}]},
            {"field": "rank", "any": [{"from": 8, "to": 64}]},
            {"field": "lr", "any": [{"above": 0.0001, "below": 0.5}]},
            {"not": {"field": "trainer", "any": [{"begins": "kohya"}, {"known": False}]}},
            {
                "or": [
                    {"text": "tweak", "prefix": True},
                    {"phrase": "red dress", "prefix": False},
                    {"saved": "mine"},
                ]
            },
        ]
    },
    "sort": {"by": "date", "descending": True},
}


def test_a_query_is_json_and_back() -> None:
    assert to_json(QUERY) == JSON
    assert from_json(JSON) == QUERY


def test_nothing_asks_for_everything() -> None:
    assert from_json({}) == from_json({"where": None, "sort": None}) == from_json(to_json(Query())) == Query()


def test_json_is_brought_into_the_form_of_the_parser() -> None:
    def where(value: object) -> object:
        return from_json({"where": value}).where

    assert where({"and": [{"and": [{"text": "red"}]}]}) == Text("red")
    assert where({"not": {"not": {"text": "red"}}}) == Text("red")
    assert where({"field": "dim", "any": [{"above": 8}]}) == Match("rank", (Between(9, None),))
    assert where({"field": "alpha", "any": [{"from": 8, "to": 8}]}) == Match("alpha", (Between(8.0, 8.0),))
    assert where({"field": "hash", "any": [{"is": "0xABCDEF12"}]}) == Match("hash", (Exact("abcdef12"),))
    assert where({"field": "folder", "any": [{"is": "/x/"}]}) == Match("folder", (Exact("x"),))
    assert where({"field": "arch", "any": [{"known": False}]}) == Match("arch", (Exact("none"),))


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ([], "where is no object"),
        ({}, "where has none of"),
        ({"and": []}, "where.and is empty"),
        ({"and": {}}, "where.and is no list"),
        ({"and": [{"text": "red"}, 7]}, "where.and[1] is no object"),
        ({"or": [{"not": {"text": 7}}]}, "where.or[0].not.text is no text"),
        ({"text": "red", "phrase": "red"}, "where has an unknown key “phrase”"),
        ({"text": "red", "prefix": 1}, "where.prefix is neither"),
        ({"text": "red dress"}, "where.text is not one word"),
        ({"text": "rank:8"}, "where.text is not one word"),
        ({"text": "OR"}, "where.text is not one word"),
        ({"text": ":)"}, "where.text is not one word"),
        ({"phrase": ":)"}, "where.phrase has nothing"),
        ({"saved": " "}, "where.saved is empty"),
        ({"field": "nope", "any": []}, "where.field is no field"),
        ({"field": ["rank"], "any": []}, "where.field is no field"),
        ({"field": "rank"}, "where.any is no list"),
        ({"field": "rank", "any": [{}]}, "where.any[0] is no value"),
        ({"field": "rank", "any": [{"from": "8"}]}, "where.any[0].from is no number"),
        ({"field": "rank", "any": [{"from": True}]}, "where.any[0].from is no number"),
        ({"field": "rank", "any": [{"from": float("nan")}]}, "where.any[0].from is too large"),
        ({"field": "rank", "any": [{"from": 8.5}]}, "where.any[0].from is no whole number"),
        ({"field": "rank", "any": [{"from": 8, "above": 8}]}, "where.any[0] has two bounds"),
        ({"field": "rank", "any": [{"from": 9, "to": 8}]}, "where.any[0] is no value"),
        ({"field": "lr", "any": [{"above": 1, "to": 1}]}, "where.any[0] is no value"),
        ({"field": "rank", "any": [{"to": 2**63}]}, "where.any[0].to is too large"),
        ({"field": "lr", "any": [{"to": 10**400}]}, "where.any[0].to is too large"),
        ({"field": "date", "any": [{"to": 2**62}]}, "where.any[0] is no value"),
        ({"field": "rank", "any": [{"is": "8"}]}, "where.any[0] is no value"),
        ({"field": "tag", "any": [{"from": 8}]}, "where.any[0] is no value"),
        ({"field": "tag", "any": [{"is": "x", "known": True}]}, "where.any[0] is no value"),
        ({"field": "tag", "any": [{"is": "_"}]}, "where.any[0] is no value"),
        ({"field": "hash", "any": [{"is": "abc"}]}, "where.any[0] is no value"),
        ({"field": "folder", "any": [{"is": ""}]}, "where.any[0] is no value"),
        ({"field": "dup", "any": [{"is": "maybe"}]}, "where.any[0] is no value"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(where: object, path: str) -> None:
    with pytest.raises(BadRequest) as refused:
        from_json({"where": where})

    assert str(refused.value).startswith(path)


@pytest.mark.parametrize("value", [None, [], "red", {"were": {}}, {"sort": "date"}, {"sort": {"by": "tag"}}])
def test_what_is_no_query_is_refused(value: object) -> None:
    with pytest.raises(BadRequest):
        from_json(value)


def test_size_and_depth_are_bounded() -> None:
    word: object = {"text": "red"}
    with pytest.raises(BadRequest, match="one too many"):
        from_json({"where": {"and": [word] * (MAX_PARTS + 1)}})
    with pytest.raises(BadRequest, match="one beginning too many"):
        from_json(
            {"where": {"field": "tag", "any": [{"begins": f"a{n}"} for n in range(MAX_BEGINNINGS + 1)]}}
        )
    with pytest.raises(BadRequest, match="one beginning too many"):
        from_json({"where": {"or": [{"text": f"a{n}", "prefix": True} for n in range(MAX_BEGINNINGS + 1)]}})
    with pytest.raises(BadRequest, match="characters"):
        from_json({"where": {"phrase": "a" * (MAX_CHARACTERS + 1)}})
    deep, nested = word, word
    for _ in range(1000):
        deep = {"not": deep}
    with pytest.raises(BadRequest, match="too deep"):
        from_json({"where": deep})
    for _ in range(MAX_DEPTH + 1):
        nested = {"and": [word, {"or": [{"text": "blue"}, nested]}]}
    with pytest.raises(BadRequest, match="groups"):
        from_json({"where": nested})


def test_the_deepest_query_that_can_be_typed_is_json_too() -> None:
    query = parse("-(x OR y " * MAX_DEPTH + "z" + ")" * MAX_DEPTH, 0).query

    assert from_json(to_json(query)) == query
