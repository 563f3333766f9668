"""Curation against any JSON, and what uniting notes must keep whatever they are."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from registry.curation import (
    FIELDS,
    Curation,
    Noted,
    apply,
    carried,
    curation_from,
    merged,
    noted_fields,
    pack_value,
    plain,
    read_changes,
    united,
    unpack_value,
)
from registry.errors import BadRequest

TEXTS = st.text(st.characters(), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
# Words that are equal but for their case come up often.
WORDS = st.sampled_from(["a", "A", "b", "B ", "ß", "SS", "", "x y", "x  y", "\x00", "\ud800", "é", "e\u0301"])
WEIGHTS = st.floats(-10, 10) | st.integers(-10, 10)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "note": TEXTS,
    "tags": st.lists(WORDS | TEXTS, max_size=6),
    "rating": st.integers(0, 5),
    "favorite": st.booleans(),
    "hidden": st.booleans(),
    "nsfw": st.sampled_from(["pg", "PG-13", "r", "x", "xxx", "blocked", 1, 2, 4, 8, 16, 32]),
    "display_name": TEXTS,
    "triggers": st.lists(st.lists(WORDS | TEXTS, max_size=3) | WORDS, max_size=4),
    "weight": WEIGHTS,
    "weight_min": WEIGHTS,
    "weight_max": WEIGHTS,
    "negative": TEXTS,
    "cover": TEXTS,
    "architecture": st.sampled_from(["sdxl", "FLUX1", "unknown"]),
    "base_model": st.sampled_from(["PONY", "sdxl-1.0"]) | TEXTS,
    "adapter": st.sampled_from(["lora", "DoRA", "none"]),
    "kind": st.sampled_from(["lora", "VAE"]),
    "civitai": st.just({"unlinked": True})
    | st.fixed_dictionaries({"version": st.integers(1, 2**63 - 1)}, optional={"model": st.integers(1, 9)}),
}
LISTS = [name for name, field in FIELDS.items() if field.listed]
TOLD = st.fixed_dictionaries({}, optional={name: st.none() | some for name, some in VALUES.items()})
EDITS = st.one_of(
    TOLD,
    st.fixed_dictionaries(
        {},
        optional={
            name: st.fixed_dictionaries({}, optional={"add": VALUES[name], "remove": VALUES[name]})
            for name in LISTS
        },
    ),
)


@st.composite
def curations(draw: st.DrawFn) -> Curation:
    told = draw(TOLD)
    low, high = told.get("weight_min"), told.get("weight_max")
    if low is not None and high is not None and low > high:
        told.update(weight_min=high, weight_max=low)
    return apply(Curation(), read_changes(told))


@st.composite
def noted(draw: st.DrawFn) -> dict[str, Noted]:
    fields = noted_fields(draw(curations()))
    return {name: Noted(value, draw(st.integers(0, 3))) for name, value in fields.items()}


def as_told(curation: Curation) -> dict[str, object]:
    return {name: plain(value) for name, value in noted_fields(curation).items()}


def keys(items: tuple[Any, ...]) -> list[object]:
    return [
        item.casefold() if isinstance(item, str) else tuple(word.casefold() for word in item)
        for item in items
    ]


def test_every_field_has_values_here() -> None:
    assert VALUES.keys() == FIELDS.keys()


@given(JSON | st.dictionaries(st.sampled_from(list(FIELDS)), JSON, max_size=4))
def test_any_json_is_read_or_refused(told: object) -> None:
    try:
        after = apply(Curation(), read_changes(told))
    except BadRequest:
        return
    assert apply(Curation(), read_changes(as_told(after))) == after


@given(curations())
def test_what_is_noted_is_told_again_as_the_same(curation: Curation) -> None:
    assert apply(Curation(), read_changes(as_told(curation))) == curation
    packed = {
        name: Noted(unpack_value(pack_value(value)), 1) for name, value in noted_fields(curation).items()
    }
    assert curation_from(packed) == curation


@given(curations(), EDITS)
def test_an_edit_changes_only_its_fields_and_making_it_twice_changes_no_more(
    curation: Curation, told: dict[str, Any]
) -> None:
    changes = read_changes(told)
    try:
        after = apply(curation, changes)
    except BadRequest:
        assume(False)  # noqa: FBT003 - hypothesis has it so
    assert apply(after, changes) == after or any(change.remove for change in changes.values())
    for name in FIELDS.keys() - told.keys():
        assert getattr(after, name) == getattr(curation, name)
    for name in LISTS:
        items = keys(getattr(after, name))
        assert len(items) == len(set(items))
        if name in changes and (changes[name].add or changes[name].remove):
            assert set(keys(changes[name].add)) <= set(items)
            gone = set(keys(changes[name].remove)) - set(keys(changes[name].add))
            assert gone.isdisjoint(items)


@given(noted(), noted())
def test_of_two_that_are_one_nothing_is_lost_unsaid(kept: dict[str, Noted], other: dict[str, Noted]) -> None:
    values, lost = merged(kept, other)
    assert values.keys() == kept.keys() | other.keys()
    for name, both in values.items():
        told = [some[name] for some in (kept, other) if name in some]
        assert both.at == max(one.at for one in told)
        if name in LISTS:
            items, ours = keys(both.value), keys(kept[name].value if name in kept else ())  # type: ignore[arg-type]
            assert items[: len(ours)] == ours
            assert set(items) == {key for one in told for key in keys(one.value)}  # type: ignore[arg-type]
            assert name not in lost
        else:
            left = {one.value for one in told} - {both.value}
            assert left == ({lost[name].value} if name in lost else set())
            assert all(one.at <= both.at for one in told)


@given(noted(), noted())
def test_which_of_two_is_kept_matters_only_for_the_order_and_for_equal_times(
    one: dict[str, Noted], other: dict[str, Noted]
) -> None:
    there, back = merged(one, other).values, merged(other, one).values
    for name in there:
        if name in LISTS:
            assert set(keys(there[name].value)) == set(keys(back[name].value))  # type: ignore[arg-type]
        elif name not in one or name not in other or one[name].at != other[name].at:
            assert there[name] == back[name]


@given(noted(), noted())
def test_uniting_again_changes_nothing(one: dict[str, Noted], other: dict[str, Noted]) -> None:
    values, _ = merged(one, other)
    assert merged(values, other).values == values
    assert merged(values, values) == (values, {})


@given(curations(), curations())
def test_carrying_over_takes_nothing_away(target: Curation, source: Curation) -> None:
    after = carried(target, source)
    for name, value in noted_fields(target).items():
        there = getattr(after, name)
        assert there[: len(value)] == value if name in LISTS else there == value  # type: ignore[arg-type]
    assert carried(after, source) == after
    assert carried(target, Curation()) == target


@given(st.sampled_from(list(FIELDS)), curations(), curations())
def test_what_two_values_are_together(name: str, one: Curation, other: Curation) -> None:
    values = [noted_fields(some).get(name) for some in (one, other)]
    both = united(name, *values)
    assert (both is None) == (values == [None, None])
    if name not in LISTS:
        assert both == (values[0] if values[1] is None else values[1])
