"""Sidecars of real libraries and real answers of Civitai, as the tools keep them beside a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.told import SidecarFacts, UserFacts
from registry.wire.sidecars import read_sidecar

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.data


def content(path: Path) -> Any:
    """What stands in a sample, without what says where it comes from."""
    sample = json.loads(path.read_text("utf-8"))
    return sample.get("content", sample.get("response", sample)) if isinstance(sample, dict) else sample


def read(family: str, path: Path) -> SidecarFacts | None:
    return read_sidecar(family, json.dumps(content(path)).encode())


def found(family: str, path: Path) -> SidecarFacts:
    facts = read(family, path)
    assert facts is not None
    return facts


def test_user_metadata_of_a1111_are_the_users(data_dir: Path) -> None:
    assert found("user_json", data_dir / "sidecars" / "a1111_user_flux.json") == SidecarFacts(
        "a1111",
        user=UserFacts(
            description="description",
            notes="Notes",
            activation_text="marie rose",
            negative_text="Negative prompt\n",
            weight=0.76,
            base_model="Flux",
        ),
    )


def test_lora_manager_says_what_civitai_and_the_user_said(data_dir: Path) -> None:
    facts = found("lora_manager", data_dir / "sidecars" / "lora_manager_civitai.metadata.json")
    assert (facts.model_id, facts.version_id) == (67890, 12345)
    assert (facts.name, facts.version_name, facts.base_model) == ("Anime Style LoRA", "v1.0", "SDXL")
    assert facts.trigger_words == ("anime style", "cel shading")
    assert facts.tags == ("anime", "style", "cel shading", "illustration")
    assert (facts.creator, facts.nsfw_level, facts.gone) == ("ModelCreator", None, False)
    assert facts.user == UserFacts(
        weight=0.6, weight_min=0.3, weight_max=0.8, clip_weight=0.5, favorite=True, hidden=False
    )


def test_lora_manager_without_civitai_has_no_hash_that_is_not_hex(data_dir: Path) -> None:
    facts = found("lora_manager", data_dir / "sidecars" / "lora_manager_no_trigger.metadata.json")
    assert (facts.name, facts.hashes, facts.trigger_words) == ("LoRA Without Trigger Words", (), ())


@pytest.mark.parametrize("family", ["lora_manager", "user_json"])
def test_an_entry_of_a_private_manager_is_nobodys(data_dir: Path, family: str) -> None:
    assert read(family, data_dir / "sidecars" / "lora_manager_recipe_cache_entry.json") is None


@pytest.mark.parametrize(
    "name",
    [
        "by_hash_1050496_2024-11",
        "model_version_1387174_flux_lora",
        "model_version_242807_2023-12",
        "model_version_2514310_2025-12_docs",
        "model_version_2514310_2026_docs",
    ],
)
def test_answers_of_every_generation_are_read_as_civitai_helper_keeps_them(data_dir: Path, name: str) -> None:
    path = data_dir / "civitai" / f"{name}.json"
    version = content(path)
    facts = found("civitai_helper", path)
    assert (facts.model_id, facts.version_id) == (version["modelId"], version["id"])
    assert (facts.name, facts.version_name) == (version["model"]["name"], version["name"])
    assert facts.trigger_words == tuple(version["trainedWords"])
    assert len(facts.images) == len(version["images"])
    written = {kind.lower(): kept.lower() for kind, kept in version["files"][0]["hashes"].items()}
    assert facts.hashes[0] == written | {"autov3": written["autov3"][:12]}


@pytest.mark.parametrize(
    ("family", "tool"), [("user_json", "sdnext"), ("civitai_browser_plus", "civitai-browser-plus")]
)
def test_a_whole_model_is_read_in_either_place(data_dir: Path, family: str, tool: str) -> None:
    path = data_dir / "civitai" / "model_215485_2023-12.json"
    facts = found(family, path)
    assert (facts.tool, facts.model_id, facts.model_type) == (tool, 215485, "LORA")
    assert facts.version_id is None or len(content(path)["modelVersions"]) == 1
    assert facts.tags == tuple(content(path)["tags"])


@pytest.mark.parametrize("name", ["models_list_checkpoints_2023", "models_list_2026-08"])
def test_a_search_of_several_models_tells_nothing_and_each_of_them_much(data_dir: Path, name: str) -> None:
    path = data_dir / "civitai" / f"{name}.json"
    assert read("civitai_browser_plus", path) == SidecarFacts("civitai-browser-plus")
    for model in content(path)["items"]:
        facts = read_sidecar("civitai_browser_plus", json.dumps({"items": [model]}).encode())
        assert facts is not None
        assert (facts.model_id, facts.name, facts.tags) == (model["id"], model["name"], tuple(model["tags"]))
        assert facts.licence.commercial_use == tuple(model["allowCommercialUse"])


def test_the_only_version_of_a_model_is_the_files(data_dir: Path) -> None:
    model = content(data_dir / "civitai" / "models_list_2026-08.json")["items"][0]
    facts = read_sidecar("civitai_browser_plus", json.dumps(model).encode())
    assert facts is not None
    assert (facts.model_id, facts.version_id, facts.creator) == (2851602, 3220243, "Konan")
    assert [hashes["autov3"] for hashes in facts.hashes] == ["9f02751cc929"]
    assert facts.trigger_words == ("pocahontas, a native american woman",)
