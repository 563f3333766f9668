"""`<stem>.cm-info.json` of StabilityMatrix, whose keys are in Pascal case.

Source: LykosAI/StabilityMatrix StabilityMatrix.Core/Models/ConnectedModelInfo.cs. `Source` is not read: only
models of Civitai have ids, CivArchive's being the same. Nor are `InferenceDefaults` and `ThumbnailImageUrl`.
"""

from __future__ import annotations

from typing import Final

from registry.formats.civitai import hashes
from registry.formats.sidecar_values import (
    link,
    name,
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

FAMILIES: Final = ("stability_matrix",)

_MARKS: Final = frozenset({"ModelId", "ModelName", "UserTitle", "VersionId"})


def read(value: object) -> SidecarFacts | None:
    """Return what StabilityMatrix says; `None` for a file of another tool."""
    info = record(value)
    return said(
        SidecarFacts(
            "stability-matrix",
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
