from __future__ import annotations

import datetime as dt

import pytest

from registry.search.nodes import And, Between, Exact, Known, Match, Node, Not, Or, Saved, Sort, Text
from registry.search.query import MAX_BEGINNINGS, MAX_DEPTH, MAX_PARTS, MAX_TYPED, MAX_WARNINGS, parse

NOW = int(dt.datetime(2024, 5, 17, 10, 30, tzinfo=dt.UTC).timestamp() * 1000)

RED, DRESS, BLUE = Text("red"), Text("dress"), Text("blue")
SDXL = Match("arch", (Exact("sdxl"),))


def where(text: str) -> Node | None:
    """Return what a text asks, which must be understood in full."""
    parsed = parse(text, NOW)
    assert parsed.warnings == ()
    return parsed.query.where


def warned(text: str) -> tuple[Node | None, list[str]]:
    """Return what a text asks, and what about it was warned of."""
    parsed = parse(text, NOW)
    return parsed.query.where, [warning.slug for warning in parsed.warnings]


def value(text: str) -> object:
    """Return the only value of the only field of a text."""
    node = where(text)
    assert isinstance(node, Match)
    (only,) = node.values
    return only


def test_nothing_asks_for_everything() -> None:
    assert where("") is None
    assert where(" \n\u3000") is None


def test_a_blank_asks_for_both() -> None:
    assert where("red dress") == And((RED, DRESS))
    assert where("red AND dress") == And((RED, DRESS))
    assert where("red, dress") == And((RED, DRESS))
    assert where("red\uff0cdress") == And((RED, DRESS))


def test_or_binds_less_than_a_blank() -> None:
    assert where("red dress OR blue") == Or((And((RED, DRESS)), BLUE))
    assert where("red or blue") == And((RED, Text("or"), BLUE))


def test_parentheses_group() -> None:
    assert where("(red OR blue) dress") == And((Or((RED, BLUE)), DRESS))
    assert where("\uff08red OR blue\uff09 dress") == And((Or((RED, BLUE)), DRESS))


def test_groups_that_change_nothing_leave_no_trace() -> None:
    assert where("((red)) (dress (blue))") == And((RED, DRESS, BLUE))
    assert where("red OR (dress OR blue)") == Or((RED, DRESS, BLUE))


def test_a_minus_sign_negates_any_term() -> None:
    assert where("-red") == Not(RED)
    assert where("\uff0dred") == Not(RED)
    assert where("-(red dress)") == Not(And((RED, DRESS)))
    assert where('-"red dress"') == Not(Text("red dress", phrase=True))
    assert where("-arch:sdxl") == Not(SDXL)
    assert where("--red") == RED


@pytest.mark.parametrize("marks", ['""', "“”", "„“", "\uff02\uff02", "«»", '"'])
def test_quotation_marks_of_any_form_make_a_phrase(marks: str) -> None:
    assert where(f"{marks[0]}red dress{marks[1:]}") == Text("red dress", phrase=True)


def test_a_doubled_quotation_mark_stands_for_itself() -> None:
    assert where('"5"" disk"') == Text('5" disk', phrase=True)


def test_a_star_asks_for_a_beginning() -> None:
    assert where("tweak*") == Text("tweak", prefix=True)
    assert where('"detail tweak"*') == Text("detail tweak", prefix=True, phrase=True)
    assert where("trainer:kohya*") == Match("trainer", (Exact("kohya", prefix=True),))
    assert where('name:"x*"*') == Match("name", (Exact("x*", prefix=True),))


def test_parentheses_that_are_closed_within_a_word_belong_to_it() -> None:
    assert where("saber_(fate)") == Text("saber_(fate)")
    assert where("(saber_(fate) OR red)") == Or((Text("saber_(fate)"), RED))
    assert value("tag:saber_(fate)") == Exact("saber_(fate)")
    assert where("red(dress blue)") == And((RED, DRESS, BLUE))


