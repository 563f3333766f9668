"""`<stem>.metadata.json` of ComfyUI-Lora-Manager: what Civitai said, and what its users noted.

Source: willmiao/ComfyUI-Lora-Manager docs/metadata-json-schema.md.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from registry.formats.civitai import digest, nsfw_level
from registry.formats.sidecar_values import (
    clip_skip,
    name,
    of_version,
    one_file,
    prose,
    record,
    said,
    tags,
    truth,
    weight,
    words,
)
from registry.formats.values import OddValueError, json_value
from registry.told import SidecarFacts, UserFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

FAMILIES: Final = ("lora_manager",)
TOOL: Final = "lora-manager"

# A file with none of these is another tool's, though it may have the same name.
_MARKS: Final = frozenset(
    {"civitai", "civitai_deleted", "db_checked", "file_path", "from_civitai", "metadata_source",
     "modelDescription", "model_name", "preview_nsfw_level", "preview_url", "usage_tips"}
)  # fmt: skip
_HASHES: Final = ("sha256", "autov3")
_UNKNOWN: Final = "Unknown"
_NUMBER: Final = r"\s{0,9}(-?[0-9]{1,3}(?:\.[0-9]{0,9})?)\s{0,9}"
_RANGE: Final = re.compile(rf"{_NUMBER}(?:-|~|–|to|,){_NUMBER}")


def read(value: object) -> SidecarFacts | None:
    """Return what Lora-Manager says; `None` for a file of another tool.

    A name or base model that it had to guess is left out; the level of the preview stands in for that of the
    version.
    """
    written = record(value)
    if _MARKS.isdisjoint(written):
        return None
    civitai = record(written.get("civitai"))
    remote = of_version(TOOL, civitai)
    base_model = name(written.get("base_model"))
    facts = replace(
        remote,
        hashes=one_file(**{kind: digest(kind, written.get(kind)) for kind in _HASHES}),
        name=_name(written) or remote.name,
        model_type=remote.model_type or name(civitai.get("type")) or name(written.get("model_type")),
        base_model=remote.base_model if base_model in (None, _UNKNOWN) else base_model,
        description=prose(written.get("modelDescription")) or remote.description,
        trigger_words=words(civitai.get("trainedWords")) or words(written.get("trainedWords")),
        tags=tags(written.get("tags")) or remote.tags,
        nsfw_level=remote.nsfw_level or nsfw_level(written.get("preview_nsfw_level")) or None,
        gone=truth(written.get("civitai_deleted")) is True,
        user=_user(written),
    )
    return said(facts, theirs=True)


def _name(written: Mapping[str, object]) -> str | None:
    """Return the name, unless it is that of the file, as it is where nothing better was known."""
    found = name(written.get("model_name"))
    return None if found == name(written.get("file_name")) else found


def _user(written: Mapping[str, object]) -> UserFacts:
    tips = _tips(written.get("usage_tips"))
    low, high = _range(tips.get("strength_range"))
    weight_min, weight_max = weight(tips.get("strength_min")), weight(tips.get("strength_max"))
    return UserFacts(
        notes=prose(written.get("notes")),
        weight=weight(tips.get("strength")),
        weight_min=low if weight_min is None else weight_min,
        weight_max=high if weight_max is None else weight_max,
        clip_weight=weight(tips.get("clip_strength")),
        clip_skip=clip_skip(tips.get("clip_skip")),
        favorite=truth(written.get("favorite")),
        hidden=truth(written.get("exclude")),
    )


def _tips(value: object) -> Mapping[str, object]:
    """Return the object that is written as JSON within a text."""
    if isinstance(value, str):
        try:
            value = json_value(value)
        except OddValueError:
            return {}
    return record(value)


def _range(value: object) -> tuple[float | None, float | None]:
    found = _RANGE.fullmatch(value) if isinstance(value, str) else None
    return (weight(found[1]), weight(found[2])) if found else (None, None)
