"""Identification of real state dicts: the answer is the label, or one the names alone cannot tell from it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.identify import Identification, TensorInfo, identify
from registry.identify.claims import architecture_of
from registry.identify.names import ADAPTERS, ARCHITECTURES, KINDS, LAYOUTS, TARGETS
from registry.identify.reading import read_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.data

Case = tuple[str, dict[str, Any], dict[str, TensorInfo], dict[str, str], bool | None]


def load(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    document: dict[str, Any] = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    return document


def infos(tensors: dict[str, Any]) -> dict[str, TensorInfo]:
    found = {}
    for name, entry in tensors.items():
        shape = (entry or {}).get("shape")
        found[name] = TensorInfo((entry or {}).get("dtype"), None if shape is None else tuple(shape))
    return found


def cases(folder: Path) -> Iterator[Case]:
    for path in sorted(folder.glob("state_dicts/*.json*")):
        document = load(path)
        if "tensors" in document:
            metadata = document.get("metadata") or {}
            yield (
                document["id"],
                document["expected"],
                infos(document["tensors"]),
                metadata,
                document["is_lora"],
            )
        for number, case in enumerate(document.get("cases", ())):
            yield f"{document['id']}-{number}", case["expected"], infos(case["tensors"]), {}, None


def fits(found: Identification, expected: dict[str, Any]) -> bool:
    label = expected["architecture"]
    confusable = expected.get("ambiguous_with", [])
    return (
        label == "unlabelled"
        or found.architecture in (label, *confusable)
        or (found.architecture == "ambiguous" and label in found.ambiguous_with and bool(confusable))
    )


def test_every_labelled_state_dict_gets_its_label(data_dir: Path) -> None:
    wrong = []
    seen = 0
    for name, expected, tensors, metadata, _ in cases(data_dir):
        seen += 1
        found = identify(tensors, metadata)
        if not fits(found, expected) or found.adapter != expected["adapter"]:
            wrong.append((name, expected["architecture"], expected["adapter"], found))
        if "rank" in expected and found.rank != expected["rank"]:
            wrong.append((name, "rank", expected["rank"], found))
    assert wrong == []
    assert seen >= 60


def test_kinds_follow_from_what_is_a_lora(data_dir: Path) -> None:
    for name, expected, tensors, metadata, is_lora in cases(data_dir):
        kind = identify(tensors, metadata).kind
        if is_lora is None:
            continue
        if is_lora:
            assert kind == ("other" if expected["architecture"] == "none" else "lora"), name
        elif expected["adapter"] == "textual_inversion":
            assert kind == "embedding", name
        elif expected["architecture"] != "none":
            assert kind == "checkpoint", name
        else:
            assert kind in ("other", "vae", "controlnet"), name


def test_answers_use_the_names_of_the_tables_and_do_not_change(data_dir: Path) -> None:
    for name, _, tensors, metadata, _ in cases(data_dir):
        found = identify(tensors, metadata)
        turned = identify(dict(reversed(tensors.items())), metadata)
        assert (turned.kind, turned.architecture, turned.adapter, turned.rank, turned.key_layout) == (
            found.kind,
            found.architecture,
            found.adapter,
            found.rank,
            found.key_layout,
        ), name
        assert found == identify(tensors, metadata), name
        assert found.architecture in ARCHITECTURES, name
        assert found.adapter in ADAPTERS, name
        assert found.kind in KINDS, name
        assert found.key_layout is None or found.key_layout in LAYOUTS, name
        assert set(found.targets) <= set(TARGETS), name
        assert found.evidence, name


def test_the_key_grammar_reads_every_name_of_a_mixed_corpus(data_dir: Path) -> None:
    for key in load(data_dir / "state_dicts" / "keys_corpus_sd_sdxl.json.gz")["keys"]:
        slot = read_name(key).slot
        assert slot.suffix.family in ("lora", "lokr", "loha", "oft", "scale", "diff", "norm", "magnitude"), (
            key
        )
        assert slot.architectures or slot.form == "clip", key


def test_what_onetrainer_writes_names_the_base_model(data_dir: Path) -> None:
    truth = {
        "anima-lora.json": "anima",
        "ernie-lora.json": "ernie_image",
        "flux_dev_1.0-lora.json": "flux1",
        "hi_dream_full-lora.json": "hidream",
        "ideogram_4-lora.json": "ideogram4",
        "pixart_alpha_1.0-lora.json": "pixart",
        "qwen-lora.json": "qwen_image",
        "sd_1.5-lora.json": "sd15",
        "sd_2.0-lora.json": "sd2",
        "sd_2.0_inpainting-lora.json": "sd2",
        "sd_3.5_1.0-lora.json": "sd3",
        "sd_xl_base_1.0-lora.json": "sdxl",
        "stable_cascade_1.0-lora.json": "cascade",
        "z_image-lora.json": "z_image",
    }
    entries = load(data_dir / "metadata" / "modelspec_onetrainer.json")["entries"]
    read = {entry["file"]: architecture_of(entry["metadata"]["modelspec.architecture"]) for entry in entries}
    assert read == truth


def test_declared_and_curated_base_models_agree(data_dir: Path) -> None:
    for entry in load(data_dir / "metadata" / "hf_base_model_ground_truth.json")["entries"]:
        curated = architecture_of(entry["correct_base_model"])
        assert curated is not None, entry
        declared = entry["yaml_base_model_raw"]
        assert declared is None or architecture_of(declared) == curated, entry
