"""What we wrote into a sidecar is known again by what the tool reads of it."""

from __future__ import annotations

import json

import pytest

from registry.formats.ours import added, without
from registry.told import Licence, RemoteImage, SidecarFacts, UserFacts

BEFORE = SidecarFacts(
    "lora-manager",
    hashes=({"sha256": "ab" * 32},),
    name="Hats",
    tags=("a", "b"),
    user=UserFacts(notes="theirs", favorite=False),
)
AFTER = SidecarFacts(
    "lora-manager",
    hashes=({"sha256": "ab" * 32, "autov3": "cd" * 6},),
    name="Caps",
    tags=("a", "b", "c"),
    version_id=3,
    gone=True,
    nsfw=False,
    licence=Licence(no_credit=True),
    images=(RemoteImage("https://image.civitai.com/a.jpeg", meta={"seed": 1}),),
    user=UserFacts(notes="theirs", favorite=True, weight=0.5),
)


def test_all_of_a_new_file_is_ours_but_for_its_hashes() -> None:
    assert without(AFTER, added(None, AFTER)) == SidecarFacts("lora-manager", hashes=AFTER.hashes)


def test_what_was_there_stays_theirs() -> None:
    kept = without(AFTER, added(BEFORE, AFTER))
    assert kept == SidecarFacts(
        "lora-manager", hashes=AFTER.hashes, tags=("a", "b"), user=UserFacts(notes="theirs")
    )


def test_what_the_tool_changes_afterwards_is_theirs() -> None:
    ours = added(BEFORE, AFTER)
    later = SidecarFacts("lora-manager", name="Bonnets", tags=("c", "d"), user=UserFacts(weight=0.6))
    assert without(later, ours) == SidecarFacts(
        "lora-manager", name="Bonnets", tags=("d",), user=UserFacts(weight=0.6)
    )


def test_what_is_remembered_is_json_without_texts() -> None:
    ours = added(None, AFTER)
    assert json.loads(json.dumps(ours)) == ours
    assert "theirs" not in json.dumps(ours)
    assert all(len(digest) == 16 for some in ours.values() for digest in some)


def test_nothing_written_is_nothing_remembered() -> None:
    assert added(AFTER, AFTER) == {}
    assert added(AFTER, None) == {}


@pytest.mark.parametrize(
    "odd", [{}, {"name": None}, {"name": "x"}, {"user.notes": [1, None]}, {"user": ["x"]}, {"": []}]
)
def test_odd_memories_do_no_harm(odd: dict[str, object]) -> None:
    assert without(AFTER, odd) == AFTER
