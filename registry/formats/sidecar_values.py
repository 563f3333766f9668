"""Values of parsed JSON that other tools wrote or users edited by hand, read one by one and bounded.

Nothing here raises for any JSON value: what is not as promised is left out. The functions `of_...` read what
several tools keep alike: a version and a model as Civitai answers them, and the keys of ModelSpec.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from registry.formats import values
from registry.formats.civitai import (
    MAX_DESCRIPTION,
    MAX_NAME,
    MAX_TAGS,
    MAX_URL,
    MAX_WORD,
    MAX_WORDS,
    model_of,
    version_of,
)
from registry.formats.modelspec import PREFIX
from registry.formats.packing import clean_text
from registry.told import SidecarFacts, UserFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.told import RemoteFile, RemoteModel, RemoteVersion

# The lengths in hex digits that a hash is written in, and the hash of nothing, which is left out.
# Others are cut to its length.
_HASHES: Final[Mapping[str, tuple[tuple[int, ...], str]]] = {
    "sha256": ((64,), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    "blake3": ((64,), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
    "autov1": ((8,), "e3b0c442"),
    "autov2": ((10,), "e3b0c44298"),
    "autov3": ((12, 64), "e3b0c44298fc"),
    "crc32": ((8,), "00000000"),
}
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_LINK: Final = re.compile(r"https?://[^\s\x00-\x1f\x7f\ud800-\udfff]+", re.IGNORECASE)
_TRUTHS: Final[Mapping[str, bool]] = {"true": True, "false": False}
_COMMENT: Final = ("<!--", "-->")

# What ComfyUI lets a strength be; other tools allow less.
MIN_WEIGHT: Final = -100.0
MAX_WEIGHT: Final = 100.0
_MAX_CLIP_SKIP: Final = 100

_WEIGHTS: Final = frozenset({"Model", "Pruned Model"})
# SwarmUI's downloader writes these base models of Civitai as the hint (src/wwwroot/js/genpage/utiltab.js).
_HINTED_BASES: Final = frozenset({"Anima", "Illustrious", "NoobAI", "Pony"})


def record(value: object) -> Mapping[str, object]:
    """Return a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def name(value: object) -> str | None:
    """Return a text of one line's worth without space around it; `None` if it is blank or no text."""
    return _cut(value.strip(), MAX_NAME) if isinstance(value, str) else None


def prose(value: object) -> str | None:
    """Return a long text as it was written; `None` if it is blank or no text.

    One that is an HTML comment as a whole, as zixaphir's Civitai Helper writes them (scripts/ch_lib/util.py,
    trim_html), gives what the comment says.
    """
    if not isinstance(value, str):
        return None
    inner = value.strip()
    before, after = _COMMENT
    if inner.startswith(before) and inner.find(after) == len(inner) - len(after) >= len(before):
        value = inner[len(before) : -len(after)].strip("\r\n")
    return _cut(value, MAX_DESCRIPTION)


def link(value: object) -> str | None:
    """Return a web address; `None` for paths, other schemes and what is too long to be one."""
    found = value.strip() if isinstance(value, str) and len(value) <= MAX_URL else ""
    return found if _LINK.fullmatch(found) else None


def number(value: object, low: float, high: float) -> float | None:
    """Return a number within the bounds, also one that was written as a text."""
    if isinstance(value, str):
        try:
            value = values.number(value.strip())
        except values.OddValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high else None


def weight(value: object) -> float | None:
    """Return a strength of an adapter."""
    return number(value, MIN_WEIGHT, MAX_WEIGHT)


def whole(value: object, low: int = 1, high: int = values.MAX_INT) -> int | None:
    """Return a whole number within the bounds, also one that was written as a text."""
    if isinstance(value, str):
        try:
            value = values.whole(value.strip())
        except values.OddValueError:
            return None
    found = values.as_int(value)
    return found if found is not None and low <= found <= high else None


def clip_skip(value: object) -> int | None:
    """Return how many last layers of the text encoder are left out, counted from 1."""
    return whole(value, 1, _MAX_CLIP_SKIP)


def truth(value: object) -> bool | None:
    """Return a boolean, also one that was written as a text."""
    if isinstance(value, str):
        return _TRUTHS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def words(value: object) -> tuple[str, ...]:
    """Return the texts of a list, or one text as the only one, each as a whole and once."""
    return _texts(value if isinstance(value, list) else [value], MAX_WORD, MAX_WORDS)


def tags(value: object) -> tuple[str, ...]:
    """Return the tags of a list, or of a text with commas between, each once."""
    if isinstance(value, str):
        value = value[:MAX_DESCRIPTION].split(",")
    return _texts(value if isinstance(value, list) else [], MAX_NAME, MAX_TAGS)


def digest(kind: str, value: object) -> str | None:
    """Return a hash of a kind of `registry.told` in its lower-case form, also from one that begins with `0x`.

    `None` for what is not hex of a right length, and for the hash of nothing.
    """
    if not isinstance(value, str) or len(value) > MAX_NAME:
        return None
    lengths, of_nothing = _HASHES[kind]
    written = value.strip().lower().removeprefix("0x")
    if len(written) not in lengths or not _HEX.fullmatch(written):
        return None
    kept = written[: len(of_nothing)]
    return None if kept == of_nothing else kept


