"""`<stem>.metadata.json` of ComfyUI-Lora-Manager: what Civitai said, and what its users noted.

Source: willmiao/ComfyUI-Lora-Manager docs/metadata-json-schema.md.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from registry.formats.civitai import digest, nsfw_level
from registry.formats.merging import (
    Draft,
    by_user,
    merged_answer,
    phrases,
    same_words,
    whole_answer,
)
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

    from registry.outgoing import Outgoing

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
# `usage_tips` by the members of `Shown`.
_TIPS: Final[Mapping[str, str]] = {
    "weight_min": "strength_min",
    "weight_max": "strength_max",
    "weight": "strength",
    "clip_weight": "clip_strength",
    "clip_skip": "clip_skip",
}
_TYPED: Final = frozenset({"trainedWords"})
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


def write(known: Mapping[str, object] | None, out: Outgoing) -> Mapping[str, object] | None:
    """Return what the file is to say, nothing where nobody said anything; `None` where it is of another tool.

    Words that its users typed among those of Civitai's answer stay. `modified` is when a model was added, and
    no time of the file.
    """
    facts = SidecarFacts(TOOL) if not known else read(known)
    if facts is None:
        return None
    draft = Draft(known, out, facts)
    named = "name" if by_user(out, "name") else "model_name"
    draft.say(named, "model_name", facts.name, remote=True)
    draft.say("base_model", "base_model", facts.base_model, remote=True)
    draft.say("notes", "notes", facts.user.notes)
    draft.say("description", "modelDescription", facts.description, remote=True)
    draft.say("favorite", "favorite", facts.user.favorite)
    draft.say("hidden", "exclude", facts.user.hidden)
    if by_user(out, "nsfw_level"):
        draft.say("nsfw_level", "preview_nsfw_level", facts.nsfw_level)
    draft.tag("tags", facts.tags)
    _write_answer(draft, out, facts)
    _write_tips(draft, out, facts)
    if known or not draft.members:
        return draft.members
    return {**_base(out), **draft.members, **_hashes(out)}


def _write_answer(draft: Draft, out: Outgoing, facts: SidecarFacts) -> None:
    written = draft.members.get("civitai")
    civitai = record(written)
    if out.version_raw is not None and draft.agrees:
        ours = whole_answer(out)
        if draft.relinked:
            civitai = {**ours, **{key: civitai[key] for key in ("customImages",) if key in civitai}}
        else:
            civitai = merged_answer(civitai, ours, _TYPED)
        draft.members["from_civitai"] = True
        draft.fill("metadata_source", "civitai_api")
        if out.shown.gone_at is not None:
            draft.members["civitai_deleted"] = True
    # Words that Civitai lists stay parted as it does.
    mine = phrases(out.shown.triggers) if draft.belongs("triggers") else []
    there = words(civitai.get("trainedWords")) or facts.trigger_words
    if mine and not same_words(there, out.shown.triggers) and (by_user(out, "triggers") or not there):
        civitai = {**civitai, "trainedWords": mine}
    if civitai and civitai is not written:
        draft.members["civitai"] = civitai


def _write_tips(draft: Draft, out: Outgoing, facts: SidecarFacts) -> None:
    """Write strengths among the other tips, unless these cannot be read or written again."""
    written = draft.members.get("usage_tips")
    known = _tips(written)
    if not known and written not in (None, "", "{}", {}):
        return
    tips = Draft(known, out, facts)
    for member, key in _TIPS.items():
        tips.say(member, key, getattr(facts.user, member))
    if tips.members == known:
        return
    try:
        text = json.dumps(tips.members, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return
    draft.members["usage_tips"] = tips.members if isinstance(written, dict) else text


def _hashes(out: Outgoing) -> Mapping[str, object]:
    """Return our hashes, for new files: in another they would make all of it seem to be of this model."""
    found: dict[str, object] = {}
    if "sha256" in out.hashes:
        found |= {"sha256": out.hashes["sha256"], "hash_status": "completed"}
    if "data_sha256" in out.hashes:
        found["autov3"] = out.hashes["data_sha256"][:12]
    return found


def _base(out: Outgoing) -> Mapping[str, object]:
    """Return what Lora-Manager expects in each file."""
    folder, slash, _ = out.path.replace("\\", "/").rpartition("/")
    source = out.shown.sources.get("version_id")
    return {
        "file_name": out.stem,
        "model_name": out.stem,
        "file_path": folder + slash + out.file_name,
        "size": out.size,
        "modified": out.now / 1000,
        "sha256": "",
        "base_model": _UNKNOWN,
        "preview_url": "" if out.preview is None else folder + slash + out.preview,
        "preview_nsfw_level": 0,
        "notes": "",
        "from_civitai": False,
        "civitai": {},
        "tags": [],
        "modelDescription": "",
        "civitai_deleted": False,
        "favorite": False,
        "exclude": False,
        "db_checked": False,
        "skip_metadata_refresh": False,
        "metadata_source": None,
        "last_checked_at": 0.0 if source is None or source.at is None else source.at / 1000,
        "hash_status": "pending",
        "usage_tips": "{}",
    }
