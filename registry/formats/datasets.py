"""Datasets and image folders of a training run (kohya-ss/sd-scripts and kohya-ss/musubi-tuner)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from registry.formats.buckets import BucketInfo, read_buckets
from registry.formats.values import as_int, as_size, is_shallow
from registry.views import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Value = TypeVar("Value")

MAX_DATASETS: Final = 1000
MAX_FOLDERS: Final = 10_000
MAX_SETTING_DEPTH: Final = 4
_PATH: Final = re.compile(r"[/\\]+")
FILE_LISTS: Final = ("image_jsonl_file", "video_jsonl_file", "metadata_file")
_FOLDER_KEYS: Final = ("image_dir", "image_directory", "video_directory", *FILE_LISTS)
_EXPECTED: Final[Mapping[str, str]] = {
    "resolution": "a width and a height",
    "batch_size_per_device": "a whole number",
    "num_train_images": "a whole number",
    "num_reg_images": "a whole number",
    "num_repeats": "a whole number",
    "img_count": "a whole number",
    "is_reg": "true or false",
    "class_tokens": "a text",
    **dict.fromkeys(_FOLDER_KEYS, "a path"),
    "subsets": "a list of objects",
    "bucket_info": "an object",
    "tag_frequency": "an object",
}
"""What the keys of a dataset and its subsets hold, where they are there and not null."""

_NESTED: Final = frozenset({"tag_frequency", "bucket_info", "subsets"})


class DatasetDir(NamedTuple):
    """One image folder: how often each image is repeated in an epoch, and how many there are."""

    name: str
    n_repeats: int | None
    img_count: int | None


@dataclass(frozen=True, slots=True)
class Subset:
    """A folder within a dataset; `settings` holds its remaining values as written.

    Where `settings` name one of `FILE_LISTS`, `folder` may be the name of that file.
    """

    folder: str | None
    img_count: int | None
    num_repeats: int | None
    is_reg: bool
    class_tokens: str | None
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dataset:
    """One entry of `ss_datasets`; `folder` is musubi's, `subsets` are sd-scripts'.

    Where `settings` name one of `FILE_LISTS`, `folder` may be the name of that file.
    """

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
    odd: set[str] = set()
    found = tuple(_dataset(entry, notes, odd) for entry in listed[:MAX_DATASETS] if isinstance(entry, dict))
    if len(found) < min(len(listed), MAX_DATASETS):
        notes.append(Note("odd-value", "ss_datasets holds entries that are not objects."))
    notes.extend(
        Note("odd-value", f"{key} of ss_datasets is not {what}.")
        for key, what in _EXPECTED.items()
        if key in odd
    )
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


def _dataset(entry: Mapping[str, object], notes: list[Note], odd: set[str]) -> Dataset:
    buckets = None
    info = _read(entry, "bucket_info", _as_map, odd)
    if info is not None:
        buckets, found = read_buckets(info, "ss_datasets")
        notes.extend(found)
    return Dataset(
        resolution=_read(entry, "resolution", as_size, odd),
        batch_size=_read(entry, "batch_size_per_device", as_int, odd),
        num_train_images=_read(entry, "num_train_images", as_int, odd),
        num_reg_images=_read(entry, "num_reg_images", as_int, odd),
        num_repeats=_read(entry, "num_repeats", as_int, odd),
        folder=_folder(entry, odd),
        is_video="video_directory" in entry or "video_jsonl_file" in entry,
        subsets=_subsets(entry, notes, odd),
        buckets=buckets,
        tag_frequency=_read(entry, "tag_frequency", _as_map, odd),
        settings=_settings(entry),
    )


def _subsets(entry: Mapping[str, object], notes: list[Note], odd: set[str]) -> tuple[Subset, ...]:
    listed = _read(entry, "subsets", _as_list, odd) or []
    if len(listed) > MAX_FOLDERS:
        notes.append(Note("shortened", f"Only {MAX_FOLDERS} of {len(listed)} subsets of a dataset are kept."))
    found = tuple(_subset(each, odd) for each in listed[:MAX_FOLDERS] if isinstance(each, dict))
    if len(found) < min(len(listed), MAX_FOLDERS):
        odd.add("subsets")
    return found


def _subset(entry: Mapping[str, object], odd: set[str]) -> Subset:
    return Subset(
        folder=_folder(entry, odd),
        img_count=_read(entry, "img_count", as_int, odd),
        num_repeats=_read(entry, "num_repeats", as_int, odd),
        is_reg=_read(entry, "is_reg", _as_bool, odd) is True,
        class_tokens=_read(entry, "class_tokens", _as_text, odd),
        settings=_settings(entry),
    )


def _read(
    entry: Mapping[str, object], key: str, as_what: Callable[[object], Value | None], odd: set[str]
) -> Value | None:
    """Read one value; the key of one that is there but cannot be read is added to `odd`."""
    value = entry.get(key)
    if value is None:
        return None
    found = as_what(value)
    if found is None:
        odd.add(key)
    return found


def _folder(entry: Mapping[str, object], odd: set[str]) -> str | None:
    for key in _FOLDER_KEYS:
        path = _read(entry, key, _as_text, odd)
        if path:
            return folder_name(path)
    return None


def _as_map(value: object) -> Mapping[str, object] | None:
    return value if isinstance(value, dict) else None


def _as_list(value: object) -> list[object] | None:
    return value if isinstance(value, list) else None


def _as_bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _settings(entry: Mapping[str, object]) -> Mapping[str, object]:
    return {
        key: value
        for key, value in entry.items()
        if key not in _NESTED and is_shallow(value, MAX_SETTING_DEPTH)
    }
