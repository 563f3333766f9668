"""What options of `loras edit` come to."""

from __future__ import annotations

from typing import Any

import pytest

from cli.edit_options import OPTIONS
from cli.edits import changes_of, field_names
from cli.noted import noted
from registry.curation import FIELDS, Change, Curation, apply, noted_fields, plain
from registry.curation_values import CivitaiChoice
from registry.errors import BadRequest


def test_each_field_has_an_option_that_gives_it_a_value() -> None:
    assert {one.field for one in OPTIONS if one.part == "value"} == set(FIELDS)


def test_only_lists_have_options_that_add_and_remove() -> None:
    parts = {name: {one.part for one in OPTIONS if one.field == name} for name in FIELDS}
    assert {name for name, some in parts.items() if some != {"value"}} == {"tags", "triggers"}
    assert parts["tags"] == parts["triggers"] == {"value", "add", "remove"}


@pytest.mark.parametrize(
    ("told", "change"),
    [
        ({"note": "two\nlines"}, {"note": Change("two\nlines")}),
        ({"note": " "}, {"note": Change()}),
        ({"rating": "0"}, {"rating": Change(0)}),
        ({"rating": "４"}, {"rating": Change(4)}),
        ({"favorite": False}, {"favorite": Change(False)}),  # noqa: FBT003 - the value of a field
        ({"nsfw": "PG-13"}, {"nsfw": Change(2)}),
        ({"nsfw": "16"}, {"nsfw": Change(16)}),
        ({"name": "墨  ink"}, {"display_name": Change("墨 ink")}),
        ({"weight": "-.5"}, {"weight": Change(-0.5)}),
        ({"tag": ["b", "a", "B"]}, {"tags": Change(("b", "a"))}),
        ({"add-tag": ["x"], "remove-tag": ["y"]}, {"tags": Change(add=("x",), remove=("y",))}),
        ({"trigger": ["a, b", "c，d"]}, {"triggers": Change((("a", "b"), ("c", "d")))}),
        ({"add-trigger": ["a,b"]}, {"triggers": Change(add=(("a", "b"),))}),
        ({"civitai": "12"}, {"civitai": Change(CivitaiChoice(12))}),
        ({"civitai": "None"}, {"civitai": Change(CivitaiChoice(None))}),
        ({"tag": [], "note": None}, {}),
    ],
)
def test_what_is_typed_becomes_a_change(told: dict[str, Any], change: dict[str, Change]) -> None:
    assert changes_of(told, []) == change


def test_fields_are_cleared_by_their_names_or_those_of_their_options() -> None:
    assert changes_of({}, ["tag", "name", "weight_min", "weight-max"]) == {
        name: Change() for name in ("tags", "display_name", "weight_min", "weight_max")
    }
    assert field_names(["trigger", "note"]) == ["triggers", "note"]
    with pytest.raises(BadRequest, match="no field 'stars'"):
        field_names(["stars"])


@pytest.mark.parametrize(
    ("told", "takes"),
    [
        ({"rating": "6"}, "--rating takes a whole number from 0 to 5"),
        ({"rating": "nan"}, "--rating takes a whole number from 0 to 5"),
        ({"rating": "x"}, "--rating takes a whole number from 0 to 5"),
        ({"weight": "1,5"}, "--weight takes the preferred strength, from -10 to 10"),
        ({"weight": "inf"}, "--weight takes the preferred strength, from -10 to 10"),
        ({"add-tag": ["x" * 201]}, "--add-tag takes a tag of up to 200 characters"),
        ({"nsfw": "3"}, "--nsfw takes a level: pg"),
        ({"kind": "lola"}, "--kind takes one of lora"),
        ({"civitai": "abc"}, "--civitai takes the id of a version, or none"),
        ({"civitai": "0"}, "--civitai takes the id of a version, or none"),
        ({"civitai": "1.5"}, "--civitai takes the id of a version, or none"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_the_option_takes(told: dict[str, Any], takes: str) -> None:
    with pytest.raises(BadRequest) as refused:
        changes_of(told, [])
    assert refused.value.remedy.startswith(takes)


@pytest.mark.parametrize(
    ("told", "cleared"),
    [
        ({"tag": ["a"], "add-tag": ["b"]}, []),
        ({"add-trigger": ["a"], "trigger": ["b"]}, []),
        ({"add-tag": ["b"]}, ["tags"]),
        ({"rating": "5"}, ["rating"]),
        ({"civitai": "5"}, ["civitai"]),
    ],
)
def test_options_that_contradict_each_other_are_refused(told: dict[str, Any], cleared: list[str]) -> None:
    with pytest.raises(BadRequest, match="contradict each other"):
        changes_of(told, cleared)


@pytest.mark.parametrize(
    ("field", "typed", "shown"),
    [
        ("tag", ["水墨", "长发"], "水墨, 长发"),
        ("trigger", ["a, b", "c"], "a, b | c"),
        ("nsfw", "r", "r"),
        ("favorite", False, "no"),
        ("rating", "0", "0"),
        ("weight", "0.80", "0.8"),
        ("civitai", "none", "none"),
        ("civitai", "12", "12"),
        ("note", "two\n lines", "two lines"),
        ("note", "x" * 500, "x" * 199 + "…"),
    ],
)
def test_what_is_noted_is_shown_on_one_line(field: str, typed: Any, shown: str) -> None:
    ((name, value),) = noted_fields(apply(Curation(), changes_of({field: typed}, []))).items()
    assert noted(name, plain(value)) == shown


def test_nothing_noted_is_shown_as_nothing() -> None:
    assert noted("rating", None) == ""
    assert noted("civitai", {"version": 12, "model": 3}) == "12 of model 3"
