"""`<file name>.rgthree-info.json` of rgthree-comfy, which stands beside a model by its whole name.

Sources: rgthree/rgthree-comfy py/server/utils_info.py, and src_web/comfyui/dialog_info.ts for what its users
may edit: name, strengths (kept as texts) and note.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from registry.formats.civitai import digest, image_of
from registry.formats.merging import Draft, believed, by_user, is_blank, page, phrases
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
from registry.formats.triggers import split_words
from registry.told import SidecarFacts, UserFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registry.outgoing import Outgoing
    from registry.told import RemoteImage

FAMILIES: Final = ("rgthree",)
TOOL: Final = "rgthree"

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
_CIVITAI: Final = "civitai.com/models/"


def read(value: object) -> SidecarFacts | None:
    """Return what rgthree-comfy says; `None` for a file of another tool.

    Its name joins those of model and version with " - ". Only the kept answer of Civitai tells where they
    meet, so without it the name stays whole, and one that differs from it is a title that somebody typed.
    """
    info = record(value)
    remote = of_version(TOOL, record(info.get("raw")).get("civitai"))
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


def write(known: Mapping[str, object] | None, out: Outgoing) -> Mapping[str, object] | None:
    """Return what the file is to say, nothing where nobody said anything; `None` where it is of another tool.

    Words are parted at commas and marked by who says them; none is taken away.
    """
    facts = SidecarFacts(TOOL) if not known else read(known)
    if facts is None:
        return None
    draft, shown = Draft(known, out, facts), out.shown
    if by_user(out, "name"):
        draft.say("name", "name", facts.user.title or facts.name)
    elif facts.name is None and believed(out, "model_name") is not None:
        joined = [part for part in (shown.model_name, shown.version_name) if part]
        draft.say("model_name", "name", None, " - ".join(joined), remote=True)
    draft.say("model_type", "type", facts.model_type, remote=True)
    draft.say("base_model", "baseModel", facts.base_model, remote=True)
    draft.say("notes", "userNote", facts.user.notes)
    for member, key in (("weight_min", "strengthMin"), ("weight_max", "strengthMax")):
        value = getattr(shown, member)
        if value is not None:
            draft.say(member, key, getattr(facts.user, member), f"{value:g}")
    _write_words(draft, out)
    if draft.agrees:
        _write_answer(draft, out, facts)
    if known or not draft.members:
        return draft.members
    # Only into a new file: in another it would make all of it seem to be of this model.
    draft.fill("sha256", out.hashes.get("sha256"))
    draft.fill("baseModelFile", out.metadata.get("ss_sd_model_name"))
    return {"path": out.path, **draft.members, "raw": draft.members.get("raw", {})}


def _write_words(draft: Draft, out: Outgoing) -> None:
    if not draft.belongs("triggers"):
        return
    mark = "user" if by_user(out, "triggers") else "civitai"
    entries = _list(draft.members.get("trainedWords"))
    at = {entry.get("word"): place for place, entry in enumerate(map(record, entries)) if "word" in entry}
    changed = list(entries)
    for word in dict.fromkeys(split_words(", ".join(phrases(out.shown.triggers)))):
        entry = record(entries[at[word]]) if word in at else {"word": word}
        if word not in at:
            changed.append({**entry, mark: True})
        elif not (truth(entry.get("civitai")) or truth(entry.get("user"))):
            changed[at[word]] = {**entry, mark: True}
    if changed != entries:
        draft.members["trainedWords"] = changed


def _write_answer(draft: Draft, out: Outgoing, facts: SidecarFacts) -> None:
    if out.version_raw is None:
        return
    links, address = _list(draft.members.get("links")), page(out)
    linked = any(_CIVITAI in one and _API not in one for one in _links(draft.members))
    if address is not None and address not in links and (draft.relinked or not linked):
        draft.members["links"] = [address, *links] if draft.relinked else [*links, address]
    raw = record(draft.members.get("raw"))
    if draft.relinked or is_blank(raw.get("civitai")):
        draft.members["raw"] = {**raw, "civitai": out.version_raw}
    if out.version is not None and out.version.images and (draft.relinked or not facts.images):
        kept = [] if draft.relinked else _list(draft.members.get("images"))
        draft.members["images"] = [*kept, *map(_shown, out.version.images[:MAX_IMAGES])]


def _shown(image: RemoteImage) -> Mapping[str, object]:
    """Return an image as rgthree-comfy keeps it, with the page that it makes from the name of the file."""
    number, _, _ = image.url.partition("?")[0].rpartition("/")[2].rpartition(".")
    page_of = f"https://civitai.com/images/{number}" if number.isascii() and number.isdigit() else None
    entry = {
        "url": image.url,
        "civitaiUrl": page_of,
        "width": image.width,
        "height": image.height,
        "type": "video" if image.video else "image",
        "nsfwLevel": image.nsfw_level,
    }
    return {**entry, **{theirs: image.meta.get(ours) for theirs, ours in _META.items()}}
