"""Real answers of Civitai, of 2023 to 2026, are decoded in full."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from registry.formats.civitai import model_of, version_of

if TYPE_CHECKING:
    from pathlib import Path

    from registry.told import RemoteVersion

pytestmark = pytest.mark.data

JSON = dict[str, Any]

VERSIONS = {
    "by_hash_1050496_2024-11": 1050496,
    "model_version_1387174_flux_lora": 1387174,
    "model_version_242807_2023-12": 242807,
    "model_version_2514310_2025-12_docs": 2514310,
    "model_version_2514310_2026_docs": 2514310,
}
MODELS = {
    "model_215485_2023-12": [215485],
    "models_list_2026-08": [2851602, 2851700],
    "models_list_checkpoints_2023": [43331, 4468, 7371],
}
NEITHER = {"error_bodies", "novita_civitai_version_64094"}


@pytest.fixture(scope="module")
def answers(data_dir: Path) -> dict[str, Any]:
    found = {}
    for path in sorted((data_dir / "civitai").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        found[path.stem] = content.get("response", content) if isinstance(content, dict) else content
    return found


def models_in(answers: dict[str, Any], name: str) -> list[JSON]:
    answer = answers[name]
    items: list[JSON] = answer.get("items", [answer])
    return items


def milliseconds(written: str | None) -> int | None:
    """The time as Python reads it, in UTC where it has no zone."""
    if written is None:
        return None
    moment = datetime.fromisoformat(written.removesuffix("Z") + "+00:00")
    return round(moment.timestamp() * 1000)


def assert_same(found: RemoteVersion, sent: JSON, model: JSON) -> None:
    assert (found.id, found.name, found.base_model) == (sent["id"], sent["name"], sent["baseModel"])
    assert (found.model_name, found.model_type, found.nsfw) == (model["name"], model["type"], model["nsfw"])
    assert found.description == sent["description"]
    assert found.trained_words == tuple(sent["trainedWords"])
    assert found.stats == {name: count for name, count in sent["stats"].items() if count is not None}
    for time, member in (
        (found.created_at, "createdAt"),
        (found.updated_at, "updatedAt"),
        (found.published_at, "publishedAt"),
    ):
        assert time == milliseconds(sent.get(member))
    assert found.published_at is not None
    assert_same_files(found, sent)
    assert_same_images(found, sent)


def assert_same_files(found: RemoteVersion, sent: JSON) -> None:
    assert len(found.files) == len(sent["files"])
    for file, told in zip(found.files, sent["files"], strict=True):
        assert (file.id, file.name, file.type) == (told["id"], told["name"], told["type"])
        assert file.size == pytest.approx(told["sizeKB"] * 1024, abs=0.5)
        assert file.primary is told.get("primary", False)
        assert file.download_url == told["downloadUrl"]
        assert file.format == told["metadata"]["format"]
        assert len(file.hashes) == len(told["hashes"])
        for name, written in told["hashes"].items():
            kept = file.hashes[name.lower()]
            assert kept == written.lower()[: 12 if name == "AutoV3" else None]


def assert_same_images(found: RemoteVersion, sent: JSON) -> None:
    assert len(found.images) == len(sent["images"])
    for image, told in zip(found.images, sent["images"], strict=True):
        assert (image.url, image.blurhash) == (told["url"], told["hash"])
        assert (image.width, image.height) == (told["width"], told["height"])
        assert image.video == (told["type"] == "video")
        assert image.meta == (told.get("meta") or {})
        assert image.nsfw_level is not None


def test_every_answer_is_of_a_known_kind(answers: dict[str, Any]) -> None:
    assert set(answers) == {*VERSIONS, *MODELS, *NEITHER}


@pytest.mark.parametrize("name", VERSIONS)
def test_every_version_by_itself_is_decoded(answers: dict[str, Any], name: str) -> None:
    sent = answers[name]
    found = version_of(sent)

    assert found is not None
    assert (found.id, found.model_id) == (VERSIONS[name], sent["modelId"])
    assert_same(found, sent, sent["model"])
    assert None not in (found.created_at, found.updated_at)
    assert model_of(sent) is None


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_decoded_with_its_versions(answers: dict[str, Any], name: str) -> None:
    items = models_in(answers, name)
    assert [item["id"] for item in items] == MODELS[name]
    for item in items:
        found = model_of(item)
        assert found is not None
        assert (found.id, found.name, found.type) == (item["id"], item["name"], item["type"])
        assert (found.description, found.creator) == (item["description"], item["creator"]["username"])
        assert (found.tags, found.nsfw, found.nsfw_level) == (
            tuple(item["tags"]),
            item["nsfw"],
            item.get("nsfwLevel"),
        )
        assert found.stats == {key: count for key, count in item["stats"].items() if count is not None}
        assert found.licence.commercial_use == tuple(item["allowCommercialUse"])
        assert found.licence.no_credit is item["allowNoCredit"]
        assert found.licence.derivatives is item["allowDerivatives"]
        assert found.licence.different_licence is item["allowDifferentLicense"]
        assert len(found.versions) == len(item["modelVersions"])
        for version, sent in zip(found.versions, item["modelVersions"], strict=True):
            assert version.model_id == item["id"]
            assert_same(version, sent, item)
        assert version_of(item) is None


def test_error_bodies_are_neither(answers: dict[str, Any]) -> None:
    for entry in answers["error_bodies"]:
        body = entry.get("body", entry.get("body_text"))
        assert (version_of(body), model_of(body)) == (None, None)


def test_an_answer_of_another_service_is_neither(answers: dict[str, Any]) -> None:
    answer = answers["novita_civitai_version_64094"]

    assert (version_of(answer), model_of(answer)) == (None, None)


def test_the_same_version_is_the_same_by_itself_and_in_its_model(answers: dict[str, Any]) -> None:
    model = model_of(answers["model_215485_2023-12"])

    assert model is not None
    (within,) = (version for version in model.versions if version.id == 242807)
    assert within == version_of(answers["model_version_242807_2023-12"])


def test_autov3_of_64_digits_is_cut_to_12(answers: dict[str, Any]) -> None:
    found = version_of(answers["model_version_242807_2023-12"])

    assert found is not None
    assert found.files[0].hashes["autov3"] == "813ea5fb1c67"
    assert Counter(len(digits) for digits in found.files[0].hashes.values()) == {64: 2, 8: 2, 10: 1, 12: 1}


def test_old_levels_of_images_are_bits(answers: dict[str, Any]) -> None:
    found = version_of(answers["model_version_242807_2023-12"])

    assert found is not None
    assert {image.nsfw_level for image in found.images} == {1}


def test_a_fresh_model_has_neither_counters_nor_files(answers: dict[str, Any]) -> None:
    found = model_of(models_in(answers, "models_list_2026-08")[1])

    assert found is not None
    assert (found.stats, found.versions[0].stats, found.versions[0].files) == ({}, {}, ())
    assert found.licence.commercial_use == ()
