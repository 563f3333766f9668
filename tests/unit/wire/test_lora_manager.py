"""What ComfyUI-Lora-Manager keeps beside a model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.told import SidecarFacts, UserFacts
from registry.wire.lora_manager import read

SHA256 = "0f" * 32


def metadata(**members: Any) -> dict[str, Any]:
    return {
        "file_name": "hat",
        "model_name": "Hats",
        "file_path": "/loras/hat.safetensors",
        "sha256": SHA256,
        "base_model": "SDXL 1.0",
        "preview_nsfw_level": 4,
        "civitai": {},
        "tags": ["hat"],
        "modelDescription": "<p>Hats.</p>",
        "usage_tips": "{}",
        **members,
    }


def found(**members: Any) -> SidecarFacts:
    facts = read(metadata(**members))
    assert facts is not None
    return facts


def tips(**members: Any) -> UserFacts:
    return found(usage_tips=json.dumps(members)).user


def test_its_own_members_are_read() -> None:
    facts = found(autov3="ABCDEF012345")
    assert (facts.tool, facts.name, facts.base_model) == ("lora-manager", "Hats", "SDXL 1.0")
    assert (facts.description, facts.tags, facts.nsfw_level) == ("<p>Hats.</p>", ("hat",), 4)
    assert facts.hashes == ({"sha256": SHA256, "autov3": "abcdef012345"},)
    assert not facts.gone


def test_the_answer_of_civitai_within_is_read() -> None:
    civitai = {
        "id": 3,
        "modelId": 2,
        "name": "v1",
        "description": "first",
        "trainedWords": ["red hat"],
        "nsfwLevel": 1,
        "model": {"name": "Old name", "type": "LORA", "tags": ["other"], "allowDerivatives": True},
        "creator": {"username": "Konan"},
        "images": [{"url": "https://image.civitai.com/a.jpeg"}],
    }
    facts = found(civitai=civitai)
    assert (facts.model_id, facts.version_id, facts.version_name) == (2, 3, "v1")
    assert (facts.name, facts.model_type, facts.creator) == ("Hats", "LORA", "Konan")
    assert (facts.version_description, facts.trigger_words) == ("first", ("red hat",))
    assert (facts.tags, facts.nsfw_level, facts.licence.derivatives) == (("hat",), 1, True)
    assert len(facts.images) == 1


def test_words_that_a_user_added_need_no_model() -> None:
    assert found(civitai={"trainedWords": ["a", "b"]}).trigger_words == ("a", "b")
    assert found(trainedWords=["c"]).trigger_words == ("c",)


def test_tips_are_json_within_a_text() -> None:
    assert tips(
        strength_min=0.3, strength_max=0.8, strength=0.6, clip_strength=0.5, clip_skip=2
    ) == UserFacts(weight=0.6, weight_min=0.3, weight_max=0.8, clip_weight=0.5, clip_skip=2)


@pytest.mark.parametrize(
    ("written", "low", "high"),
    [("0.3-0.8", 0.3, 0.8), ("-1 - 2", -1, 2), ("0.5 ~ 1", 0.5, 1), ("about 1", None, None), (3, None, None)],
)
def test_a_range_stands_in_for_its_ends(written: object, low: float | None, high: float | None) -> None:
    assert tips(strength_range=written) == UserFacts(weight_min=low, weight_max=high)


def test_ends_win_over_a_range() -> None:
    assert tips(strength_range="0.1-2", strength_min=0.3).weight_min == 0.3


@pytest.mark.parametrize("odd", ["", "{", "[]", "null", '{"strength": NaN}', '{"strength": 1e9}', 5, None])
def test_odd_tips_are_left_out(odd: object) -> None:
    assert found(usage_tips=odd).user == UserFacts()


def test_tips_may_be_an_object() -> None:
    assert found(usage_tips={"strength": "0.7"}).user.weight == 0.7


def test_what_users_say_is_kept() -> None:
    user = found(notes="mine", favorite=True, exclude=False).user
    assert (user.notes, user.favorite, user.hidden) == ("mine", True, False)
    assert found(exclude=True).user.hidden is True


def test_a_deleted_model_is_gone() -> None:
    assert found(civitai_deleted=True).gone


def test_guesses_are_left_out() -> None:
    facts = found(model_name="hat", base_model="Unknown", preview_nsfw_level=0)
    assert (facts.name, facts.base_model, facts.nsfw_level) == (None, None, None)


def test_hashes_that_are_not_hex_are_left_out() -> None:
    assert found(sha256="xyz" + SHA256[3:], autov3=None).hashes == ()


def test_a_file_with_nothing_to_say_is_still_its_own() -> None:
    assert read(
        {"file_name": "hat", "model_name": "hat", "file_path": "/loras/hat.safetensors"}
    ) == SidecarFacts("lora-manager")


@pytest.mark.parametrize(
    "value", [None, [], {}, "x", {"id": 3, "name": "v1"}, {"trigger_words": "hat", "hash": SHA256}]
)
def test_files_of_other_tools_say_nothing(value: object) -> None:
    assert read(value) is None
