"""`<file name>.rgthree-info.json` of rgthree-comfy, which stands beside a model by its whole name.

Sources: rgthree/rgthree-comfy py/server/utils_info.py, and src_web/comfyui/dialog_info.ts for what its users
may edit: name, strengths (kept as texts) and note.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from registry.formats.civitai import digest, image_of
from registry.formats.sidecar_values import (
    MAX_IMAGES,
    link,
    name,
    of_version,
    one_file,
    prose,
    record,
    said,
    truth,
    weight,
    words,
)
from registry.told import UserFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registry.told import RemoteImage, SidecarFacts

FAMILIES: Final = ("rgthree",)

# Civitai's names of what rgthree-comfy copies from the generation data of an image.
_META: Final[Mapping[str, str]] = {
    "positive": "prompt",
    "negative": "negativePrompt",
    "seed": "seed",
    "steps": "steps",
    "sampler": "sampler",
    "cfg": "cfgScale",
    "model": "Model",
    "resources": "resources",
}
_MARKS: Final = frozenset({"baseModelFile", "hasInfoFile", "imageLocal", "raw", "trainedWords", "userNote"})
_SHARED: Final = ("url", "width", "height", "type", "nsfwLevel")
_API: Final = "/api/"


def read(value: object) -> SidecarFacts | None:
    """Return what rgthree-comfy says; `None` for a file of another tool.

    Its name joins those of model and version with " - ". Only the kept answer of Civitai tells where they
    meet, so without it the name stays whole, and one that differs from it is a title that somebody typed.
    """
    info = record(value)
    remote = of_version("rgthree", record(info.get("raw")).get("civitai"))
    shown = name(info.get("name"))
    renamed = remote.name is not None and shown not in (None, remote.name, _joined(remote))
    facts = replace(
        remote,
        hashes=one_file(sha256=digest("sha256", info.get("sha256"))),
        name=remote.name or shown,
        model_type=name(info.get("type")) or remote.model_type,
        base_model=name(info.get("baseModel")) or remote.base_model,
        trigger_words=words(list(_words(info))),
        source_url=next(_links(info), None),
        images=tuple(_images(info)),
        user=UserFacts(
            title=shown if renamed else None,
            notes=prose(info.get("userNote")),
            weight_min=weight(info.get("strengthMin")),
            weight_max=weight(info.get("strengthMax")),
        ),
    )
    return said(facts, theirs=not _MARKS.isdisjoint(info))


def _joined(remote: SidecarFacts) -> str | None:
    return name(f"{remote.name} - {remote.version_name}")


def _words(info: Mapping[str, object]) -> Iterator[object]:
    """Give the words that Civitai or a user names; those of the header alone are only tags of its training.

    Early versions kept a plain list as `triggerWords`, with none of the header.
    """
    for item in _list(info.get("trainedWords")):
        entry = record(item)
        if truth(entry.get("civitai")) or truth(entry.get("user")):
            yield entry.get("word")
    yield from _list(info.get("triggerWords"))


def _links(info: Mapping[str, object]) -> Iterator[str]:
    """Give the pages that are linked, without the addresses of the API that stand among them."""
    found = map(link, _list(info.get("links")))
    return (page for page in found if page is not None and _API not in page)


def _images(info: Mapping[str, object]) -> Iterator[RemoteImage]:
    for entry in map(record, _list(info.get("images"))[:MAX_IMAGES]):
        meta = {ours: entry[theirs] for theirs, ours in _META.items() if entry.get(theirs) is not None}
        image = image_of({**{key: entry.get(key) for key in _SHARED}, "meta": meta})
        if image is not None:
            yield image


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
