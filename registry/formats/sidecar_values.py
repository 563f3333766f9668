"""Values of parsed JSON that other tools wrote or users edited by hand, read one by one and bounded.

Nothing here raises for any JSON value: what is not as promised is left out. The functions `of_...` read what
several tools keep alike: a version and a model as Civitai answers them, and the keys of ModelSpec.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from registry.formats import values
from registry.formats.civitai import (
    MAX_DESCRIPTION,
    MAX_NAME,
    MAX_TAGS,
    MAX_WORD,
    MAX_WORDS,
    json_size,
    model_of,
    text,
    texts,
    version_of,
    web_address,
)
from registry.formats.modelspec import PREFIX
from registry.told import SidecarFacts, UserFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from registry.told import RemoteImage, RemoteModel, RemoteVersion

_TRUTHS: Final[Mapping[str, bool]] = {"true": True, "false": False}
_COMMENT: Final = ("<!--", "-->")

# What ComfyUI lets a strength be; other tools allow less.
MIN_WEIGHT: Final = -100.0
MAX_WEIGHT: Final = 100.0
_MAX_CLIP_SKIP: Final = 100

_WEIGHTS: Final = frozenset({None, "Model", "Pruned Model"})
MAX_HASHED: Final = 200
MAX_IMAGES: Final = 200
MAX_METAS: Final = 200_000
"""Characters of the generation data of all images of a sidecar."""
# SwarmUI's downloader writes these base models of Civitai as the hint (src/wwwroot/js/genpage/utiltab.js).
_HINTED_BASES: Final = frozenset({"Anima", "Illustrious", "NoobAI", "Pony"})


def record(value: object) -> Mapping[str, object]:
    """Return a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def name(value: object) -> str | None:
    """Return a text of one line's worth without space around it; `None` if it is blank or no text."""
    return text(value.strip(), MAX_NAME) if isinstance(value, str) else None


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
    return text(value, MAX_DESCRIPTION)


def link(value: object) -> str | None:
    """Return a web address; `None` for paths, other schemes and what is too long to be one."""
    return web_address(value.strip()) if isinstance(value, str) else None


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
    return _each_once(value if isinstance(value, list) else [value], MAX_WORD, MAX_WORDS)


def tags(value: object) -> tuple[str, ...]:
    """Return the tags of a list, or of a text with commas between, each once."""
    if isinstance(value, str):
        value = value[:MAX_DESCRIPTION].split(",")
    return _each_once(value if isinstance(value, list) else [], MAX_NAME, MAX_TAGS)


def one_file(**hashes: str | None) -> tuple[Mapping[str, str], ...]:
    """Return the hashes of the one file that a tool names, as `SidecarFacts` has them."""
    found = {kind: kept for kind, kept in hashes.items() if kept is not None}
    return (found,) if found else ()


def said(facts: SidecarFacts, *, theirs: bool = False) -> SidecarFacts | None:
    """Return the facts with what is too much of their images left out.

    Where there is none it is `None`, unless the file is plainly that tool's: then it says nothing yet.
    """
    if not theirs and facts == SidecarFacts(facts.tool):
        return None
    return replace(facts, images=tuple(_bounded(facts.images)))


def _bounded(images: Iterable[RemoteImage]) -> Iterator[RemoteImage]:
    """Give the first images, those after `MAX_METAS` without their generation data."""
    left = MAX_METAS
    for image in islice(images, MAX_IMAGES):
        left -= json_size(image.meta, left) if image.meta and left >= 0 else 0
        yield image if left >= 0 else replace(image, meta={})


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

    Which of several versions the file is cannot be told without hashes, so those of all are kept.
    """
    answer = record(value)
    model = model_of(answer) if isinstance(answer.get("modelVersions"), list) else None
    if model is None:
        return SidecarFacts(tool)
    return _of_civitai(tool, model.versions[0] if len(model.versions) == 1 else None, model)


def of_modelspec(value: object) -> SidecarFacts:
    """Return what SwarmUI says with keys that begin with `modelspec.`.

    Its hash is left out: SwarmUI copies `modelspec.hash_sha256` from the header where there is one, and
    OneTrainer writes that over the tensors in the order of their names, so it may differ from the file's
    though it was written for it. A hint on usage counts as typed, unless it is the base model that the
    downloader puts there.
    Source: mcmonkeyprojects/SwarmUI src/Text2Image/T2IModel.cs (ToNetObject, GetOrGenerateTensorHashSha256).
    """
    spec = {key.removeprefix(PREFIX): item for key, item in record(value).items() if key.startswith(PREFIX)}
    hint = prose(spec.get("usage_hint"))
    based = hint in _HINTED_BASES
    return SidecarFacts(
        "swarmui",
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
        hashes=facts.hashes or _hashes_of(model.versions),
        model_id=facts.model_id or model.id,
        version_id=facts.version_id,
        name=name(model.name) or facts.name,
        version_name=facts.version_name,
        model_type=name(model.type) or facts.model_type,
        base_model=facts.base_model,
        description=prose(model.description),
        version_description=facts.version_description,
        trigger_words=facts.trigger_words,
        tags=_each_once(model.tags, MAX_NAME, MAX_TAGS),
        creator=name(model.creator),
        nsfw=facts.nsfw if model.nsfw is None else model.nsfw,
        nsfw_level=facts.nsfw_level or model.nsfw_level or None,
        licence=model.licence,
        images=facts.images,
    )


def _of_version(tool: str, version: RemoteVersion) -> SidecarFacts:
    return SidecarFacts(
        tool,
        hashes=_hashes_of([version]),
        model_id=version.model_id,
        version_id=version.id,
        name=name(version.model_name),
        version_name=name(version.name),
        model_type=name(version.model_type),
        base_model=name(version.base_model),
        version_description=prose(version.description),
        trigger_words=_each_once(version.trained_words, MAX_WORD, MAX_WORDS),
        nsfw=version.nsfw,
        nsfw_level=version.nsfw_level or None,
        images=version.images,
    )


def _hashes_of(versions: Iterable[RemoteVersion]) -> tuple[Mapping[str, str], ...]:
    """Return the hashes of each file of weights: any of them may be meant."""
    weights = (file for version in versions for file in version.files if file.type in _WEIGHTS)
    return tuple(islice((file.hashes for file in weights if file.hashes), MAX_HASHED))


def _each_once(found: Iterable[object], longest: int, most: int) -> tuple[str, ...]:
    """Return the first texts that are not blank, without space around them, each once."""
    stripped = (item.strip() for item in found if isinstance(item, str))
    return tuple(islice(dict.fromkeys(texts(stripped, longest, None)), most))
