"""Real answers of Civitai go through the mirror unharmed, and come back where only what they say was kept."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from registry.formats.civitai import model_of, version_of
from registry.wire import civitai_mirror as mirror
from tests.support.civitai_entries import entry, entry_of, shown_of

if TYPE_CHECKING:
    from pathlib import Path

    from registry.shown import Entry
    from registry.told import RemoteModel, RemoteVersion

pytestmark = pytest.mark.data

JSON = dict[str, Any]

VERSIONS = ("by_hash_1050496_2024-11", "model_version_1387174_flux_lora", "model_version_242807_2023-12",
            "model_version_2514310_2025-12_docs", "model_version_2514310_2026_docs")  # fmt: skip
MODELS = ("model_215485_2023-12", "models_list_2026-08", "models_list_checkpoints_2023")


def link(file: Entry) -> str:
    return f"https://here/file/{file.file_id}"


def read(data_dir: Path, name: str) -> JSON:
    content: JSON = json.loads((data_dir / "civitai" / f"{name}.json").read_text(encoding="utf-8"))
    answer: JSON = content.get("response", content)
    return answer


def models(data_dir: Path) -> list[JSON]:
    answers = [read(data_dir, name) for name in MODELS]
    return [model for answer in answers for model in answer.get("items", [answer])]


def linked(version: RemoteVersion) -> RemoteVersion:
    """The version with the link to its first file that it has here."""
    first, *others = version.files
    return replace(version, files=(replace(first, download_url="https://here/file/9"), *others))


def without_links(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: without_links(value) for name, value in answer.items() if name != "downloadUrl"}
    return [without_links(each) for each in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize("name", VERSIONS)
def test_a_version_is_sent_as_it_was_but_for_links(data_dir: Path, name: str) -> None:
    sent = read(data_dir, name)
    version = version_of(sent)
    assert version is not None
    kept = copy.deepcopy(sent)

    told = mirror.version([entry_of(version)], download_url=link, raw=sent)

    assert sent == kept
    assert json.dumps(without_links(told)) == json.dumps(without_links(sent))
    assert version_of(told) == linked(version)


@pytest.mark.parametrize("name", VERSIONS)
def test_a_version_of_which_only_the_facts_were_kept_comes_back(data_dir: Path, name: str) -> None:
    version = version_of(read(data_dir, name))
    assert version is not None

    found = version_of(mirror.version([entry_of(version)], download_url=link))

    assert found == replace(linked(version), availability=version.availability or "Public")


def test_models_are_sent_as_they_were_but_for_links(data_dir: Path) -> None:
    whole = [sent for sent in models(data_dir) if any(each["files"] for each in sent["modelVersions"])]
    assert len(whole) == 5
    for sent in whole:
        model = model_of(sent)
        assert model is not None
        told = mirror.model(present(model), download_url=link, raw=sent)
        assert json.dumps(without_links(told)) == json.dumps(without_links(sent))
        found = model_of(told)
        assert found is not None
        for version in found.versions:
            here, *there = (file.download_url for file in version.files)
            assert here == "https://here/file/9"
            assert all(str(url).startswith("https://civitai.com/api/download/models/") for url in there)


def test_a_version_that_civitai_has_no_files_of_has_ours(data_dir: Path) -> None:
    (sent,) = (sent for sent in models(data_dir) if sent["id"] == 2851700)
    model = model_of(sent)
    assert model is not None
    (version,) = model.versions
    ours = entry(shown_of(version, model), version=version, model=model)

    told: JSON = mirror.model([ours], download_url=link, raw=sent)

    (only,) = told["modelVersions"][0].pop("files")
    assert (only["id"], only["downloadUrl"]) == (-9, "https://here/file/9")
    assert told["modelVersions"][0].pop("downloadUrl") == "https://here/file/9"
    del sent["modelVersions"][0]["files"]
    assert told == sent


def present(model: RemoteModel) -> list[Entry]:
    """The first file of each version."""
    return [entry_of(version, model) for version in model.versions]