@pytest.mark.parametrize("text", ["re:zero", ":3", "<lora:x:1>", "lora:<x:1>", "http://x", "c++"])
def test_what_is_no_field_is_text(text: str) -> None:
    assert where(text) == Text(text)


def test_fields_are_known_by_any_of_their_names_in_any_case() -> None:
    assert where("ARCH:sdxl") == where("architecture:sdxl") == where("Family:sdxl") == SDXL
    assert where("\uff41\uff52\uff43\uff48\uff1asdxl") == SDXL
    assert where("base-model:pony") == Match("base", (Exact("pony"),))


def test_commas_stand_between_values() -> None:
    both = (Exact("long hair"), Exact("smile"))
    assert where('tag:"long hair",smile') == Match("tag", both)
    assert where("tag:“long hair”\uff0csmile") == Match("tag", both)
    assert where("tag:smile,smile,") == Match("tag", (Exact("smile"),))


def test_the_name_that_people_read_is_a_value_too() -> None:
    assert where('arch:"Stable Diffusion XL"') == SDXL
    assert where("kind:adapters") == Match("kind", (Exact("lora"),))


def test_a_star_is_any_value_and_none_is_none() -> None:
    assert value("rank:*") == value("rank:..") == Known(known=True)
    assert value("rank:none") == Known(known=False)
    assert value('tag:"none"') == Exact("none")
    assert value("arch:none") == Exact("none")


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("rank:32", 32, 32),
        ("rank:=32", 32, 32),
        ("rank:\uff13\uff12", 32, 32),
        ("rank:1e2", 100, 100),
        ("rank:32..", 32, None),
        ("rank:..32", None, 32),
        ("rank:8..64", 8, 64),
        ("rank:8…64", 8, 64),
        ("rank:>8", 9, None),
        ("rank:>=8", 8, None),
        ("rank:≥8", 8, None),
        ("rank\uff1a\uff1e\uff1d8", 8, None),
        ("rank:<8", None, 7),
        ("rank:<=8", None, 8),
        ("rank:>8.5", 9, None),
        ("rank:>=8.5", 9, None),
        ("rank:<8.5", None, 8),
        ("rank:>8..<64", 9, 63),
        ("seed:-5..-3", -5, -3),
    ],
)
def test_bounds_of_whole_numbers_are_whole_and_included(text: str, low: int | None, high: int | None) -> None:
    found = value(text)

    assert found == Between(low, high)
    assert isinstance(found, Between)
    assert not any(isinstance(bound, float) for bound in (found.low, found.high))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr:1e-4", Between(0.0001, 0.0001)),
        ("lr:0.0001", Between(0.0001, 0.0001)),
        ("lr:>1e-4", Between(0.0001, None, low_open=True)),
        ("lr:<=1e-4", Between(None, 0.0001)),
        ("lr:>0.1..<0.5", Between(0.1, 0.5, low_open=True, high_open=True)),
        ("alpha:.5..1.", Between(0.5, 1.0)),
        ("noise:-0", Between(0.0, 0.0)),
    ],
)
def test_numbers_are_floats(text: str, expected: Between) -> None:
    assert value(text) == expected


