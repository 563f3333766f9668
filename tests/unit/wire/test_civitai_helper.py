"""What Civitai Helper and its forks keep of Civitai's answer to a hash."""

from __future__ import annotations

from typing import Any

import pytest

from registry.told import Licence, SidecarFacts
from registry.wire.civitai_helper import read

SHA256 = "ab" * 32


def weights(sha256: str = SHA256, kind: str = "Model") -> dict[str, Any]:
    return {"id": 9, "name": "x.safetensors", "type": kind, "hashes": {"SHA256": sha256.upper()}}


def answer(**members: Any) -> dict[str, Any]:
    return {
        "id": 3,
        "modelId": 2,
        "name": "v1",
        "baseModel": "SDXL 1.0",
        "description": "<p>first</p>",
        "trainedWords": ["1girl, red hat", "1girl, red hat", " hat "],
        "nsfwLevel": 1,
        "model": {"name": "Hats", "type": "LORA", "nsfw": False},
        "files": [weights()],
        "images": [{"url": "https://image.civitai.com/a.jpeg", "width": 512, "height": 768}],
        **members,
    }


def found(value: object) -> SidecarFacts:
    facts = read(value)
    assert facts is not None
    return facts


def test_an_answer_is_read_whole() -> None:
    facts = found(answer())
    assert (facts.tool, facts.model_id, facts.version_id) == ("civitai-helper", 2, 3)
    assert (facts.name, facts.version_name, facts.model_type) == ("Hats", "v1", "LORA")
    assert (facts.base_model, facts.version_description) == ("SDXL 1.0", "<p>first</p>")
    assert (facts.nsfw, facts.nsfw_level) == (False, 1)
    assert [image.url for image in facts.images] == ["https://image.civitai.com/a.jpeg"]
    assert facts.hashes == ({"sha256": SHA256},)


def test_trained_words_stay_whole_and_come_once() -> None:
    assert found(answer()).trigger_words == ("1girl, red hat", "hat")


def test_what_forks_add_to_the_model_is_read() -> None:
    model = {
        "name": "Hats",
        "description": "<!--\nA hat.\n-->",
        "tags": ["hat", "red"],
        "allowNoCredit": True,
        "allowCommercialUse": ["Image"],
        "allowDerivatives": False,
        "allowDifferentLicense": True,
    }
    facts = found(answer(model=model, creator={"username": "Konan"}))
    assert (facts.description, facts.tags, facts.creator) == ("A hat.", ("hat", "red"), "Konan")
    assert facts.licence == Licence(
        no_credit=True, commercial_use=("Image",), derivatives=False, different_licence=True
    )


def test_licences_of_before_2024_are_one_word() -> None:
    facts = found(answer(model={"name": "Hats", "allowCommercialUse": "Rent"}))
    assert facts.licence.commercial_use == ("Rent",)


def test_a_creator_written_as_a_text_of_braces_is_nobody() -> None:
    assert found(answer(creator="{}")).creator is None


@pytest.mark.parametrize("empty", ["", None])
def test_a_skeleton_for_an_unknown_model_says_nothing(empty: object) -> None:
    skeleton = answer(id=empty, modelId=empty, extensions={"sd_civitai_helper": {"skeleton_file": True}})
    assert read(skeleton) == SidecarFacts("civitai-helper")


def test_an_error_in_place_of_an_answer_says_nothing() -> None:
    assert read({"error": "Model not found"}) is None


def test_hashes_are_those_of_each_file_of_weights() -> None:
    config = {"type": "Config", "hashes": {"SHA256": "cd" * 32}}
    assert found(answer(files=[config, weights()])).hashes == ({"sha256": SHA256},)
    untyped = {"hashes": {"AutoV2": "ABCDEF0123"}}
    files = [weights(), weights("cd" * 32, "Pruned Model"), untyped, {"type": "Model"}]
    assert found(answer(files=files)).hashes == (
        {"sha256": SHA256},
        {"sha256": "cd" * 32},
        {"autov2": "abcdef0123"},
    )


def test_the_hash_of_nothing_is_left_out() -> None:
    of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert found(answer(files=[weights(of_nothing)])).hashes == ()


def test_whole_models_under_this_name_are_of_the_browser_that_wrote_them() -> None:
    facts = found({"id": 2, "name": "Hats", "modelVersions": [{"id": 3, "name": "v1"}]})
    assert (facts.tool, facts.model_id, facts.version_id) == ("civitai-browser-plus", 2, 3)


@pytest.mark.parametrize("value", [None, [], {}, "x", 3, {"model": [], "files": 3, "modelVersions": []}])
def test_other_json_says_nothing(value: object) -> None:
    assert read(value) is None
