"""Metadata of real files, as dumped by other people, are read in full and without a note."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from registry.formats.buckets import Bucket
from registry.formats.kohya import SCALARS
from registry.formats.tags import count_tags
from registry.formats.training import read_training, training_json
from registry.formats.triggers import trigger_words
from registry.views import TriggerWord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.data

TRAINERS = {
    "chroma_labelled_flux1": "kohya",
    "civitai_headerdata_pepper_carrot": "kohya",
    "cloneofsimo_disney": "cloneofsimo",
    "leighwoods_flux_aitoolkit": "ai-toolkit",
    "lora_inspector_boo": "kohya",
    "lycoris_smart_falcon_8": "kohya",
    "traintrain_lighthouse": "traintrain",
    "zimage_lokr_aitoolkit": "ai-toolkit",
}


def as_written(metadata: Mapping[str, object]) -> dict[str, str]:
    """Return metadata as in a header, where a dump holds values that were decoded."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}


@pytest.fixture(scope="module")
def dumps(data_dir: Path) -> dict[str, dict[str, str]]:
    found = {}
    for path in sorted((data_dir / "metadata").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if "metadata" in content:
            found[path.stem] = as_written(content["metadata"])
    return found


@pytest.fixture(scope="module")
def a1111_answer(data_dir: Path) -> list[dict[str, str]]:
    seeds = sorted((data_dir.parent / "seeds").glob("000_*.txt"))
    if not seeds:
        pytest.skip("the recorded A1111 answer is absent")
    block = re.search(r"```json\n(.*?)```", seeds[0].read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return [as_written(entry["metadata"]) for entry in json.loads(block[1])]


def test_the_trainer_of_every_dump_is_known(dumps: dict[str, dict[str, str]]) -> None:
    assert {name: read_training(metadata).trainer for name, metadata in dumps.items()} == TRAINERS


def test_every_known_key_of_every_dump_is_typed(
    dumps: dict[str, dict[str, str]], a1111_answer: list[dict[str, str]]
) -> None:
    for metadata in (*dumps.values(), *a1111_answer):
        found = read_training(metadata)
        assert found.notes == ()
        assert {SCALARS[key][0] for key in metadata if key in SCALARS} <= set(found.values)
        json.dumps(training_json(found), allow_nan=False)


def test_model_specifications_of_onetrainer_are_read(data_dir: Path) -> None:
    entries = json.loads((data_dir / "metadata" / "modelspec_onetrainer.json").read_text(encoding="utf-8"))[
        "entries"
    ]
    for entry in entries:
        metadata = as_written(entry["metadata"])
        found = read_training(metadata)
        assert found.modelspec.architecture == metadata["modelspec.architecture"]
        assert found.modelspec.title == metadata["modelspec.title"]
        assert found.notes == ()


def test_tag_totals_equal_those_other_tools_assert(data_dir: Path) -> None:
    entries = json.loads((data_dir / "metadata" / "hash_and_value_facts.json").read_text(encoding="utf-8"))[
        "entries"
    ]
    asserted = next(entry for entry in entries if "expected_totals" in entry)

    found = count_tags(json.loads(asserted["ss_tag_frequency"]), {}, [])

    assert [[each.tag, each.count] for each in found] == asserted["expected_totals"]


def test_the_first_recorded_entry_is_read_in_full(a1111_answer: list[dict[str, str]]) -> None:
    found = read_training(a1111_answer[0])

    assert (found.resolution, found.network_dim, found.network_alpha) == ((768, 768), 128, 16.0)
    assert (found.optimizer, found.learning_rate, found.text_encoder_lr) == ("AdamW8bit", 0.0001, 5e-05)
    assert (found.epoch, found.num_epochs, found.steps, found.repeats) == (12, 12, 6480, 48)
    assert (found.clip_skip, found.batch_size, found.seed) == (None, 4, 1397213995)
    assert found.buckets is not None
    assert found.buckets.commonest() == Bucket(5, 896, 512, 1584)
    assert [(each.tag, each.count, each.share) for each in found.tags] == [
        ("interior02 architecture", 45, 1.0)
    ]
    assert trigger_words(a1111_answer[0], found).folders == (
        TriggerWord("interior02 architecture", "ss_dataset_dirs: 48_interior02 architecture"),
    )


def test_the_second_recorded_entry_keeps_odd_spellings(a1111_answer: list[dict[str, str]]) -> None:
    found = read_training(a1111_answer[1])

    assert (found.resolution, found.clip_skip, found.optimizer) == ((768, 512), 1, "Lion")
    assert "dumbbell\uff0ccylinder" in {each.tag for each in found.tags}
    assert found.tags[0].tag == "pillow"
    assert found.tags[0].share == pytest.approx(48 / 69)
    assert trigger_words(a1111_answer[1], found).folders == (
        TriggerWord("yoga10", "ss_dataset_dirs: 10_yoga10"),
    )


def test_datasets_fill_in_where_the_top_level_is_silent(dumps: dict[str, dict[str, str]]) -> None:
    found = read_training(dumps["civitai_headerdata_pepper_carrot"])

    assert found.resolution == (1024, 1024)
    assert found.batch_size == 5
    assert found.buckets is not None
    assert found.buckets.source == "ss_datasets"
    assert found.optimizer == "Prodigy"