KB, MB, GB = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("size:200", 200, 200),
        ("size:1b", 1, 1),
        ("size:200mb", 200 * MB - MB // 2, 200 * MB + MB // 2 - 1),
        ("size:200MiB", 200 * MB - MB // 2, 200 * MB + MB // 2 - 1),
        ("size:200m", 200 * MB - MB // 2, 200 * MB + MB // 2 - 1),
        ("size:1.5kb", 1485, 1587),
        ("size:>200mb", 200 * MB + 1, None),
        ("size:<200mb", None, 200 * MB - 1),
        ("size:>=1.5gb", 3 * GB // 2, None),
        ("size:100mb..1gb", 100 * MB, GB),
        ("size:100..200mb", 100 * MB, 200 * MB),
        ("size:100b..200mb", 100, 200 * MB),
    ],
)
def test_sizes_have_units_and_are_rounded_to_what_was_written(
    text: str, low: int | None, high: int | None
) -> None:
    assert value(text) == Between(low, high)


def ms(*parts: int) -> int:
    return int(dt.datetime(*parts, tzinfo=dt.UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("date:2024", ms(2024, 1, 1), ms(2025, 1, 1) - 1),
        ("date:2024-02", ms(2024, 2, 1), ms(2024, 3, 1) - 1),
        ("date:2024-5", ms(2024, 5, 1), ms(2024, 6, 1) - 1),
        ("date:2024-12-31", ms(2024, 12, 31), ms(2025, 1, 1) - 1),
        ("date:2024/05/17", ms(2024, 5, 17), ms(2024, 5, 18) - 1),
        ("date:2024-05-17T10:00", ms(2024, 5, 17, 10), ms(2024, 5, 17, 10, 1) - 1),
        ("date:2024-05-17T10:00:07Z", ms(2024, 5, 17, 10, 0, 7), ms(2024, 5, 17, 10, 0, 8) - 1),
        ("date:2024-05-17T10:00:07.5", ms(2024, 5, 17, 10, 0, 7) + 500, ms(2024, 5, 17, 10, 0, 7) + 500),
        ("date:>2024", ms(2025, 1, 1), None),
        ("date:>=2024", ms(2024, 1, 1), None),
        ("date:<2024", None, ms(2024, 1, 1) - 1),
        ("date:<=2024", None, ms(2025, 1, 1) - 1),
        ("date:..2024-05", None, ms(2024, 6, 1) - 1),
        ("date:2023..2024-05", ms(2023, 1, 1), ms(2024, 6, 1) - 1),
        ("date:9999", ms(9999, 1, 1), ms(9999, 12, 31, 23, 59, 59) + 999),
        ("added:-7d", ms(2024, 5, 10, 10, 30), None),
        ("added:-2w", ms(2024, 5, 3, 10, 30), None),
        ("added:-3m", ms(2024, 2, 17, 10, 30), None),
        ("added:-1y", ms(2023, 5, 17, 10, 30), None),
        ("added:-2w..-1w", ms(2024, 5, 3, 10, 30), ms(2024, 5, 10, 10, 30)),
        ("added:<-7d", None, ms(2024, 5, 10, 10, 30) - 1),
    ],
)
def test_dates_mean_whole_periods_and_times_ago(text: str, low: int | None, high: int | None) -> None:
    assert value(text) == Between(low, high)


def test_a_month_ago_is_in_the_month_before_even_if_that_is_shorter() -> None:
    node = parse("added:-1m", ms(2024, 3, 31)).query.where

    assert node == Match("added", (Between(ms(2024, 2, 29), None),))


def test_a_resolution_is_its_longer_side_or_both() -> None:
    assert value("res:1024") == Between(1024, 1024)
    assert value("res:1024..") == Between(1024, None)
    assert value("res:832X1216") == value("res:832×1216") == Exact("832x1216")


def test_flags_are_yes_or_no() -> None:
    assert value("dup:yes") == value("dup:TRUE") == value("dup:1") == Exact("yes")
    assert value("dup:no") == value("dup:false") == value("dup:0") == Exact("no")


def test_hashes_are_bare_lower_case_digits() -> None:
    assert (
        value("hash:ABCDEF12")
        == value("hash:0xabcdef12")
        == value("hash:blake3:abcdef12*")
        == Exact("abcdef12")
    )
    assert where("autov3:abcdef12") == Match("hash", (Exact("abcdef12"),))


def test_folders_need_no_slashes_at_their_ends() -> None:
    assert value("folder:/style/anime/") == value(r"folder:style\anime") == Exact("style/anime")
    assert value("folder:/") == value("folder:.") == Exact("/")
    assert value("folder:/*") == Known(known=True)


def test_a_sort_is_no_term() -> None:
    for text in ("sort:-date", "sort:date-desc", "sort:date_desc", "sort:date:desc", "SORT:modified-DESC"):
        assert parse(f"red {text}", NOW).query.sort == Sort("date", descending=True)
    for text in ("sort:rank", "sort:rank-asc", "sort:dim:asc", "(sort:rank)"):
        assert parse(text, NOW).query.sort == Sort("rank")
    assert parse("sort:-relevance", NOW).query.sort == Sort("relevance")
    assert where("red sort:rank") == RED


def test_saved_searches_have_names() -> None:
    assert where("saved:mine") == Saved("mine")
    assert where('-saved:"two words"') == Not(Saved("two words"))
    assert where("saved:a,b") == Or((Saved("a"), Saved("b")))


@pytest.mark.parametrize(
    ("text", "asked", "slugs"),
    [
        ("red :)", RED, ["nothing-to-find"]),
        ("red *", RED, ["nothing-to-find"]),
        ("red )", RED, ["stray-parenthesis"]),
        ("red -", RED, ["stray-minus"]),
        ("- red", RED, ["stray-minus"]),
        ("(red -)", RED, ["stray-minus"]),
        ("red OR", RED, ["stray-or"]),
        ("OR red", RED, ["stray-or"]),
        ("red OR OR blue", Or((RED, BLUE)), ["stray-or"]),
        ("rank:abc red", RED, ["unreadable-value"]),
        ("rank:abc OR red", RED, ["unreadable-value"]),
        ("-rank:abc red", RED, ["unreadable-value"]),
        ("rank:8.5 red", RED, ["unreadable-value"]),
        ("rank:8* red", RED, ["unreadable-value"]),
        ("rank:1e999 red", RED, ["unreadable-value"]),
        ("rank:9223372036854775808 red", RED, ["unreadable-value"]),
        ("lr:1e999 red", RED, ["unreadable-value"]),
        ("date:2024-13 red", RED, ["unreadable-value"]),
        ("date:2024-00 red", RED, ["unreadable-value"]),
        ("date:0000 red", RED, ["unreadable-value"]),
        ("date:>9999 red", RED, ["unreadable-value"]),
        ("added:-9999y red", RED, ["unreadable-value"]),
        ("res:512x512..1024x1024 red", RED, ["unreadable-value"]),
        ("missing:maybe red", RED, ["unreadable-value"]),
        ("hash:abcdef1 red", RED, ["unreadable-value"]),
        ("name::) red", RED, ["unreadable-value"]),
        ("tag:_ red", RED, ["unreadable-value"]),
        ("rank: red", RED, ["empty-value"]),
        ('tag:"" red', RED, ["empty-value"]),
        ("sort: saved: red", RED, ["empty-value", "empty-value"]),
        ("sort:tag red", RED, ["unknown-sort"]),
        ("sort:date sort:rank red", RED, ["several-sorts"]),
        ("-sort:date red", RED, ["stray-minus"]),
    ],
)
def test_what_is_ignored_is_said(text: str, asked: Node, slugs: list[str]) -> None:
    assert warned(text) == (asked, slugs)


def test_values_that_can_be_read_count_beside_one_that_cannot() -> None:
    assert warned("rank:abc,8") == (Match("rank", (Between(8, 8),)), ["unreadable-value"])


def test_a_range_that_was_written_backwards_is_turned_round() -> None:
    assert warned("rank:64..8") == (Match("rank", (Between(8, 64),)), ["reversed-range"])
    assert warned("date:2024..2023-05") == (
        Match("date", (Between(ms(2023, 5, 1), ms(2025, 1, 1) - 1),)),
        ["reversed-range"],
    )


def test_a_field_without_a_number_hints_at_the_shell() -> None:
    (warning,) = parse("red rank:", NOW).warnings

    assert "rank:32.." in warning.text
    assert "shell" in warning.text
    assert warning.at == 4


def test_the_last_sort_counts() -> None:
    assert parse("sort:date sort:rank", NOW).query.sort == Sort("rank")


HOSTILE = {
    "red dress (": And((RED, DRESS)),
    "arch:": None,
    '"unclosed': Text("unclosed", phrase=True),
    ":)": None,
    "c++ -": Text("c++"),
    "lora:<x:1>": Text("lora:<x:1>"),
    "re:zero": Text("re:zero"),
    ":3": Text(":3"),
    "<lora:x:1>": Text("<lora:x:1>"),
    "dumbbell\uff0ccylinder": And((Text("dumbbell"), Text("cylinder"))),
}


@pytest.mark.parametrize("text", HOSTILE)
def test_things_that_people_type_are_no_errors(text: str) -> None:
    assert parse(text, NOW).query.where == HOSTILE[text]


def test_what_cannot_be_stored_or_seen_is_a_blank() -> None:
    assert where("red\x00dress\ud800blue\u200b") == And((RED, DRESS, BLUE))


def test_a_long_text_is_cut() -> None:
    node, slugs = warned("red " + " " * MAX_TYPED + "dress")

    assert (node, slugs) == (RED, ["query-cut"])


def test_the_number_of_words_and_values_is_bounded() -> None:
    node, slugs = warned(" ".join(f"a{n}" for n in range(MAX_PARTS + 1)))
    assert isinstance(node, And)
    assert len(node.nodes) == MAX_PARTS
    assert slugs == ["too-many-parts"]

    node, slugs = warned("red rank:" + ",".join(map(str, range(MAX_PARTS))))
    assert (node, slugs) == (RED, ["too-many-parts"])


def test_only_a_few_words_are_read_as_beginnings() -> None:
    node, slugs = warned(" ".join(f"a{n}*" for n in range(MAX_BEGINNINGS)) + ' rank:* b* tag:c*,d "e f"*')
    assert isinstance(node, And)
    open_ended = [one.prefix for one in node.nodes if isinstance(one, Text)]
    assert open_ended == [True] * MAX_BEGINNINGS + [False, False]
    assert Match("tag", (Exact("c"), Exact("d"))) in node.nodes
    assert Match("rank", (Known(known=True),)) in node.nodes
    assert slugs == ["too-many-beginnings"]


def test_each_star_counts_by_itself() -> None:
    node, slugs = warned("tag:" + ",".join(f"a{n}*" for n in range(MAX_BEGINNINGS + 1)))
    assert isinstance(node, Match)
    assert [value.prefix for value in node.values if isinstance(value, Exact)] == [True] * MAX_BEGINNINGS + [
        False
    ]
    assert slugs == ["too-many-beginnings"]

    node, slugs = warned(" ".join(f"a{n}*" for n in range(MAX_BEGINNINGS)) + " saved:fav*")
    assert isinstance(node, And)
    assert node.nodes[-1] == where("saved:fav*")
    assert slugs == []


def test_parentheses_nest_no_deeper_than_is_good_for_anybody() -> None:
    deep = "(red OR " * (MAX_DEPTH + 5) + "blue" + ")" * (MAX_DEPTH + 5)
    node, slugs = warned(deep + " dress")

    assert slugs == ["too-deep"]
    assert isinstance(node, And)
    assert node.nodes[-1] == DRESS


@pytest.mark.parametrize("text", ["(" * 2000, ")" * 2000, "-" * 2000, '"' * 2000, "a(" * 1000, "OR " * 600])
def test_repeating_a_sign_says_so_once(text: str) -> None:
    assert len(parse(text, NOW).warnings) <= 2


def test_there_are_never_many_warnings() -> None:
    assert len(parse(" ".join(f"rank:x{n}" for n in range(100)), NOW).warnings) == MAX_WARNINGS
