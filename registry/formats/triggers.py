"""Words that may trigger an adapter, kept apart by the kind of evidence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from registry.formats.datasets import FILE_LISTS
from registry.formats.values import OddValueError, json_value
from registry.views import TriggerWord, TriggerWords

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from registry.formats.datasets import Dataset, Subset
    from registry.formats.training import Training

MAX_WORDS: Final = 1000
_MAX_TEXT: Final = 100_000
_CLAIMS: Final = (
    "modelspec.trigger_phrase",
    "ssmd_keywords",
    "trained_words",
    "trigger_word",
    "trigger_words",
)
_NETWORK_TAG: Final = re.compile(r"<(?:lora|lyco|lyc|hypernet):[^<>]{0,500}>", re.IGNORECASE)
_REPEATS: Final = re.compile(r"[0-9]{1,9}_(.+)", re.DOTALL)
_COPY: Final = re.compile(r"(.+) \([0-9]{1,4}\)", re.DOTALL)
_EMBEDDED: Final = "<embed>"
_SEPARATORS: Final = ",，、;；\n"
_OPENING: Final = "([{"
_CLOSING: Final = ")]}"


def trigger_words(metadata: Mapping[str, str], training: Training) -> TriggerWords:
    """Return claimed words, dataset folder names and training tags; each word once, in order of evidence."""
    return TriggerWords(
        claimed=_unique(_claimed(metadata, training)),
        folders=_unique(_folders(training)),
        tags=training.tags,
    )


def split_words(phrase: str) -> tuple[str, ...]:
    """Split a list of words at commas, also full-width ones, but not within brackets; drops `<lora:...>`."""
    words = []
    current: list[str] = []
    depth = 0
    for char in _NETWORK_TAG.sub(" ", phrase[:_MAX_TEXT]):
        if char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth = max(0, depth - 1)
        if char in _SEPARATORS and (depth == 0 or char == "\n"):
            words.append("".join(current))
            current, depth = [], 0
        else:
            current.append(char)
    words.append("".join(current))
    return tuple(word for word in (" ".join(word.split()) for word in words) if word)


def _claimed(metadata: Mapping[str, str], training: Training) -> Iterator[TriggerWord]:
    for key in _CLAIMS:
        for phrase in _phrases(metadata.get(key, "")):
            for word in split_words(phrase):
                yield TriggerWord(word, key)
    for key, value in metadata.items():
        if value == _EMBEDDED and key.startswith("<"):
            yield TriggerWord(key, key)
    if training.trainer == "ai-toolkit":
        # ai-toolkit writes tag frequencies only to carry its trigger word (toolkit/metadata.py).
        for tag in training.tags:
            yield TriggerWord(tag.tag, "ss_tag_frequency")


def _phrases(value: str) -> tuple[str, ...]:
    if not value.startswith("["):
        return () if value in ("None", "null") else (value,)
    try:
        listed = json_value(value)
    except OddValueError:
        return (value,)
    return tuple(item for item in listed if isinstance(item, str)) if isinstance(listed, list) else (value,)


def _folders(training: Training) -> Iterator[TriggerWord]:
    left_out = _regularising(training)
    names = {folder.name for folder in training.dataset_dirs}
    for folder in training.dataset_dirs:
        copy = _COPY.fullmatch(folder.name)
        name = copy[1] if copy and copy[1] in names else folder.name
        yield from _folder_word(name, f"ss_dataset_dirs: {folder.name}", left_out)
    for name in training.tag_folders:
        yield from _folder_word(name, f"ss_tag_frequency: {name}", left_out)
    for dataset in training.datasets:
        yield from _dataset_word(dataset, left_out)
        for subset in dataset.subsets:
            if subset.class_tokens and not subset.is_reg:
                yield TriggerWord(subset.class_tokens.strip(), "ss_datasets: class_tokens")
            yield from _dataset_word(subset, left_out)


def _regularising(training: Training) -> frozenset[str]:
    """Return the folders whose images keep the model from forgetting: they show what is not trained."""
    subsets = (subset for dataset in training.datasets for subset in dataset.subsets)
    return frozenset(
        [
            *(folder.name for folder in training.reg_dataset_dirs),
            *(subset.folder for subset in subsets if subset.is_reg and subset.folder),
        ]
    )


def _dataset_word(entry: Dataset | Subset, left_out: frozenset[str]) -> Iterator[TriggerWord]:
    if entry.folder and not any(map(entry.settings.get, FILE_LISTS)):
        yield from _folder_word(entry.folder, f"ss_datasets: {entry.folder}", left_out)


def _folder_word(name: str, source: str, left_out: frozenset[str]) -> Iterator[TriggerWord]:
    repeated = _REPEATS.fullmatch(name)
    word = (repeated[1] if repeated else name).strip()
    if word and not word.isdigit() and name not in left_out:
        yield TriggerWord(word, source)


def _unique(words: Iterable[TriggerWord]) -> tuple[TriggerWord, ...]:
    found: dict[str, TriggerWord] = {}
    for word in words:
        if word.word:
            found.setdefault(word.word.casefold(), word)
        if len(found) >= MAX_WORDS:
            break
    return tuple(found.values())
