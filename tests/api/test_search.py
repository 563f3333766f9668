"""`/api/v1/search` and `/api/v1/suggest`: queries over a real catalog, answered from its index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from registry.catalog.curation import edit
from registry.catalog.lookup import resolve
from registry.catalog.problems import replace_root_problems
from registry.curation import read_changes
from registry.views import Note
from tests.support.catalogs import MACHINE, open_builder
from tests.support.files import kohya_metadata
from tests.support.serving import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.catalogs import Builder

SEARCH = "/api/v1/search"


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = open_builder(tmp_path)
    root = made.root("/models/lora")
    made.file(
        root,
        "style/DetailTweakerXL_v2.safetensors",
        {
            **kohya_metadata(seed=1, rank=8),
            "ss_steps": "100",
            "ss_tag_frequency": '{"10_x": {"long_hair": 10, "盲盒": 3}}',
        },
    )
    made.file(
        root,
        "style/other.safetensors",
        {
            **kohya_metadata(seed=2, rank=64),
            "ss_steps": "5000",
            "ss_tag_frequency": '{"10_x": {"long hair": 1, "solo": 9, "dumbbell，cylinder": 2}}',
        },
    )
    made.file(root, "chars/盲盒Baby.safetensors", {"ss_training_comment": "detail of <b>hands</b>"})
    made.write()
    yield made
    made.catalog.close()


@pytest.fixture
def service(builder: Builder, tmp_path: Path) -> Iterator[Service]:
    made = Service(builder, tmp_path, lambda: 0.0)
    made.catch_up()
    with made.open():
        yield made


def names(answer: dict[str, Any]) -> list[str]:
    return [item["name"] for item in answer["items"]]


def found(service: Service, query: str, rest: str = "") -> list[str]:
    return names(service.get(f"{SEARCH}?q={quote(query)}{rest}"))


def test_an_answer_tells_what_was_found_and_how_it_was_understood(service: Service) -> None:
    answer = service.get(f"{SEARCH}?q=detail%20tweaker&facets=arch,rank")
    assert names(answer) == ["DetailTweakerXL_v2"]
    assert (answer["total"], answer["warnings"], answer["did_you_mean"], answer["next_cursor"]) == (
        1,
        [],
        None,
        None,
    )
    assert "detail" in answer["understood"]
    assert answer["query"] == "detail tweaker"
    assert answer["generation"] == service.get("/api/v1/status")["generation"]
    assert answer["took_ms"] >= 0
    assert [facet["field"] for facet in answer["facets"]] == ["arch", "rank"]
    assert answer["facets"][1]["values"] == [{"value": "8", "label": "8", "count": 1}]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("盲盒", {"DetailTweakerXL_v2", "盲盒Baby"}),
        ("长发", {"DetailTweakerXL_v2", "other"}),
        ("tag:long_hair -solo", {"DetailTweakerXL_v2"}),
        ("steps:3000..", {"other"}),
        ("folder:chars", {"盲盒Baby"}),
        ("comment:hands", {"盲盒Baby"}),
        ("tag:cylinder tag:dumbbell", {"other"}),
        ("path:style has:tags", {"DetailTweakerXL_v2", "other"}),
        ("missing:yes", set()),
        ("", {"DetailTweakerXL_v2", "other", "盲盒Baby"}),
    ],
)
def test_queries_find_what_they_ask_for(service: Service, query: str, expected: set[str]) -> None:
    assert set(found(service, query)) == expected


def test_a_name_that_is_just_what_was_typed_comes_first(service: Service, builder: Builder) -> None:
    builder.file(1, "z/detail.safetensors", {})
    builder.file(1, "z/detail_detail_detail.safetensors", {})
    builder.write()
    service.catch_up()
    assert found(service, "detail")[0] == "detail"
    assert found(service, "detail tweaker") == ["DetailTweakerXL_v2"]


def test_a_tree_finds_the_same_as_what_is_typed(service: Service) -> None:
    where = {"and": [{"text": "detail"}, {"field": "steps", "any": [{"from": 1, "to": 1000}]}]}
    answer = service.ask("POST", SEARCH, json={"where": where, "facets": ["tag"]})
    assert names(answer.json()) == found(service, "detail steps:1..1000") == ["DetailTweakerXL_v2"]
    (facet,) = answer.json()["facets"]
    assert (facet["field"], facet["sample"], facet["values"][0]["value"]) == ("tag", 1, "long_hair")
    wrong = service.ask("POST", SEARCH, json={"where": {"field": "colour", "any": []}})
    assert (wrong.status_code, wrong.json()["type"].rpartition(":")[2]) == (400, "bad-request")


def test_pages_follow_one_another_and_a_cursor_belongs_to_its_order(service: Service) -> None:
    first = service.get(f"{SEARCH}?sort=name&limit=2")
    second = service.get(f"{SEARCH}?sort=name&limit=2&cursor={first['next_cursor']}")
    assert names(first) + names(second) == ["DetailTweakerXL_v2", "other", "盲盒Baby"]
    assert second["next_cursor"] is None
    assert names(service.get(f"{SEARCH}?sort=-name")) == ["盲盒Baby", "other", "DetailTweakerXL_v2"]
    for wrong in (
        f"sort=size&cursor={first['next_cursor']}",
        "sort=name&cursor=abc",
        "sort=colour",
        "facets=colour",
    ):
        assert service.ask("GET", f"{SEARCH}?{wrong}").status_code == 400, wrong


@pytest.mark.parametrize("sort", ["name", "-added", "rank", "-size"])
def test_a_walk_meets_each_lora_once_whatever_comes_meanwhile(
    service: Service, builder: Builder, sort: str
) -> None:
    for number in range(30):
        builder.file(1, f"walk/style_{number % 10}_{number:02d}.safetensors", {})
    builder.write()
    service.catch_up()
    there = {item["id"] for item in service.get(f"{SEARCH}?limit=1000")["items"]}
    met: list[int] = []
    cursor = ""
    while True:
        page = service.get(f"{SEARCH}?sort={sort}&limit=7{cursor}")
        met += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        builder.file(1, f"walk/style_{len(met)}_new.safetensors", {})
        builder.write()
        service.catch_up()
    assert len(met) == len(set(met))
    assert set(met) >= there


def test_what_was_ignored_is_told_and_a_misspelt_word_is_put_right(service: Service) -> None:
    answer = service.get(f"{SEARCH}?q={quote('rank: detail')}")
    assert names(answer)
    assert "shell" in answer["warnings"][0]["text"]
    meant = service.get(f"{SEARCH}?q=tweeker")
    assert (meant["total"], meant["did_you_mean"]) == (0, "tweaker")
    lost = service.get(f"{SEARCH}?q={quote('tweeker qqqqa OR qqqqb OR qqqqc')}")
    assert (lost["total"], lost["did_you_mean"]) == (0, None)


def test_a_search_waits_for_the_generation_that_it_is_asked_for(service: Service, builder: Builder) -> None:
    builder.file(1, "newest.safetensors", {})
    builder.write()
    now = service.get("/api/v1/status")["generation"]
    service.catch_up()
    assert service.get(f"{SEARCH}?q=newest&min_generation={now}")["generation"] >= now


def test_a_change_a_merge_and_a_removal_leave_one_hit_or_none(service: Service, builder: Builder) -> None:
    for comment in ("first", "second", "third"):
        builder.file(1, "style/other.safetensors", {"ss_training_comment": comment})
        builder.write()
        service.catch_up()
    assert found(service, "name:other") == ["other"]
    assert found(service, "comment:first") == []
    builder.hash("name:other".partition(":")[2], "a" * 64, "b" * 64)
    service.catch_up()
    assert found(service, "hash:aaaaaaaa") == ["other"]
    service.actions.remove_root(1, None)
    service.catch_up()
    assert service.get(f"{SEARCH}?q=other")["total"] == 0


def test_saved_searches_stand_for_what_they_say(service: Service) -> None:
    body = {"query": "steps:3000.. OR name:盲盒*"}
    assert service.ask("PUT", "/api/v1/saved-searches/my%20picks", json=body).status_code in {200, 201}
    assert set(found(service, 'saved:"my picks"')) == {"other", "盲盒Baby"}
    assert found(service, 'saved:"my picks" -folder:chars') == ["other"]
    unknown = service.get(f"{SEARCH}?q=saved:nothing")
    assert (unknown["total"], len(unknown["warnings"])) == (0, 1)


def test_suggestions_complete_the_last_word(service: Service) -> None:
    def suggested(typed: str) -> list[tuple[str, str, str | None]]:
        items = service.get(f"/api/v1/suggest?q={quote(typed)}")["items"]
        return [(item["insert"], item["kind"], item["note"]) for item in items]

    assert ('tag:"long hair"', "tag", "长发") in suggested("arch:sdxl long")
    assert ('tag:"long hair"', "tag", "长发") in suggested("长")
    assert ('name:"detailtweakerxl v2"', "name", None) in suggested("deta")
    assert suggested("ran")[0][:2] == ("rank:", "field")
    assert [insert for insert, _, _ in suggested("-missing:n")] == ["missing:no"]
    assert ('tag:"long hair"', "value", "长发") in suggested('solo tag:"long ha')
    assert suggested("") == []


def test_without_an_index_the_answer_says_to_wait(builder: Builder, tmp_path: Path) -> None:
    with Service(builder, tmp_path / "none", lambda: 0.0).open() as service:
        answer = service.ask("GET", SEARCH)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (503, "index-damaged")


def test_the_list_of_a1111_can_be_asked_for_what_a_search_finds(service: Service, builder: Builder) -> None:
    whole = service.get("/sdapi/v1/loras")
    some = service.get("/sdapi/v1/loras?q=tag:long_hair")
    assert {entry["name"] for entry in some} == {"DetailTweakerXL_v2", "other"}
    assert all(entry in whole for entry in some)
    assert service.get("/sdapi/v1/loras?limit=1") == whole[:1]
    now = service.ask("GET", "/sdapi/v1/loras").headers["x-loras-generation"]
    assert service.get(f"/sdapi/v1/loras?since={now}") == []
    builder.file(1, "new.safetensors", {})
    builder.write()
    assert [entry["name"] for entry in service.get(f"/sdapi/v1/loras?since={now}")] == ["new"]
    now = service.ask("GET", "/sdapi/v1/loras").headers["x-loras-generation"]
    service.ask("PUT", "/api/v1/saved-searches/mine", json={"query": "red"})
    with builder.catalog.write() as unit:
        replace_root_problems(unit, "scan", 1, [("x", Note("unreadable-folder", "x"))])
    asked = service.ask("GET", f"/sdapi/v1/loras?since={now}")
    assert (asked.json(), "x-loras-resync" in asked.headers) == ([], False)
    assert int(asked.headers["x-loras-generation"]) >= int(now) + 2
    asked = service.ask("GET", "/sdapi/v1/loras?since=999999")
    assert (asked.headers["x-loras-resync"], len(asked.json())) == ("true", 4)


def test_what_was_hidden_is_found_only_where_it_is_asked_for(service: Service, builder: Builder) -> None:
    with builder.catalog.write() as unit:
        edit(unit, [resolve(unit.conn, "other", MACHINE)], read_changes({"hidden": True}))
    service.catch_up()

    def found(text: str) -> list[str]:
        return sorted(one["name"] for one in service.get(f"{SEARCH}?q={quote(text)}")["items"])

    assert found("") == ["DetailTweakerXL_v2", "盲盒Baby"]
    assert found("name:other") == []
    assert found("hidden:yes") == ["other"]
    assert found("name:other hidden:yes,no") == ["other"]
    assert service.get(f"{SEARCH}?q=&facets=hidden")["facets"][0]["values"][0]["value"] == "no"


def test_what_a_user_noted_is_found_by_its_fields(service: Service, builder: Builder) -> None:
    noted = {
        "note": "keep for 水墨 prints", "tags": ["to try"], "rating": 4, "favorite": True, "nsfw": "r",
        "display_name": "Splash", "triggers": [["ink", "wash"]], "architecture": "flux1",
    }  # fmt: skip
    with builder.catalog.write() as unit:
        edit(unit, [resolve(unit.conn, "other", MACHINE)], read_changes(noted))
    service.catch_up()
    for text in (
        "note:水墨", "prints", "usertag:to_try", '"to try"', "rating:4..", "fav:yes", "nsfw:r", "name:splash",
        "trigger:wash", "arch:flux1", "has:notes", "sort:-rating rating:*",
    ):  # fmt: skip
        assert [one["name"] for one in service.get(f"{SEARCH}?q={quote(text)}")["items"]] == ["other"], text
