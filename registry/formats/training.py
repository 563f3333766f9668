"""How a file was trained, read from its metadata: every trainer's keys as typed values, odd ones as notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from registry.formats.buckets import BucketInfo, read_buckets, sum_buckets
from registry.formats.columns import Columns
from registry.formats.datasets import Dataset, DatasetDir, read_datasets, read_dirs
from registry.formats.foreign import fill_from_other_trainers
from registry.formats.kohya import read_scalars
from registry.formats.modelspec import ModelSpec, read_modelspec
from registry.formats.tags import count_tags
from registry.formats.trainers import detect_trainer
from registry.formats.training_json import training_json
from registry.formats.values import OddValueError, json_object, json_value, quoted
from registry.views import Note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.views import TagCount

__all__ = ["Dataset", "DatasetDir", "Training", "read_training", "training_json"]

MAX_NOTES: Final = 50
_COVERS: Final = "ssmd_cover_images"


@dataclass(frozen=True, slots=True)
class Training(Columns):
    """Everything a header says about training; raw strings stay in `Header.metadata`.

    `values` holds the scalars by their key without `ss_`: a key that says "None" is there with `None`, one
    with an odd value is left out and noted. `tags` cover all folders, whose names are `tag_folders`. `addnet`
    holds the `ssmd_` keys; of `ssmd_cover_images` only how many there are.
    """

    trainer: str | None = None
    trainer_evidence: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)
    network_args: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[Dataset, ...] = ()
    dataset_dirs: tuple[DatasetDir, ...] = ()
    reg_dataset_dirs: tuple[DatasetDir, ...] = ()
    buckets: BucketInfo | None = None
    tags: tuple[TagCount, ...] = ()
    tag_folders: tuple[str, ...] = ()
    modelspec: ModelSpec = field(default_factory=ModelSpec)
    addnet: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


def read_training(metadata: Mapping[str, str]) -> Training:
    """Read what any known trainer wrote about a run; never raises, whatever the strings hold."""
    notes: list[Note] = []
    trainer, evidence = detect_trainer(metadata)
    values = read_scalars(metadata, notes)
    fill_from_other_trainers(metadata, values, notes)
    datasets: tuple[Dataset, ...] = ()
    if "ss_datasets" in metadata:
        try:
            datasets = read_datasets(json_value(metadata["ss_datasets"]) or [], notes)
        except OddValueError as error:
            notes.append(Note("odd-value", f"ss_datasets is {error}."))
    dirs = read_dirs(_object(metadata, "ss_dataset_dirs", notes), "ss_dataset_dirs", notes)
    reg_dirs = read_dirs(_object(metadata, "ss_reg_dataset_dirs", notes), "ss_reg_dataset_dirs", notes)
    frequency = _tag_frequency(metadata, datasets, notes)
    tags = count_tags(frequency, _images_by_folder(dirs, reg_dirs, datasets), notes)
    return Training(
        trainer=trainer,
        trainer_evidence=evidence,
        values=values,
        network_args=_network_args(metadata, notes),
        datasets=datasets,
        dataset_dirs=dirs,
        reg_dataset_dirs=reg_dirs,
        buckets=_buckets(metadata, datasets, notes),
        tags=tags,
        tag_folders=tuple(name for name, listed in frequency.items() if isinstance(listed, dict)),
        modelspec=read_modelspec(metadata, notes),
        addnet=_addnet(metadata, notes),
        notes=tuple(dict.fromkeys(notes))[:MAX_NOTES],
    )


def _object(metadata: Mapping[str, str], key: str, notes: list[Note]) -> Mapping[str, object]:
    written = metadata.get(key)
    if written is None or written == "{}":
        return {}
    try:
        return json_object(written) or {}
    except OddValueError as error:
        notes.append(Note("odd-value", f"{key} is {error}."))
        return {}


def _network_args(metadata: Mapping[str, str], notes: list[Note]) -> Mapping[str, str]:
    found = _object(metadata, "ss_network_args", notes)
    arguments = {}
    for key, value in found.items():
        if isinstance(value, dict | list):
            notes.append(Note("odd-value", f"The argument {quoted(key)} of ss_network_args is not a text."))
        else:
            arguments[key] = value if isinstance(value, str) else str(value)
    return arguments


def _buckets(
    metadata: Mapping[str, str], datasets: tuple[Dataset, ...], notes: list[Note]
) -> BucketInfo | None:
    buckets = None
    info = _object(metadata, "ss_bucket_info", notes)
    if info:
        buckets, found = read_buckets(info, "ss_bucket_info")
        notes.extend(found)
        if buckets is not None and buckets.buckets:
            return buckets
    each = [dataset.buckets for dataset in datasets if dataset.buckets is not None]
    folders = [{subset.folder for subset in dataset.subsets} for dataset in datasets if dataset.buckets]
    if sum(map(len, folders)) > len(set().union(*folders)):
        notes.append(
            Note("shared-folder", "A folder is used by several datasets; bucket counts add up over them.")
        )
    return sum_buckets(each, "ss_datasets") or buckets


def _tag_frequency(
    metadata: Mapping[str, str], datasets: tuple[Dataset, ...], notes: list[Note]
) -> Mapping[str, object]:
    """Return folder -> tag -> count; a folder that several datasets use is counted once, as kohya does."""
    found = _object(metadata, "ss_tag_frequency", notes)
    if found:
        return found
    merged: dict[str, object] = {}
    for dataset in datasets:
        for folder, tags in (dataset.tag_frequency or {}).items():
            merged.setdefault(folder, tags)
    return merged


def _images_by_folder(
    dirs: tuple[DatasetDir, ...], reg_dirs: tuple[DatasetDir, ...], datasets: tuple[Dataset, ...]
) -> dict[str, int]:
    images: dict[str, int] = {}
    for folder in (*dirs, *reg_dirs):
        if folder.img_count is not None:
            images.setdefault(folder.name, folder.img_count)
    for subset in (subset for dataset in datasets for subset in dataset.subsets):
        if subset.folder is not None and subset.img_count is not None:
            images.setdefault(subset.folder, subset.img_count)
    return images


def _addnet(metadata: Mapping[str, str], notes: list[Note]) -> Mapping[str, str]:
    found = {key: value for key, value in metadata.items() if key.startswith("ssmd_") and key != _COVERS}
    if _COVERS in metadata:
        try:
            covers = json_value(metadata[_COVERS] or "[]")
        except OddValueError:
            notes.append(Note("odd-value", f"{_COVERS} is not JSON."))
            covers = None
        found[_COVERS] = str(len(covers)) if isinstance(covers, list) else "0"
    return found
