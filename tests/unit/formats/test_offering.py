"""What a tool says since the user noted something else."""

from __future__ import annotations

from typing import Any

import pytest

from registry.curation import Noted
from registry.formats import ours
from registry.formats.offering import offered
from registry.told import SidecarFacts, UserFacts

AT = 1000
LATER = 2000


def facts(**user: Any) -> SidecarFacts:
    return SidecarFacts("a1111", user=UserFacts(**user))


def offers(
    said: SidecarFacts,
    noted: dict[str, Any],
    *,
    before: SidecarFacts | None = None,
    changed_at: int = LATER,
) -> dict[str, object]:
    """What a sidecar offers into which we wrote `before`."""
    mine = ours.added(None, before)
    some = {field: Noted(value, AT) for field, value in noted.items()}
    return offered(said, ours.without(said, mine), some, changed_at, mine)


@pytest.mark.parametrize(
    ("field", "noted", "user", "value"),
    [
        ("note", "mine", "notes", "theirs"),
        ("display_name", "Mine", "title", "Theirs"),
        ("weight", 1.0, "weight", 0.5),
        ("weight_min", 1, "weight_min", 0.5),
        ("weight_max", 1.0, "weight_max", 0.5),
        ("negative", "mine", "negative_text", "theirs"),
        ("favorite", False, "favorite", True),
        ("hidden", False, "hidden", True),
    ],
)
def test_each_thing_that_a_person_typed_there_is_offered(
    field: str, noted: object, user: str, value: object
) -> None:
    assert offers(facts(**{user: value}), {field: noted}) == {field: value}
    assert offers(facts(**{user: noted}), {field: noted}) == {}
    assert offers(facts(**{user: value}), {}) == {}


def test_what_was_noted_later_is_not_asked_about_again() -> None:
    assert offers(facts(notes="theirs"), {"note": "mine"}, changed_at=AT) == {}


def test_what_we_wrote_ourselves_is_not_offered() -> None:
    said = facts(notes="older")
    assert offers(said, {"note": "mine"}, before=said) == {}


def test_nothing_said_offers_nothing() -> None:
    assert offers(facts(notes=""), {"note": "mine"}) == {}
    assert offers(SidecarFacts("a1111"), {"note": "mine", "triggers": (("a",),)}) == {}


def test_false_counts_only_where_we_wrote_the_other() -> None:
    assert offers(facts(favorite=False), {"favorite": True}) == {}
    taken_back = offers(facts(favorite=False), {"favorite": True}, before=facts(favorite=True))
    assert taken_back == {"favorite": False}


def test_words_are_compared_and_not_how_they_are_parted() -> None:
    noted = {"triggers": (("ink", "wash"), ("sumi-e",))}
    assert offers(facts(activation_text="ink , wash,sumi-e"), noted) == {}
    assert offers(facts(activation_text="ink, wash"), noted) == {"triggers": [["ink, wash"]]}


def test_lists_of_a_service_are_offered_only_once_we_wrote_into_them() -> None:
    noted = {"triggers": (("ink",),)}
    said = SidecarFacts("lora-manager", trigger_words=("ink", "new"))
    assert offers(said, noted) == {}
    before = SidecarFacts("lora-manager", trigger_words=("ink",))
    assert offers(said, noted, before=before) == {"triggers": [["ink"], ["new"]]}
