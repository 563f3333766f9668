"""Loras to write into sidecars: what is shown of them, by whom, and what Civitai answered."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from registry.formats.civitai import model_of, version_of
from registry.outgoing import Outgoing
from registry.shown import Shown, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.told import SidecarFacts

SHA256 = "ab" * 32
DATA_SHA256 = "cd" * 32
HASHES = {"sha256": SHA256, "data_sha256": DATA_SHA256, "blake3": "ef" * 32, "crc32": "0123abcd"}
NOW = 1_700_000_000_000
USER = Source("user", at=NOW)
CIVITAI = Source("civitai", at=NOW - 5000)

VERSION: dict[str, Any] = {
    "id": 3,
    "modelId": 2,
    "name": "v1",
    "updatedAt": "2024-01-01T00:00:00.000Z",
    "trainedWords": ["red hat", "blue hat"],
    "baseModel": "SDXL 1.0",
    "description": "<p>First.</p>",
    "stats": {"downloadCount": 5},
    "model": {"name": "Häts", "type": "LORA", "nsfw": False},
    "files": [
        {
            "id": 7,
            "name": "hats.safetensors",
            "type": "Model",
            "primary": True,
            "metadata": {"fp": "fp16", "size": None, "format": "SafeTensor"},
            "hashes": {"SHA256": SHA256.upper()},
        }
    ],
    "images": [
        {"url": "https://image.civitai.com/a/original=true/12.jpeg", "width": 8, "height": 9, "nsfwLevel": 1,
         "type": "image", "meta": {"prompt": "a hat", "seed": 5}}
    ],
}  # fmt: skip
MODEL: dict[str, Any] = {
    "id": 2,
    "name": "Häts",
    "type": "LORA",
    "description": "<p>All hats.</p>",
    "tags": ["hat", "clothing"],
    "nsfw": False,
    "allowNoCredit": True,
    "creator": {"username": "Konan"},
    "stats": {"downloadCount": 50, "thumbsUpCount": None, "rating": 4.5},
    "modelVersions": [],
}


def outgoing(shown: Shown | None = None, **members: Any) -> Outgoing:
    """A file of nothing that anybody said anything of, but for what is given."""
    known: dict[str, Any] = {
        "file_name": "x.safetensors",
        "path": "/loras/x.safetensors",
        "size": 5,
        "modified": NOW - 1000,
        "now": NOW,
        "hashes": HASHES,
    }
    return Outgoing(shown or Shown("x", sources={"name": Source("file")}), **{**known, **members})


def shown(source: Source = USER, **members: Any) -> Shown:
    """What one source says."""
    name = members.pop("name", None)
    sources = dict.fromkeys(members, source) | {"name": Source("file") if name is None else source}
    return Shown(name or "x", sources=sources, **members)


def from_civitai(
    raw: Mapping[str, Any] = VERSION, whole: Mapping[str, Any] = MODEL, **typed: Any
) -> Outgoing:
    """A file that Civitai knows; `typed` is what the user says of it."""
    raw = {**raw, "id": typed.get("version_id", raw["id"])}
    version, model = version_of(raw), model_of(whole)
    assert version is not None
    assert model is not None
    told = {
        "model_name": model.name,
        "version_name": version.name,
        "model_id": version.model_id,
        "version_id": version.id,
        "model_type": model.type,
        "base_model": version.base_model,
        "description": model.description,
        "version_description": version.description,
        "triggers": tuple((word,) for word in version.trained_words),
        "tags": model.tags,
        "creator": model.creator,
        "images": version.images,
    }
    both = shown(CIVITAI, **told)
    mine = shown(USER, **typed)
    both = replace(both, **typed, sources={**both.sources, **mine.sources})
    return outgoing(both, version_raw=raw, model_raw=whole, version=version, model=model)


def read_from(facts: SidecarFacts | None, kind: str = "sidecar") -> Outgoing:
    """A file of which only a sidecar tells, all that it says."""
    if facts is None:
        return outgoing(hashes={})
    user = facts.user
    words = facts.trigger_words
    told: dict[str, Any] = {
        "name": user.title,
        "model_name": facts.name,
        "version_name": facts.version_name,
        "model_id": facts.model_id,
        "version_id": facts.version_id,
        "model_type": facts.model_type,
        "base_model": user.base_model or facts.base_model,
        "description": user.description or facts.description,
        "version_description": facts.version_description,
        "notes": user.notes,
        "triggers": ((user.activation_text,),) if user.activation_text else tuple((word,) for word in words),
        "negative_text": user.negative_text,
        "weight": user.weight,
        "weight_min": user.weight_min,
        "weight_max": user.weight_max,
        "clip_weight": user.clip_weight,
        "clip_skip": user.clip_skip,
        "tags": facts.tags,
        "creator": facts.creator,
        "licence": facts.licence,
        "nsfw_level": facts.nsfw_level,
        "favorite": user.favorite,
        "hidden": user.hidden,
        "images": facts.images,
        "source_url": facts.source_url,
    }
    assert told.keys() <= {each.name for each in fields(Shown)}
    found = {key: value for key, value in told.items() if value is not None and value != ()}
    return outgoing(shown(Source(kind, facts.tool, NOW), **found), hashes={})
