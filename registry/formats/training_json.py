"""Training facts as plain JSON values, for people and programs that read `--json`."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.formats.datasets import Dataset, DatasetDir
    from registry.formats.training import Training


def training_json(training: Training) -> dict[str, object]:
    """Return a JSON-safe dict: scalars flat by their key without `ss_`, then the structured parts by name.

    Tuples become lists, numbers that are not finite become null.
    """
    buckets = training.buckets
    spec = training.modelspec
    facts: dict[str, object] = {
        **training.values,
        "network_args": training.network_args,
        "datasets": [_dataset(each) for each in training.datasets],
        "dataset_dirs": [_folder(each) for each in training.dataset_dirs],
        "reg_dataset_dirs": [_folder(each) for each in training.reg_dataset_dirs],
        "buckets": buckets
        and {
            "buckets": [asdict(each) for each in buckets.buckets],
            "mean_img_ar_error": buckets.mean_img_ar_error,
            "source": buckets.source,
        },
        "tags": [{"tag": each.tag, "count": each.count, "share": each.share} for each in training.tags],
        "modelspec": {
            each.name: getattr(spec, each.name)
            for each in fields(spec)
            if getattr(spec, each.name) not in (None, (), {}, False)
        },
        "addnet": training.addnet,
        "trainer": training.trainer,
        "trainer_evidence": training.trainer_evidence,
        "notes": [{"slug": note.slug, "text": note.text} for note in training.notes],
    }
    return {key: _safe(value) for key, value in facts.items()}


def _folder(folder: DatasetDir) -> dict[str, object]:
    return folder._asdict()


def _dataset(dataset: Dataset) -> dict[str, object]:
    return {
        **dataset.settings,
        "resolution": dataset.resolution,
        "subsets": [subset.settings for subset in dataset.subsets],
    }


def _safe(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_safe(item) for item in value]
    if isinstance(value, dict):
        return {key: _safe(item) for key, item in value.items()}
    return value
