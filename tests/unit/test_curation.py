"""What a user may note, and what becomes of it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from registry.curation import (
    CORRECTIONS,
    FIELDS,
    Change,
    Curation,
    Noted,
    apply,
    carried,
    curation_from,
    merged,
    noted_fields,
    pack_value,
    read_changes,
    unpack_value,
)
from registry.curation_values import CivitaiChoice
from registry.errors import BadRequest

FULL = {
    "note": "two\nlines ",
    "tags": ["Style", "blue hair"],
    "rating": 0,
    "favorite": False,
    "hidden": True,
    "nsfw": 16,
    "display_name": "A name",
    "triggers": [["miku", "blue hair"], ["1girl"]],
    "weight": 0.8,
    "weight_min": 0.0,
    "weight_max": 1.5,
    "negative": "bad hands",
    "cover": "ab12",
    "architecture": "sdxl",
    "base_model": "pony",
    "adapter": "locon",
    "kind": "lora",
    "civitai": {"version": 12, "model": 3},
}


def edited(curation: Curation = Curation(), /, **told: object) -> Curation:  # noqa: B008 - it is frozen
    return apply(curation, read_changes(told))


def test_the_table_and_the_value_have_the_same_fields_in_the_same_order() -> None:
    assert list(FIELDS) == [field.name for field in fields(Curation)]
    assert set(CORRECTIONS) < set(FIELDS)


def test_every_field_can_be_set_and_cleared() -> None:
    assert FULL.keys() == FIELDS.keys()
    full = edited(**FULL)
    assert noted_fields(full).keys() == FIELDS.keys()
    assert full.triggers == (("miku", "blue hair"), ("1girl",))
    assert full.civitai == CivitaiChoice(12, 3)
    assert edited(full, **dict.fromkeys(FIELDS)) == Curation()


def test_every_value_survives_packing() -> None:
    for value in noted_fields(edited(**FULL)).values():
        assert unpack_value(pack_value(value)) == value
    assert unpack_value(pack_value(CivitaiChoice(None))) == CivitaiChoice(None)


def test_false_and_nought_are_noted_and_blank_texts_and_empty_lists_are_not() -> None:
    assert set(noted_fields(edited(rating=0, favorite=False))) == {"rating", "favorite"}
    blank = edited(edited(**FULL), note=" \n", display_name=" ", tags=[], triggers=[[], ["  "]])
    assert noted_fields(blank).keys() == FIELDS.keys() - {"note", "display_name", "tags", "triggers"}


def test_tags_are_trimmed_and_kept_once_whatever_their_case_in_the_order_given() -> None:
    assert edited(tags=[" Blue  hair\n", "style", "BLUE HAIR", "", "Straße", "STRASSE"]).tags == (
        "Blue hair",
        "style",
        "Straße",
    )
    assert edited(tags=["u\u0308", "ü"]).tags == ("ü",)


def test_a_list_can_be_added_to_and_taken_from() -> None:
    before = edited(tags=["a", "b", "c"])
    assert edited(before, tags={"add": ["d", "A"], "remove": ["B", "x"]}).tags == ("a", "c", "d")
    assert edited(before, tags={"add": ["B"], "remove": ["b"]}).tags == ("a", "c", "B")
    groups = edited(triggers=[["a", "b"], "c"])
    assert groups.triggers == (("a", "b"), ("c",))
    assert edited(groups, triggers={"remove": [["A", "B"]], "add": [["d"]]}).triggers == (("c",), ("d",))


def test_adding_and_taking_nothing_is_no_change() -> None:
    assert read_changes({"tags": {"add": [], "remove": [" "]}}) == {}
    assert read_changes({}) == {}


@pytest.mark.parametrize(
    ("told", "bit"),
    [
        ("pg", 1),
        ("PG-13", 2),
        ("pg13", 2),
        (" R ", 4),
        ("x", 8),
        ("XXX", 16),
        ("Blocked", 32),
        (4, 4),
        (8.0, 8),
    ],
)
def test_a_level_is_told_by_name_or_bit(told: object, bit: int) -> None:
    assert edited(nsfw=told).nsfw == bit


def test_names_of_tables_are_spelled_as_the_tables_do() -> None:
    assert edited(architecture=" SDXL ", adapter="LoCon", kind="Checkpoint", base_model="PONY") == Curation(
        architecture="sdxl", adapter="locon", kind="checkpoint", base_model="pony"
    )
    assert edited(base_model=" My  own mix ").base_model == "My own mix"


def test_a_version_is_chosen_or_there_is_none() -> None:
    assert edited(civitai={"version": 5}).civitai == CivitaiChoice(5, None)
    assert edited(civitai={"unlinked": True}).civitai == CivitaiChoice(None)


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "note",
        {"nothing": 1},
        {"\ud800": 1},
        {"note": 5},
        {"note": "x" * 100_001},
        {"tags": "style"},
        {"tags": [1]},
        {"tags": [["style"]]},
        {"tags": ["x" * 201]},
        {"tags": [str(number) for number in range(1001)]},
        {"tags": {"add": "style"}},
        {"tags": {"add": ["a"], "set": []}},
        {"note": {"add": ["a"]}},
        {"rating": -1},
        {"rating": 6},
        {"rating": 2.5},
        {"rating": True},
        {"rating": "5"},
        {"rating": 10**400},
        {"favorite": 1},
        {"hidden": "true"},
        {"nsfw": 3},
        {"nsfw": "mild"},
        {"nsfw": 0},
        {"nsfw": True},
        {"display_name": "x" * 301},
        {"triggers": "a"},
        {"triggers": [[["a"]]]},
        {"triggers": [["x" * 2001]]},
        {"triggers": [["x"] * 101]},
        {"triggers": [["x"]] * 101},
        {"triggers": [[f"{number}{'x' * 1990}"] for number in range(51)]},
        {"weight": 10.5},
        {"weight": float("nan")},
        {"weight": 10**400},
        {"weight": "1"},
        {"weight": False},
        {"weight_min": 1, "weight_max": 0.5},
        {"architecture": "sdxxl"},
        {"architecture": "ambiguous"},
        {"adapter": 5},
        {"kind": ["lora"]},
        {"base_model": "x" * 101},
        {"civitai": 5},
        {"civitai": {}},
        {"civitai": {"model": 5}},
        {"civitai": {"version": 0}},
        {"civitai": {"version": 5, "model": "6"}},
        {"civitai": {"version": 5, "unlinked": True}},
        {"civitai": {"unlinked": False}},
        {"civitai": {"version": 5, "name": "x"}},
    ],
)
def test_what_cannot_be_noted_is_refused_with_what_can(told: object) -> None:
    with pytest.raises(BadRequest) as caught:
        apply(Curation(), read_changes(told))
    assert caught.value.remedy


def test_a_refusal_says_what_is_wrong_and_what_would_be_right() -> None:
    with pytest.raises(BadRequest, match="rating is 7, not a whole number from 0 to 5") as caught:
        read_changes({"rating": 7})
    assert caught.value.remedy == "rating: a whole number from 0 to 5; null clears it"


def test_a_list_does_not_grow_beyond_its_bounds_but_can_always_shrink() -> None:
    many = Curation(tags=tuple(map(str, range(1200))))
    with pytest.raises(BadRequest, match="tags would be a list of more than 1,000"):
        edited(many, tags={"add": ["one more"]})
    assert len(edited(many, tags={"remove": ["0"]}).tags) == 1199


def test_a_range_the_wrong_way_round_only_matters_when_it_is_touched() -> None:
    odd = Curation(weight_min=1.0, weight_max=0.5)
    assert edited(odd, rating=3).rating == 3
    with pytest.raises(BadRequest):
        edited(odd, weight_min=0.7)
    assert edited(odd, weight_min=0.1).weight_min == 0.1


def test_of_two_loras_that_are_one_lists_are_united_and_the_newer_scalar_stays() -> None:
    kept = {"tags": Noted(("a", "B"), 5, "ann"), "rating": Noted(3, 5), "note": Noted("mine", 9)}
    other = {
        "tags": Noted(("b", "c"), 7, "ben"),
        "rating": Noted(4, 6),
        "note": Noted("yours", 8),
        "weight": Noted(0.5, 1),
    }
    both = merged(kept, other)
    assert both.values == {
        "tags": Noted(("a", "B", "c"), 7, "ben"),
        "rating": Noted(4, 6),
        "note": Noted("mine", 9),
        "weight": Noted(0.5, 1),
    }
    assert both.lost == {"rating": Noted(3, 5), "note": Noted("yours", 8)}


def test_scalars_that_agree_are_no_conflict_and_of_one_time_the_kept_one_stays() -> None:
    assert merged({"rating": Noted(3, 5)}, {"rating": Noted(3, 6)}) == ({"rating": Noted(3, 6)}, {})
    both = merged({"rating": Noted(3, 5)}, {"rating": Noted(4, 5)})
    assert both == ({"rating": Noted(3, 5)}, {"rating": Noted(4, 5)})


def test_carrying_over_fills_what_is_empty_and_leaves_the_version_where_it_is() -> None:
    target = edited(tags=["new"], rating=2)
    source = edited(**FULL)
    after = carried(target, source)
    assert after.tags == ("new", "Style", "blue hair")
    assert (after.rating, after.note, after.civitai) == (2, "two\nlines ", None)


def test_a_field_that_nobody_knows_any_more_is_left_out() -> None:
    assert curation_from({"colour": Noted("red", 1), "rating": Noted(1, 1)}) == Curation(rating=1)


def test_a_change_is_a_plain_value() -> None:
    assert read_changes({"tags": ["a"], "rating": None, "triggers": {"add": [["b"]]}}) == {
        "tags": Change(("a",)),
        "rating": Change(),
        "triggers": Change(add=(("b",),)),
    }
