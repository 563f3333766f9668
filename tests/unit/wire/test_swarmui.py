"""What SwarmUI keeps beside a model."""

from __future__ import annotations

from typing import Any

import pytest

from registry.told import SidecarFacts
from registry.wire.swarmui import read

SHA256 = "0f" * 32


def swarm(**members: Any) -> dict[str, Any]:
    written = {
        "name": "styles/hat.safetensors",
        "title": "Hats - v1",
        "author": "Konan",
        "description": "Hats.",
        "trigger_phrase": "red hat; blue hat",
        "usage_hint": "Use a low strength",
        "tags": ["hat", "red"],
        "hash": "0x" + SHA256,
        "hash_sha256": "0x" + SHA256.upper(),
        "preview_image": "data:image/jpeg;base64,AAAA",
        **members,
    }
    return {f"modelspec.{key}": value for key, value in written.items()}


def found(**members: Any) -> SidecarFacts:
    facts = read(swarm(**members))
    assert facts is not None
    return facts


def test_all_members_are_read() -> None:
    facts = found()
    assert (facts.tool, facts.name, facts.creator) == ("swarmui", "Hats - v1", "Konan")
    assert (facts.description, facts.tags) == ("Hats.", ("hat", "red"))
    assert facts.images == ()


def test_a_trigger_phrase_stays_whole() -> None:
    assert found().trigger_words == ("red hat; blue hat",)


def test_the_hash_may_be_a_copy_of_what_another_tool_claimed_and_is_left_out() -> None:
    assert found().hashes == ()


def test_a_file_with_nothing_to_say_is_still_its_own() -> None:
    assert read({"modelspec.loaded": False}) == SidecarFacts("swarmui")


def test_tags_may_be_a_text_with_commas() -> None:
    assert found(tags="hat, red,,hat").tags == ("hat", "red")


def test_a_hint_is_a_note_unless_it_is_a_base_model() -> None:
    assert (found().user.notes, found().base_model) == ("Use a low strength", None)
    pony = found(usage_hint="Pony")
    assert (pony.user.notes, pony.base_model) == (None, "Pony")


@pytest.mark.parametrize(
    ("written", "weight"), [("0.8", 0.8), (1, 1.0), ("", None), (None, None), ("x", None)]
)
def test_the_default_weight_is_the_users(written: object, weight: float | None) -> None:
    assert found(lora_default_weight=written).user.weight == weight


@pytest.mark.parametrize("title", ["hat", "hat.safetensors", "", None])
def test_a_title_that_is_the_name_of_the_file_is_none(title: object) -> None:
    assert found(title=title).name is None


@pytest.mark.parametrize("value", [None, [], {}, "x", {"title": "Hats"}])
def test_other_json_says_nothing(value: object) -> None:
    assert read(value) is None
