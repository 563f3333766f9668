"""Datasets and image folders of a training run (kohya-ss/sd-scripts and kohya-ss/musubi-tuner)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.formats.buckets import BucketInfo, read_buckets
from registry.formats.values import as_int, as_size, is_shallow
from registry.views import Note

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DATASETS: Final = 1000
MAX_FOLDERS: Final = 10_000
MAX_SETTING_DEPTH: Final = 4
_PATH: Final = re.compile(r"[/\\]+")
_FOLDER_KEYS: Final = (
    "image_dir",
    "image_directory",
    "video_directory",
    "image_jsonl_file",
    "video_jsonl_file",
    "metadata_file",
)
_NESTED: Final = frozenset({"tag_frequency", "bucket_info", "subsets"})


class DatasetDir(NamedTuple):
    """One image folder: how often each image is repeated in an epoch, and how many there are."""

    name: str
    n_repeats: int | None
    img_count: int | None


@dataclass(frozen=True, slots=True)
class Subset:
    """A folder within a dataset; `settings` holds its remaining values as written."""

    folder: str | None
    img_count: int | None
    num_repeats: int | None
    is_reg: bool
    class_tokens: str | None
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dataset:
    """One entry of `ss_datasets`; `folder` is musubi's, `subsets` are sd-scripts'."""

    resolution: tuple[int, int] | None
    batch_size: int | None
    num_train_images: int | None
    num_reg_images: int | None
    num_repeats: int | None
    folder: str | None
    is_video: bool
    subsets: tuple[Subset, ...]
    buckets: BucketInfo | None
    tag_frequency: Mapping[str, object] | None
    settings: Mapping[str, object] = field(default_factory=dict)


def read_datasets(listed: object, notes: list[Note]) -> tuple[Dataset, ...]:
    """Read the decoded `ss_datasets`; what is odd is added to `notes`."""
    if isinstance(listed, dict):
        listed = [listed]
    if not isinstance(listed, list):
        notes.append(Note("odd-value", "ss_datasets is not a list."))
        return ()
    if len(listed) > MAX_DATASETS:
        notes.append(Note("shortened", f"Only {MAX_DATASETS} of {len(listed)} datasets are kept."))
    found = tuple(_dataset(entry, notes) for entry in listed[:MAX_DATASETS] if isinstance(entry, dict))
    if len(found) < min(len(listed), MAX_DATASETS):
        notes.append(Note("odd-value", "ss_datasets holds entries that are not objects."))
    return found


def read_dirs(listed: Mapping[str, object], source: str, notes: list[Note]) -> tuple[DatasetDir, ...]:
    """Read the decoded `ss_dataset_dirs` or `ss_reg_dataset_dirs`; what is odd is added to `notes`."""
    if len(listed) > MAX_FOLDERS:
        notes.append(Note("shortened", f"Only {MAX_FOLDERS} of {len(listed)} folders of {source} are kept."))
    folders = []
    for name, value in list(listed.items())[:MAX_FOLDERS]:
        facts = value if isinstance(value, dict) else {}
        folder = DatasetDir(name, as_int(facts.get("n_repeats")), as_int(facts.get("img_count")))
        if folder.n_repeats is None or folder.img_count is None:
            notes.append(Note("odd-value", f"A folder of {source} has no n_repeats and img_count."))
        folders.append(folder)
    return tuple(folders)


def folder_name(path: str) -> str:
    """Return the last part of a path written on any system."""
    parts = [part for part in _PATH.split(path) if part]
    return parts[-1] if parts else path


def _dataset(entry: Mapping[str, object], notes: list[Note]) -> Dataset:
    buckets = None
    info = entry.get("bucket_info")
    if isinstance(info, dict):
        buckets, found = read_buckets(info, "ss_datasets")
        notes.extend(found)
    subsets = entry.get("subsets")
    tags = entry.get("tag_frequency")
    return Dataset(
        resolution=as_size(entry.get("resolution")),
        batch_size=as_int(entry.get("batch_size_per_device")),
        num_train_images=as_int(entry.get("num_train_images")),
        num_reg_images=as_int(entry.get("num_reg_images")),
        num_repeats=as_int(entry.get("num_repeats")),
        folder=_folder(entry),
        is_video="video_directory" in entry or "video_jsonl_file" in entry,
        subsets=tuple(
            _subset(subset)
            for subset in (subsets if isinstance(subsets, list) else [])[:MAX_FOLDERS]
            if isinstance(subset, dict)
        ),
        buckets=buckets,
        tag_frequency=tags if isinstance(tags, dict) else None,
        settings=_settings(entry),
    )


def _subset(entry: Mapping[str, object]) -> Subset:
    tokens = entry.get("class_tokens")
    return Subset(
        folder=_folder(entry),
        img_count=as_int(entry.get("img_count")),
        num_repeats=as_int(entry.get("num_repeats")),
        is_reg=entry.get("is_reg") is True,
        class_tokens=tokens if isinstance(tokens, str) else None,
        settings=_settings(entry),
    )


def _settings(entry: Mapping[str, object]) -> Mapping[str, object]:
    return {
        key: value
        for key, value in entry.items()
        if key not in _NESTED and is_shallow(value, MAX_SETTING_DEPTH)
    }


def _folder(entry: Mapping[str, object]) -> str | None:
    for key in _FOLDER_KEYS:
        value = entry.get(key)
        if isinstance(value, str) and value:
            return folder_name(value)
    return None
