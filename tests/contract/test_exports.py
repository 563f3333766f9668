"""Sidecars of real libraries, and real answers of Civitai, written into again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.formats.civitai import model_of, version_of
from registry.formats.values import json_value
from registry.shown import Source
from registry.wire.exports import TABLE, Planned, plan
from tests.support.exporting import outgoing, read_from, shown

if TYPE_CHECKING:
    from pathlib import Path

    from registry.outgoing import Outgoing
    from registry.told import SidecarFacts

pytestmark = pytest.mark.data

SIDECARS = [
    ("a1111", "a1111_user_flux.json"),
    ("lora-manager", "lora_manager_civitai.metadata.json"),
    ("lora-manager", "lora_manager_no_trigger.metadata.json"),
]
VERSIONS = [
    "by_hash_1050496_2024-11",
    "model_version_1387174_flux_lora",
    "model_version_242807_2023-12",
    "model_version_2514310_2025-12_docs",
    "model_version_2514310_2026_docs",
]


def content(path: Path) -> Any:
    sample = json.loads(path.read_text("utf-8"))
    return sample.get("content", sample.get("response", sample))


def facts(tool: str, data: bytes) -> SidecarFacts:
    found = TABLE[tool].read(json_value(data.decode()))
    assert found is not None
    return found


def answered(data_dir: Path, name: str, **typed: Any) -> Outgoing:
    """A file that Civitai gave this answer for."""
    raw = content(data_dir / "civitai" / f"{name}.json")
    version = version_of(raw)
    assert version is not None
    sha256 = next(file.hashes["sha256"] for file in version.files if "sha256" in file.hashes)
    told = {
        "model_name": version.model_name,
        "version_name": version.name,
        "model_id": version.model_id,
        "version_id": version.id,
        "model_type": version.model_type,
        "base_model": version.base_model,
        "triggers": tuple((word,) for word in version.trained_words),
        "images": version.images,
    }
    by_civitai = shown(Source("civitai"), **told)
    both = by_civitai.__class__(
        "x",
        **{key: getattr(by_civitai, key) for key in told if key not in typed},
        **typed,
        sources={**by_civitai.sources, **dict.fromkeys(typed, Source("user"))},
    )
    return outgoing(both, version_raw=raw, version=version, hashes={"sha256": sha256})


@pytest.mark.parametrize(("tool", "name"), SIDECARS)
@pytest.mark.parametrize("indent", [None, 1, 4])
def test_what_a_sidecar_says_itself_changes_nothing_of_it(
    data_dir: Path, tool: str, name: str, indent: int | None
) -> None:
    data = json.dumps(content(data_dir / "sidecars" / name), indent=indent).encode()
    assert plan(tool, data, read_from(facts(tool, data))) == Planned()


@pytest.mark.parametrize(("tool", "name"), SIDECARS)
def test_what_was_read_and_is_written_again_elsewhere_is_read_the_same(
    data_dir: Path, tool: str, name: str
) -> None:
    before = facts(tool, json.dumps(content(data_dir / "sidecars" / name)).encode())
    out = read_from(before)
    data = plan(tool, None, out).data
    assert data is not None
    assert facts(tool, data).user == before.user
    assert (facts(tool, data).trigger_words, facts(tool, data).tags) == (before.trigger_words, before.tags)
    assert plan(tool, data, read_from(facts(tool, data))) == Planned()


@pytest.mark.parametrize(("tool", "name"), SIDECARS)
def test_a_note_of_the_user_changes_the_note_only(data_dir: Path, tool: str, name: str) -> None:
    there = content(data_dir / "sidecars" / name)
    data = json.dumps(there, indent=2, ensure_ascii=False).encode()
    changed = plan(tool, data, outgoing(shown(notes="mine"), hashes={}))
    assert changed.changed == ("notes",)
    before = f'"notes": {json.dumps(there["notes"])}'
    assert changed.data == data.decode().replace(before, '"notes": "mine"').encode()


@pytest.mark.parametrize("tool", sorted(TABLE))
def test_the_entry_of_a_private_manager_is_left_alone(data_dir: Path, tool: str) -> None:
    data = json.dumps(content(data_dir / "sidecars" / "lora_manager_recipe_cache_entry.json")).encode()
    planned = plan(tool, data, outgoing(shown(notes="mine")))
    assert (planned.data, planned.problem) == (None, f"it is no file of {tool}: left alone")


@pytest.mark.parametrize("name", VERSIONS)
def test_an_answer_is_kept_verbatim_for_civitai_helper(data_dir: Path, name: str) -> None:
    out = answered(data_dir, name)
    data = plan("civitai-helper", None, out).data
    assert data is not None
    assert data == json.dumps(out.version_raw, indent=4).encode()
    assert plan("civitai-helper", data, out) == Planned()


@pytest.mark.parametrize("tool", sorted(TABLE))
@pytest.mark.parametrize("name", VERSIONS)
def test_answers_of_every_generation_are_written_once_and_read_back(
    data_dir: Path, tool: str, name: str
) -> None:
    out = answered(data_dir, name, notes="mine", weight=0.7)
    data = plan(tool, None, out).data
    assert data is not None
    assert plan(tool, data, out) == Planned()
    found = facts(tool, data)
    if tool in {"civitai-helper", "lora-manager", "stability-matrix", "rgthree"}:
        assert (found.model_id, found.version_id) == (out.shown.model_id, out.shown.version_id)
        assert found.base_model == out.shown.base_model
    if tool in {"a1111", "lora-manager", "swarmui", "rgthree"}:
        assert found.user.notes == "mine"
    if tool in {"civitai-helper", "lora-manager", "rgthree"}:
        assert [image.url for image in found.images] == [image.url for image in out.shown.images]


@pytest.mark.parametrize("name", VERSIONS)
@pytest.mark.parametrize("other", VERSIONS)
def test_the_answer_for_one_file_goes_into_no_sidecar_of_another(
    data_dir: Path, name: str, other: str
) -> None:
    if name == other or {name, other} <= {each for each in VERSIONS if "2514310" in each}:
        return
    there = plan("civitai-helper", None, answered(data_dir, other)).data
    assert plan("civitai-helper", there, answered(data_dir, name)) == Planned()
    chosen = answered(data_dir, name, version_id=answered(data_dir, name).shown.version_id)
    replaced = plan("civitai-helper", there, chosen).data
    assert replaced is not None
    assert facts("civitai-helper", replaced).version_id == chosen.shown.version_id


def test_a_whole_model_in_the_shared_file_stays_and_gets_the_users_words(data_dir: Path) -> None:
    there = content(data_dir / "civitai" / "model_215485_2023-12.json")
    assert model_of(there) is not None
    data = json.dumps(there, indent=1).encode()
    planned = plan("a1111", data, outgoing(shown(notes="mine", description="mine"), hashes={}))
    assert planned.data is not None
    assert planned.changed == ("notes",)
    assert json.loads(planned.data) == {**there, "notes": "mine"}
    assert planned.data.startswith(data.removesuffix(b"\n}"))
