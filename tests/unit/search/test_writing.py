from __future__ import annotations

import pytest

from registry.search.exchange import to_json
from registry.search.nodes import And, Between, Known, Match, Or, Query, Sort, Text
from registry.search.query import parse
from registry.search.writing import format_query

NOW = 1_715_940_000_123


@pytest.mark.parametrize(
    "text",
    [
        "red dress OR blue",
        "(red OR blue) -(dress hat)",
        'tweak* "red dress" -"a ""b"""',
        "arch:sdxl,flux1 rank:8..64 size:<200mb sort:-date",
        'tag:"long hair",smile*,none tag:"none" folder:"/" folder:style/anime',
        "size:200mb size:100mb..1gb size:7b size:>1kb..<3kb",
        "date:2024 date:2024-05 date:2024-05-17 date:2024-05-17.. date:..2024-05-31",
        "date:2024-05-17T10:00:00.123Z added:2024-05-10T10:00:00.123Z..",
        "lr:0.0001 lr:>0.1..<0.5 lr:<1e-05 alpha:16",
        'saved:mine saved:"two words"',
        "rank:* rank:none res:832x1216,1024.. hash:abcdef12 dup:yes",
    ],
)
def test_plain_queries_are_written_as_they_were_typed(text: str) -> None:
    assert format_query(parse(text, NOW).query) == text


def test_nothing_is_written_as_nothing() -> None:
    assert format_query(Query()) == ""
    assert format_query(Query(sort=Sort("rank"))) == "sort:rank"


def test_a_moment_at_the_end_of_a_day_is_not_the_day() -> None:
    for moment in (86_400_000, 86_399_999):
        query = Query(Match("date", (Between(moment, moment),)))

        assert parse(format_query(query), NOW).query == query


def test_what_saved_searches_leave_can_be_typed() -> None:
    assert format_query(Query(And((Text("red"), Or(()))))) == "red id:none"
    assert format_query(Query(And(()))) == "id:*"
    assert to_json(Query(Or(())))["where"] == {"field": "id", "any": [{"known": False}]}
    assert parse("id:none", NOW).query.where == Match("id", (Known(known=False),))
