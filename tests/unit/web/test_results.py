"""What templates get of a search: facets, pages, sorts, views, suggestions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry.search.engine import Hits
from registry.search.fields import FACETS as COUNTED
from registry.search.fields import TAG
from registry.search.nodes import Sort
from registry.search.query import QueryWarning
from registry.search.service import Found
from registry.views import Facet, FacetValue, Suggestion
from registry.web.presenters import Marks, value_url
from registry.web.refining import read_typed
from registry.web.results import FACETS, completions, groups, results, sorts
from tests.unit.web.samples import LORA, NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.web.results import Results


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


def test_facets_of_what_is_known_beside_the_header_have_names_that_people_read() -> None:
    named = ("usertag", "fav", "rating", "creator", "ctype", "nsfw", "license", "update", "sync")
    facets = {name: facet(name, ("x", 1)) for name in named}
    headings = [group.heading for group in groups(read_typed("", NOW), "", facets, 9)]
    assert headings == [
        "Own tag", "Favourite", "Rating", "Creator", "Civitai type", "Level", "Licence", "Update",
        "State on Civitai",
    ]  # fmt: skip
    assert set(FACETS) <= {*COUNTED, TAG}


def test_the_view_is_kept_by_every_link() -> None:
    answer = found([7], 60, Sort("size"), next_cursor="abc", did_you_mean="red")
    answer.hits.facets["arch"] = facet("arch", ("sdxl", 9))
    typed = read_typed("x", NOW)
    page = results(typed, answer, [LORA], sort="size", cursor="c", most=1000, view="grid")
    (group,) = page.groups
    assert page.meant is not None
    urls = (page.first_url, page.next_url, group.shown[0].url, page.meant.url)
    assert all(str(url).endswith("view=grid") for url in urls)
    assert [(one.label, one.url, one.active) for one in page.views] == [
        ("List", "/?q=x&sort=size", False),
        ("Grid", "/?q=x&sort=size&view=grid", True),
    ]


def test_rows_have_the_marks_of_their_loras_and_what_is_hidden_is_counted() -> None:
    other = replace(LORA, id=8)
    marks = {7: Marks(picture="a" * 64, favorite=True, rating=3), 8: Marks(withheld=True)}
    answer = found([7, 8], 2, Sort("size"))
    page = results(
        read_typed("x", NOW), answer, [LORA, other], sort="", cursor="", most=10, marks=marks, hidden=3
    )
    first, second = page.rows
    assert (first.picture, first.favorite, first.stars) == (f"/api/v1/pictures/{'a' * 64}", True, "★★★☆☆")
    assert (second.picture, second.withheld, second.rating) == (None, True, None)
    assert page.withheld == ("3 loras hidden by level", "1 picture hidden by level")
    assert shown("x", found([], 0, Sort("size"))).withheld == ()


def test_a_catalog_of_which_nothing_may_be_listed_is_not_empty() -> None:
    answer = found([], 0, Sort("added"))
    page = results(read_typed("", NOW), answer, [], sort="", cursor="", most=10, hidden=2)
    assert not page.empty_catalog