def hashes(value: object) -> dict[str, str]:
    """Return the hashes of an object that names them as Civitai does, in whatever case."""
    found = ((key.lower(), written) for key, written in record(value).items())
    read = ((kind, digest(kind, written)) for kind, written in found if kind in _HASHES)
    return {kind: kept for kind, kept in read if kept is not None}


def said(facts: SidecarFacts) -> SidecarFacts | None:
    """Return the facts, or `None` where there is none."""
    return None if facts == SidecarFacts(facts.tool) else facts


def of_version(tool: str, value: object) -> SidecarFacts:
    """Return what a version says as model-versions and by-hash answer it.

    Reads too what tools add from the answer of models: to its `model` description, tags and licence, and
    above that `creator`. Source: zixaphir/Stable-Diffusion-Webui-Civitai-Helper scripts/ch_lib/civitai.py and
    willmiao/ComfyUI-Lora-Manager docs/metadata-json-schema.md.
    """
    answer = record(value)
    version = version_of(answer)
    if version is None:
        return SidecarFacts(tool)
    within = record(answer.get("model"))
    creator = answer.get("creator", within.get("creator"))
    return _of_civitai(tool, version, model_of({"id": version.model_id, **within, "creator": creator}))


def of_model(tool: str, value: object) -> SidecarFacts:
    """Return what a model says as models answers it, and its version where it has only one.

    Which of several versions the file is cannot be told without its hashes.
    """
    answer = record(value)
    model = model_of(answer) if isinstance(answer.get("modelVersions"), list) else None
    if model is None:
        return SidecarFacts(tool)
    return _of_civitai(tool, model.versions[0] if len(model.versions) == 1 else None, model)


def of_modelspec(value: object) -> SidecarFacts:
    """Return what SwarmUI says with keys that begin with `modelspec.`.

    Its hash is that of all bytes after the header, which Civitai calls AutoV3. A hint on usage counts as
    typed, unless it is the base model that the downloader puts there.
    Source: mcmonkeyprojects/SwarmUI src/Text2Image/T2IModel.cs (ToNetObject, GetOrGenerateTensorHashSha256).
    """
    spec = {key.removeprefix(PREFIX): item for key, item in record(value).items() if key.startswith(PREFIX)}
    hint = prose(spec.get("usage_hint"))
    based = hint in _HINTED_BASES
    autov3 = digest("autov3", spec.get("hash_sha256")) or digest("autov3", spec.get("hash"))
    return SidecarFacts(
        "swarmui",
        hashes={"autov3": autov3} if autov3 else {},
        name=_title(spec),
        base_model=hint if based else None,
        description=prose(spec.get("description")),
        trigger_words=words(spec.get("trigger_phrase")),
        tags=tags(spec.get("tags")),
        creator=name(spec.get("author")),
        user=UserFacts(notes=None if based else hint, weight=weight(spec.get("lora_default_weight"))),
    )


def _title(spec: Mapping[str, object]) -> str | None:
    """Return the title, unless it is only the name of the file, with or without extension."""
    title = name(spec.get("title"))
    file_name = (name(spec.get("name")) or "").rpartition("/")[2]
    return None if title in (file_name, file_name.rpartition(".")[0]) else title


def _of_civitai(tool: str, version: RemoteVersion | None, model: RemoteModel | None) -> SidecarFacts:
    facts = SidecarFacts(tool) if version is None else _of_version(tool, version)
    if model is None:
        return facts
    return SidecarFacts(
        tool,
        hashes=facts.hashes,
        model_id=facts.model_id or model.id,
        version_id=facts.version_id,
        name=name(model.name) or facts.name,
        version_name=facts.version_name,
        model_type=name(model.type) or facts.model_type,
        base_model=facts.base_model,
        description=prose(model.description),
        version_description=facts.version_description,
        trigger_words=facts.trigger_words,
        tags=_texts(model.tags, MAX_NAME, MAX_TAGS),
        creator=name(model.creator),
        nsfw=facts.nsfw if model.nsfw is None else model.nsfw,
        nsfw_level=facts.nsfw_level or model.nsfw_level or None,
        licence=model.licence,
        images=facts.images,
    )


def _of_version(tool: str, version: RemoteVersion) -> SidecarFacts:
    return SidecarFacts(
        tool,
        hashes=_hashes_of(version.files),
        model_id=version.model_id,
        version_id=version.id,
        name=name(version.model_name),
        version_name=name(version.name),
        model_type=name(version.model_type),
        base_model=name(version.base_model),
        version_description=prose(version.description),
        trigger_words=_texts(version.trained_words, MAX_WORD, MAX_WORDS),
        nsfw=version.nsfw,
        nsfw_level=version.nsfw_level or None,
        images=version.images,
    )


def _hashes_of(files: Iterable[RemoteFile]) -> dict[str, str]:
    """Return the hashes of the weights where a version has one file of them: of several any may be meant."""
    weights = [file for file in files if file.type is None or file.type in _WEIGHTS]
    return hashes(dict(weights[0].hashes)) if len(weights) == 1 else {}


def _texts(found: Iterable[object], longest: int, most: int) -> tuple[str, ...]:
    unique: dict[str, None] = {}
    for item in found:
        text = _cut(item.strip(), longest) if isinstance(item, str) else None
        if text is not None:
            unique[text] = None
            if len(unique) == most:
                break
    return tuple(unique)


def _cut(text: str, longest: int) -> str | None:
    cut = clean_text(text[:longest])
    return cut if cut and not cut.isspace() else None
