"""What StabilityMatrix keeps beside a model."""

from __future__ import annotations

from typing import Any

import pytest

from registry.told import SidecarFacts
from registry.wire.stability_matrix import read

SHA256, BLAKE3 = "0F" * 32, "AB" * 32


def info(**members: Any) -> dict[str, Any]:
    return {
        "ModelId": 2,
        "ModelName": "Hats",
        "ModelDescription": "<p>Hats.</p>",
        "Nsfw": False,
        "Tags": ["hat"],
        "ModelType": "LORA",
        "VersionId": 3,
        "VersionName": "v1",
        "VersionDescription": None,
        "AuthorUsername": "Konan",
        "BaseModel": "SDXL 1.0",
        "Hashes": {"SHA256": SHA256, "CRC32": "DEADBEEF", "BLAKE3": BLAKE3},
        "TrainedWords": ["red hat"],
        "UserTitle": "My hats",
        "Source": "Civitai",
        "SourceUrl": "https://civitai.com/models/2",
        **members,
    }


def found(**members: Any) -> SidecarFacts:
    facts = read(info(**members))
    assert facts is not None
    return facts


def test_all_members_are_read() -> None:
    facts = found()
    assert (facts.tool, facts.model_id, facts.version_id) == ("stability-matrix", 2, 3)
    assert (facts.name, facts.version_name, facts.model_type) == ("Hats", "v1", "LORA")
    assert (facts.base_model, facts.creator, facts.tags) == ("SDXL 1.0", "Konan", ("hat",))
    assert (facts.description, facts.version_description) == ("<p>Hats.</p>", None)
    assert (facts.trigger_words, facts.nsfw) == (("red hat",), False)
    assert facts.source_url == "https://civitai.com/models/2"
    assert facts.hashes == ({"sha256": SHA256.lower(), "crc32": "deadbeef", "blake3": BLAKE3.lower()},)


def test_the_title_is_the_users() -> None:
    assert found().user.title == "My hats"
    assert found(UserTitle=" ").user.title is None


@pytest.mark.parametrize("address", ["javascript:alert(1)", "C:/hats", "https://a b", "x" * 5000, None])
def test_only_web_addresses_are_sources(address: object) -> None:
    assert found(SourceUrl=address).source_url is None


def test_members_of_other_types_are_left_out() -> None:
    facts = found(ModelId="x", Nsfw="True", Tags=3, Hashes=[], TrainedWords=[None, "a", 3], ModelType=12)
    assert (facts.model_id, facts.nsfw, facts.tags, facts.hashes) == (None, True, (), ())
    assert (facts.trigger_words, facts.model_type) == (("a",), None)


def test_a_file_with_nothing_to_say_is_still_its_own() -> None:
    assert read({"ModelId": None, "ModelName": "", "VersionId": None}) == SidecarFacts("stability-matrix")


@pytest.mark.parametrize("value", [None, [], {}, "x", {"modelId": 2}, {"ImportedAt": "2024-01-01T00:00:00Z"}])
def test_other_json_says_nothing(value: object) -> None:
    assert read(value) is None
