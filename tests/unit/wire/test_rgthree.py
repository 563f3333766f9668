"""What rgthree-comfy keeps beside a model."""

from __future__ import annotations

from typing import Any

import pytest

from registry.told import RemoteImage, SidecarFacts
from registry.wire.rgthree import read

SHA256 = "0f" * 32
CIVITAI = {
    "id": 3,
    "modelId": 2,
    "name": "v1",
    "model": {"name": "Hats - all of them", "type": "LORA", "nsfw": True},
    "files": [{"type": "Model", "hashes": {"AutoV2": "ABCDEF0123"}}],
}


def info(**members: Any) -> dict[str, Any]:
    return {
        "file": "hat.safetensors",
        "path": "/loras/hat.safetensors",
        "name": "Hats - all of them - v1",
        "type": "LORA",
        "baseModel": "SDXL 1.0",
        "sha256": SHA256,
        "links": ["https://civitai.com/api/v1/model-versions/by-hash/0F", "https://civitai.com/models/2"],
        "raw": {"civitai": CIVITAI, "metadata": {}},
        **members,
    }


def found(**members: Any) -> SidecarFacts:
    facts = read(info(**members))
    assert facts is not None
    return facts


def test_its_own_members_are_read() -> None:
    facts = found()
    assert (facts.tool, facts.model_type, facts.base_model) == ("rgthree", "LORA", "SDXL 1.0")
    assert facts.hashes == ({"sha256": SHA256},)
    assert facts.source_url == "https://civitai.com/models/2"


def test_the_kept_answer_gives_ids_and_both_names() -> None:
    facts = found()
    assert (facts.model_id, facts.version_id, facts.nsfw) == (2, 3, True)
    assert (facts.name, facts.version_name, facts.user.title) == ("Hats - all of them", "v1", None)


def test_a_name_stays_whole_without_the_kept_answer() -> None:
    for raw in ({}, {"civitai": {"error": "Model not found"}}, None):
        facts = found(raw=raw)
        assert (facts.name, facts.version_name, facts.model_id) == ("Hats - all of them - v1", None, None)
        assert facts.user.title is None


def test_a_name_of_their_own_is_the_users_title() -> None:
    facts = found(name="My hats")
    assert (facts.name, facts.user.title) == ("Hats - all of them", "My hats")


def test_words_of_civitai_and_users_are_trigger_words_and_those_of_the_header_are_not() -> None:
    words = [
        {"word": "red hat", "civitai": True, "count": 12, "metadata": True},
        {"word": "mine", "user": True},
        {"word": "1girl", "count": 30, "metadata": True},
        {"word": "bare"},
        "odd",
        {"word": 3, "user": True},
    ]
    assert found(trainedWords=words).trigger_words == ("red hat", "mine")


def test_words_of_early_versions_are_a_plain_list() -> None:
    assert found(triggerWords=["red hat"]).trigger_words == ("red hat",)


def test_images_have_the_generation_data_by_civitais_names() -> None:
    image = {
        "url": "https://image.civitai.com/a.mp4",
        "civitaiUrl": "https://civitai.com/images/1",
        "width": 512,
        "height": 768,
        "type": "video",
        "nsfwLevel": 2,
        "seed": 12,
        "positive": "red\x00 hat",
        "negative": "blue",
        "steps": 20,
        "sampler": "Euler",
        "cfg": 3.5,
        "model": None,
    }
    assert found(images=[image]).images == (
        RemoteImage(
            "https://image.civitai.com/a.mp4",
            width=512,
            height=768,
            nsfw_level=2,
            video=True,
            meta={
                "prompt": "red␀ hat",
                "negativePrompt": "blue",
                "seed": 12,
                "steps": 20,
                "sampler": "Euler",
                "cfgScale": 3.5,
            },
        ),
    )


def test_images_of_the_local_server_are_left_out() -> None:
    assert found(images=[{"url": "/rgthree/api/loras/img?file=hat"}, {}, None]).images == ()


def test_what_users_may_edit_is_kept() -> None:
    user = found(strengthMin="0.50", strengthMax="1.20", userNote="mine").user
    assert (user.weight_min, user.weight_max, user.notes) == (0.5, 1.2, "mine")


def test_a_file_with_nothing_to_say_is_still_its_own() -> None:
    assert read({"file": "a", "path": "b", "raw": {}, "images": []}) == SidecarFacts("rgthree")


@pytest.mark.parametrize("value", [None, [], {}, "x", {"file": "a", "path": "b", "images": []}])
def test_other_json_says_nothing(value: object) -> None:
    assert read(value) is None
