"""`<stem>.cm-info.json` of StabilityMatrix, whose keys are in Pascal case.

Source: LykosAI/StabilityMatrix StabilityMatrix.Core/Models/ConnectedModelInfo.cs. `Source` is not read: only
models of Civitai have ids, CivArchive's being the same. Nor are `InferenceDefaults` and `ThumbnailImageUrl`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from registry.formats.civitai import hashes
from registry.formats.merging import Draft, by_user, page, phrases, same_words
from registry.formats.sidecar_values import (
    link,
    name,
    number,
    one_file,
    prose,
    record,
    said,
    tags,
    truth,
    whole,
    words,
)
from registry.told import SidecarFacts, UserFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registry.outgoing import Outgoing

FAMILIES: Final = ("stability_matrix",)
TOOL: Final = "stability-matrix"

_MARKS: Final = frozenset({"ModelId", "ModelName", "UserTitle", "VersionId"})
_TYPES: Final[Mapping[str, str]] = {
    "lora": "LORA",
    "checkpoint": "Checkpoint",
    "embedding": "TextualInversion",
    "vae": "VAE",
    "controlnet": "Controlnet",
}
_HASHES: Final = ("sha256", "crc32", "blake3")
_FILE: Final = ("fp", "size", "format")
_COUNTS: Final = ("favoriteCount", "commentCount", "thumbsUpCount", "downloadCount", "ratingCount")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_R: Final = 4


def read(value: object) -> SidecarFacts | None:
    """Return what StabilityMatrix says; `None` for a file of another tool."""
    info = record(value)
    return said(
        SidecarFacts(
            TOOL,
            hashes=one_file(**hashes(info.get("Hashes"))),
            model_id=whole(info.get("ModelId")),
            version_id=whole(info.get("VersionId")),
            name=name(info.get("ModelName")),
            version_name=name(info.get("VersionName")),
            model_type=name(info.get("ModelType")),
            base_model=name(info.get("BaseModel")),
            description=prose(info.get("ModelDescription")),
            version_description=prose(info.get("VersionDescription")),
            trigger_words=words(info.get("TrainedWords")),
            tags=tags(info.get("Tags")),
            creator=name(info.get("AuthorUsername")),
            source_url=link(info.get("SourceUrl")),
            nsfw=truth(info.get("Nsfw")),
            user=UserFacts(title=name(info.get("UserTitle"))),
        ),
        theirs=not _MARKS.isdisjoint(info),
    )


def write(known: Mapping[str, object] | None, out: Outgoing) -> Mapping[str, object] | None:
    """Return what the file is to say, nothing where nobody said anything; `None` if it is of another tool."""
    facts = SidecarFacts(TOOL) if not known else read(known)
    if facts is None:
        return None
    draft, shown = Draft(known, out, facts), out.shown
    draft.say("model_id", "ModelId", facts.model_id, remote=True)
    draft.say("model_name", "ModelName", facts.name, remote=True)
    draft.say("description", "ModelDescription", facts.description, remote=True)
    draft.tag("Tags", facts.tags)
    draft.say("model_type", "ModelType", facts.model_type, remote=True)
    draft.say("version_id", "VersionId", facts.version_id, remote=True)
    draft.say("version_name", "VersionName", facts.version_name, remote=True)
    draft.say("version_description", "VersionDescription", facts.version_description, remote=True)
    draft.say("creator", "AuthorUsername", facts.creator, remote=True)
    draft.say("base_model", "BaseModel", facts.base_model, remote=True)
    if not same_words(facts.trigger_words, shown.triggers):
        draft.say("triggers", "TrainedWords", facts.trigger_words, phrases(shown.triggers))
    if by_user(out, "name"):
        draft.say("name", "UserTitle", facts.user.title)
    if by_user(out, "nsfw_level") and shown.nsfw_level is not None:
        draft.members["Nsfw"] = shown.nsfw_level >= _R
    if out.version_raw is not None and draft.agrees:
        for key, value in _remote(out):
            draft.renew(key, value)
    return draft.members if known or not draft.members else {**_new(out), **draft.members}


def _remote(out: Outgoing) -> Iterator[tuple[str, object]]:
    """Give what Civitai's answers say of version and file, and where to find them."""
    files = record(out.version_raw).get("files")
    file = _file(files if isinstance(files, list) else [], out.hashes.get("sha256"))
    details = record(file.get("metadata"))
    yield "RemoteFileName", name(file.get("name"))
    yield "RemoteFileId", whole(file.get("id"))
    yield "FileMetadata", {key: word for key in _FILE if (word := name(details.get(key))) is not None}
    stats = record(record(out.model_raw).get("stats"))
    counts = {key: count for key in _COUNTS if (count := whole(stats.get(key), 0)) is not None}
    rating = number(stats.get("rating"), 0, 5)
    yield "Stats", counts if rating is None else {**counts, "rating": rating}
    levels = (each.nsfw for each in (out.model, out.version) if each is not None)
    yield "Nsfw", next((nsfw for nsfw in levels if nsfw is not None), None)
    yield "Source", "Civitai"
    yield "SourceUrl", page(out)


def _file(files: list[object], sha256: str | None) -> Mapping[str, object]:
    """Return the file that is ours by its hash, else the main one."""
    records = [record(file) for file in files]
    ours = (file for file in records if sha256 and hashes(file.get("hashes")).get("sha256") == sha256)
    return next(ours, next((file for file in records if file.get("primary") is True), {}))


def _new(out: Outgoing) -> Mapping[str, object]:
    """Return what a new file has to have, with our hashes: in another they would vouch for all of it."""
    return {
        "ModelId": None,
        "ModelName": out.shown.name,
        "ModelDescription": "",
        "Nsfw": False,
        "Tags": [],
        "ModelType": _TYPES.get(out.kind, "Other"),
        "VersionId": None,
        "VersionName": "",
        "ImportedAt": (_EPOCH + timedelta(milliseconds=out.now)).isoformat(),
        "Hashes": {kind.upper(): out.hashes[kind].upper() for kind in _HASHES if kind in out.hashes},
    }
