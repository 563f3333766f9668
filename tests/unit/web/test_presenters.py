"""What templates get: rows, badges, facets, suggestions, progress."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from registry.search.engine import Hits
from registry.search.nodes import Sort
from registry.search.query import QueryWarning
from registry.search.service import Found
from registry.views import Facet, FacetValue, Suggestion
from registry.web.presenters import (
    Badge,
    Place,
    Step,
    completions,
    groups,
    results,
    row,
    sorts,
    steps,
    value_url,
)
from registry.web.refining import read_typed
from tests.unit.web.samples import FILE, LORA, NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.web.presenters import Results


def test_a_row_says_what_a_lora_is() -> None:
    shown = row(LORA)
    assert (shown.url, shown.name, shown.title) == ("/loras/7", "x", "")
    assert (shown.base, shown.variant, shown.adapter) == ("Stable Diffusion XL", "pony", "LoKr")
    assert (shown.rank, shown.size, shown.date) == ("32", "228 MB", "2023-11-14")
    assert shown.places == (Place("loras", "style"),)
    assert shown.badges == ()


def test_what_is_not_known_is_not_claimed() -> None:
    bare = row(replace(LORA, architecture="unknown", base_model=None, adapter="none", kind="vae", rank=None))
    assert (bare.base, bare.variant, bare.adapter, bare.rank) == ("", "", "VAE", "")


def test_badges_tell_where_it_is_not_and_how_often_it_is() -> None:
    twice = row(
        replace(LORA, files=[FILE, replace(FILE, id=2, folder=""), replace(FILE, id=3, state="missing")])
    )
    assert [badge.text for badge in twice.badges] == ["2 copies"]
    assert twice.places == (Place("loras", "style"), Place("loras", ""))
    gone = row(replace(LORA, state="missing", files=[replace(FILE, state="missing", state_since=NOW)]))
    assert gone.badges == (Badge("missing", "bad", "its file is not there since 2023-11-14"),)
    away = row(replace(LORA, state="unreachable", files=[replace(FILE, state="unreachable")]))
    assert away.badges[0].tone == "warn"
    none = row(replace(LORA, state="gone", files=[]))
    assert none.badges == (Badge("gone", "bad", "its file is not there"),)
    damaged = row(replace(LORA, files=[replace(FILE, cause="truncated-data")]))
    assert damaged.badges == (Badge("damaged", "bad", "truncated data"),)


def test_names_that_nobody_can_see_are_written_out() -> None:
    shown = row(replace(LORA, name="a\u202eb\x00", title="盲盒 \u2066", base_model="\udcff"))
    assert (shown.name, shown.title, shown.variant) == ("a\\u202eb\\x00", "盲盒 \\u2066", "\\xff")
    assert row(replace(LORA, name="")).name == "lora 7"
    assert row(replace(LORA, name="FilmGrain_v2", title="Film Grain")).title == ""


def facet(name: str, *values: tuple[str, int], distinct: int | None = None, **more: Any) -> Facet:
    listed = [FacetValue(value, value.upper(), count) for value, count in values]
    return Facet(name, listed, len(values) if distinct is None else distinct, **more)


def test_facets_add_a_value_to_the_query_or_take_it_out() -> None:
    typed = read_typed("red arch:sdxl", NOW)
    facets = {"arch": facet("arch", ("sdxl", 9)), "rank": facet("rank", ("8", 5), ("32", 4))}
    arch, rank = groups(typed, "-size", facets, 9)
    assert (arch.heading, arch.active, arch.opened) == ("Architecture", 1, True)
    assert (arch.shown[0].label, arch.shown[0].count) == ("SDXL", "9")
    assert arch.shown[0].active
    assert arch.shown[0].url == "/?q=red&sort=-size"
    assert [choice.url for choice in rank.shown] == [
        "/?q=red%20arch%3Asdxl%20rank%3A8&sort=-size",
        "/?q=red%20arch%3Asdxl%20rank%3A32&sort=-size",
    ]


def test_facets_that_cannot_narrow_anything_down_are_not_shown() -> None:
    facets = {
        "missing": facet("missing", ("no", 9)),
        "base": facet("base"),
        "kind": facet("kind", ("lora", 8)),
    }
    assert [group.heading for group in groups(read_typed("", NOW), "", facets, 9)] == ["Kind"]
    asked = groups(read_typed("missing:no", NOW), "", facets, 9)
    assert [group.heading for group in asked] == ["Kind", "Missing"]


def test_long_facets_show_the_commonest_values_and_count_the_rest() -> None:
    many = facet("base", *((f"b{n}", 100 - n) for n in range(60)), distinct=300)
    (group,) = groups(read_typed("", NOW), "", {"base": many}, 1000)
    assert (len(group.shown), len(group.more)) == (8, 32)
    assert (group.unlisted, group.note) == ("and 260 rarer ones", "")
    (nine,) = groups(read_typed("", NOW), "", {"base": facet("base", *((f"b{n}", 1) for n in range(9)))}, 10)
    assert (len(nine.shown), nine.more, nine.unlisted) == (9, (), "")


def test_tags_keep_their_own_names_and_are_counted_in_a_sample() -> None:
    tags = Facet("tag", [FacetValue("long hair", "长发", 40), FacetValue("sky", "sky", 30)], 2, sample=2000)
    (group,) = groups(read_typed("", NOW), "", {"tag": tags}, 5000)
    assert [(choice.label, choice.note) for choice in group.shown] == [("long hair", "长发"), ("sky", "")]
    assert group.shown[0].url == "/?q=tag%3A%22long%20hair%22"
    assert group.note == "counted in 2,000 of them"


def test_a_value_that_cannot_be_asked_for_is_no_link() -> None:
    (group,) = groups(read_typed("", NOW), "", {"res": facet("res", ("big", 1))}, 9)
    assert group.shown[0].url is None
    assert value_url("res", "big") is None
    assert value_url("tag", '"><script>') == "/?q=tag%3A%22%22%22%3E%3Cscript%3E%22"


def found(ids: Sequence[int], total: int, sort: Sort, **more: Any) -> Found:
    hits = Hits(list(ids), total, more.pop("next_cursor", None), 1, sort)
    values: dict[str, Any] = {
        "understood": "Loras",
        "warnings": [],
        "did_you_mean": None,
        "took_ms": 1.234,
        **more,
    }
    return Found(hits, read_typed("", NOW).query, **values)


def shown(text: str, answer: Found, sort: str = "", cursor: str = "") -> Results:
    return results(read_typed(text, NOW), answer, [], sort=sort, cursor=cursor, most=1000)


def test_results_tell_what_was_found_and_where_it_goes_on() -> None:
    answer = found([], 1234, Sort("size", descending=True), next_cursor="abc")
    first = shown("x", answer, "-size")
    assert (first.total, first.took, first.end_note) == ("1,234 loras", "1.2 ms", "")
    assert (first.first_url, first.next_url) == (None, "/?q=x&sort=-size&cursor=abc")
    assert shown("x", answer, "-size", "abc").first_url == "/?q=x&sort=-size"
    assert shown("x", found([], 1, Sort("size"))).total == "1 lora"


def test_warnings_and_what_was_meant_are_shown() -> None:
    answer = found(
        [], 0, Sort("relevance"), warnings=[QueryWarning("x", "it was ignored")], did_you_mean="red"
    )
    page = shown("rde", answer)
    assert page.warnings == ("It was ignored.",)
    assert page.meant is not None
    assert page.meant == ("red", "/?q=red")
    assert not page.empty_catalog
    assert shown("", found([], 0, Sort("added"))).empty_catalog


def test_the_end_of_the_best_hits_is_no_end_of_the_hits() -> None:
    assert shown("x", found([], 5000, Sort("relevance"))).end_note.startswith("Only the best 1,000")
    assert not shown("x", found([], 1000, Sort("relevance"))).end_note
    assert not shown("x", found([], 5000, Sort("size"))).end_note
    assert not shown("x", found([], 5000, Sort("relevance"), next_cursor="a")).end_note


def test_the_list_of_sorts_has_the_one_that_was_chosen() -> None:
    assert [one.label for one in sorts("") if one.selected] == ["best match, else newest"]
    assert [one.label for one in sorts("-size") if one.selected] == ["largest"]
    assert [one.label for one in sorts("-lr") if one.selected] == ["learning rate, descending"]


def test_suggestions_bring_the_whole_query() -> None:
    (one,) = completions("red lon", [Suggestion("long hair", 'tag:"long hair"', "tag", 1234, "长发")])
    assert (one.text, one.note, one.kind, one.count) == ("long hair", "长发", "tag", "1,234")
    assert one.query == 'red tag:"long hair" '


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        ({}, ()),
        ({"scans": [], "hashing": {"state": "idle", "files": 0}, "search": {"state": "idle"}}, ()),
        (
            {"scans": [{"label": "nas", "files": 1200, "new": 3, "changed": 0, "expected": 5000}]},
            (Step("Scanning nas", "1,200 of 5,000 files, 3 new", 1200, 5000),),
        ),
        (
            {"scans": [{"label": "nas", "files": 1200, "new": 3, "changed": 0, "expected": 10}]},
            (Step("Scanning nas", "1,200 files, 3 new", 1200, None),),
        ),
        (
            {"hashing": {"state": "hashing", "files": 3, "bytes": 5 << 30, "done": 7, "eta_seconds": 150.0}},
            (Step("Hashing", "3 files left, 5.0 GB, about 2 min", 7, 10),),
        ),
        (
            {"hashing": {"state": "paused", "files": 1, "bytes": 0, "done": 0, "eta_seconds": None}},
            (Step("Hashing is paused", "1 file left, 0 B", 0, 1),),
        ),
        (
            {"search": {"state": "rebuilding", "done": 500, "total": 2000}},
            (Step("Making the search index", "500 of 2,000 loras", 500, 2000),),
        ),
        (
            {"search": {"state": "failing", "done": 0, "total": None}},
            (Step("The search index falls behind", "the log says what is wrong", 0, None),),
        ),
    ],
)
def test_progress_tells_what_is_going_on(progress: dict[str, Any], told: tuple[Step, ...]) -> None:
    assert steps(progress) == told
