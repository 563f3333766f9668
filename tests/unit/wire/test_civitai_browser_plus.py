"""What sd-civitai-browser-plus keeps of an answer of Civitai."""

from __future__ import annotations

from typing import Any

import pytest

from registry.told import SidecarFacts
from registry.wire.civitai_browser_plus import read


def version(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"v{number}",
        "baseModel": "SDXL 1.0",
        "trainedWords": ["red hat"],
        "files": [{"type": "Model", "hashes": {"AutoV3": "ABCDEF012345" + "0" * 52}}],
        "images": [{"url": "https://image.civitai.com/a.jpeg"}],
    }


def model(*versions: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": 2,
        "name": "Hats",
        "type": "LORA",
        "description": "<p>Hats.</p>",
        "tags": ["hat"],
        "nsfw": False,
        "nsfwLevel": 7,
        "allowNoCredit": False,
        "creator": {"username": "Konan"},
        "modelVersions": list(versions),
    }


def found(value: object) -> SidecarFacts:
    facts = read(value)
    assert facts is not None
    return facts


def test_a_model_with_one_version_is_read_whole() -> None:
    facts = found(model(version(3)))
    assert (facts.tool, facts.model_id, facts.version_id) == ("civitai-browser-plus", 2, 3)
    assert (facts.name, facts.version_name, facts.model_type) == ("Hats", "v3", "LORA")
    assert (facts.base_model, facts.trigger_words) == ("SDXL 1.0", ("red hat",))
    assert (facts.description, facts.tags, facts.creator) == ("<p>Hats.</p>", ("hat",), "Konan")
    assert (facts.nsfw, facts.nsfw_level, facts.licence.no_credit) == (False, 7, False)
    assert facts.hashes == ({"autov3": "abcdef012345"},)
    assert len(facts.images) == 1


@pytest.mark.parametrize("numbers", [(), (3, 4)])
def test_of_several_versions_or_none_only_the_model_is_known(numbers: tuple[int, ...]) -> None:
    facts = found(model(*map(version, numbers)))
    assert (facts.name, facts.model_id, facts.tags) == ("Hats", 2, ("hat",))
    assert (facts.version_id, facts.base_model, facts.trigger_words) == (None, None, ())
    assert facts.images == ()


def test_the_hashes_of_all_versions_are_kept() -> None:
    facts = found(model(*map(version, range(3, 5))))
    assert facts.hashes == ({"autov3": "abcdef012345"},) * 2
    assert len(found(model(*map(version, range(1, 300)))).hashes) == 200


def test_a_list_of_one_model_is_that_model() -> None:
    assert read({"items": [model(version(3))], "metadata": {}}) == read(model(version(3)))


def test_of_a_list_of_several_models_none_is_known() -> None:
    nothing = SidecarFacts("civitai-browser-plus")
    assert read({"items": [model(version(3)), model(version(4))]}) == nothing
    assert read({"items": []}) == read({"items": [None]}) == nothing


@pytest.mark.parametrize("value", [None, [], {}, "offline", {"id": 2, "name": "Hats"}])
def test_other_json_says_nothing(value: object) -> None:
    assert read(value) is None
