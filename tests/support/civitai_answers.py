"""Answers of Civitai's REST v1 as it gives them in 2026, built from the little that a test cares about.

A test builds the answer of `models/{id}`; what the other routes say of its versions is derived from that.
Sources: civitai/civitai src/pages/api/v1/models/[id].ts and src/pages/api/v1/model-versions/[id].ts.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Json = dict[str, Any]

SITE: Final = "https://civitai.com"
PUBLISHED: Final = "2026-03-01T10:00:00.000Z"
ARCHIVED: Final = "Archived"
TAKEN_DOWN: Final = "TakenDown"
_ECOSYSTEMS: Final[Mapping[str, str]] = {
    "SD 1.5": "sd1",
    "SDXL 1.0": "sdxl",
    "Pony": "sdxl",
    "Illustrious": "sdxl",
    "Flux.1 D": "flux1",
}
# Members of a version by itself, with what is said where its model does not say it.
_ALONE: Final[Mapping[str, object]] = {
    "name": "v1.0",
    "nsfwLevel": 1,
    "createdAt": PUBLISHED,
    "updatedAt": PUBLISHED,
    "status": "Published",
    "publishedAt": PUBLISHED,
    "trainedWords": [],
    "trainingStatus": None,
    "trainingDetails": None,
    "baseModel": "Other",
    "baseModelType": None,
    "description": None,
    "uploadType": "Created",
    "usageControl": "Download",
    "paidAccess": None,
    "stats": {"downloadCount": 0, "thumbsUpCount": 0},
}


def file_answer(
    sha256: str,
    *,
    autov3: str | None = None,
    blake3: str | None = None,
    hashes: Mapping[str, str] | None = None,
    **members: Any,
) -> Json:
    """Return a file with all six hashes, or with exactly `hashes`; those not given are made up."""
    made_up = {
        "AutoV1": _made_up("AutoV1", sha256)[:8],
        "AutoV2": sha256[:10].upper(),
        "SHA256": sha256.upper(),
        "CRC32": _made_up("CRC32", sha256)[:8],
        "BLAKE3": (blake3 or _made_up("BLAKE3", sha256)).upper(),
        "AutoV3": (autov3 or _made_up("AutoV3", sha256))[:12].upper(),
    }
    return {
        "sizeKB": 223231.3515625,
        "name": f"{sha256[:8]}.safetensors",
        "type": "Model",
        "pickleScanResult": "Success",
        "pickleScanMessage": "No Pickle imports",
        "virusScanResult": "Success",
        "virusScanMessage": None,
        "scannedAt": PUBLISHED,
        "metadata": {"format": "SafeTensor", "fp": "bf16"},
        "hashes": made_up if hashes is None else dict(hashes),
        **members,
    }


def image_answer(url: str, **members: Any) -> Json:
    """Return an example image at an address."""
    return {
        "url": url,
        "nsfwLevel": 1,
        "width": 832,
        "height": 1216,
        "hash": "U5IiO6s-4Vn+0~EO^5xa00VsL#IU_O?E7yWC",
        "type": "image",
        "minor": False,
        "poi": False,
        "hasMeta": True,
        "hasPositivePrompt": True,
        "onSite": False,
        "remixOfId": None,
        **members,
    }


def version_answer(
    version_id: int, files: Sequence[Json], *, images: Sequence[Json] = (), **members: Any
) -> Json:
    """Return a version as it stands in its model; `publishedAt` tells which of several is the oldest."""
    return {
        "id": version_id,
        "name": "v1.0",
        "baseModel": "SDXL 1.0",
        "baseModelType": "Standard",
        "publishedAt": PUBLISHED,
        "status": "Published",
        "availability": "Public",
        "nsfwLevel": 1,
        "description": "<p>The first.</p>",
        "trainedWords": ["a word"],
        "paidAccess": None,
        "stats": {"downloadCount": 12, "thumbsUpCount": 3, "thumbsDownCount": 0},
        "supportsGeneration": True,
        "files": [_pinned(file, version_id, place) for place, file in enumerate(files)],
        "images": [{"id": version_id * 100 + place, **image} for place, image in enumerate(images)],
        "downloadUrl": f"{SITE}/api/download/models/{version_id}",
        **members,
    }


def model_answer(
    model_id: int,
    versions: Sequence[Json],
    *,
    tags: Iterable[str] = (),
    creator: str | None = "somebody",
    **members: Any,
) -> Json:
    """Return a model; one without a creator is of a user who is not there any more."""
    maker = {} if creator is None else {"creator": {"username": creator, "image": None}}
    return {
        "id": model_id,
        "name": f"Model {model_id}",
        "description": "<p>What it is <b>for</b>.</p>",
        "allowNoCredit": True,
        "allowCommercialUse": ["Image", "RentCivit"],
        "allowDerivatives": True,
        "allowDifferentLicense": False,
        "type": "LORA",
        "minor": False,
        "sfwOnly": False,
        "poi": False,
        "nsfw": False,
        "nsfwLevel": 1,
        "availability": "Public",
        "userId": 7,
        "baseModels": sorted({str(version.get("baseModel")) for version in versions}),
        "cosmetic": None,
        "supportsGeneration": True,
        "stats": {
            "downloadCount": 34,
            "thumbsUpCount": 5,
            "thumbsDownCount": 0,
            "commentCount": 1,
            "tippedAmountCount": 0,
        },
        **maker,
        "tags": list(tags),
        "modelVersions": [{**version, "index": place} for place, version in enumerate(versions)],
        **members,
    }


def model_shown(model: Json, versions: Sequence[Json]) -> Json:
    """Return what `models/{id}` says of a model that has these of its versions left."""
    shown = [_as_the_mode_allows(version, model.get("mode")) for version in versions if version.get("files")]
    return {**model, "modelVersions": shown}


def version_shown(model: Json, version: Json) -> Json:
    """Return what `model-versions/{id}` says of a version: of its model only the little that it is told."""
    members = {name: version.get(name, otherwise) for name, otherwise in _ALONE.items()}
    ecosystem = _ECOSYSTEMS.get(members["baseModel"], "other")
    kind, number = str(model.get("type", "LORA")).lower(), version["id"]
    about = {name: model[name] for name in ("name", "type", "nsfw", "poi", "mode") if name in model}
    files = version.get("files", [])
    marked = any(file.get("primary") for file in files)
    alone = {
        "id": number,
        "modelId": model["id"],
        **members,
        "air": f"urn:air:{ecosystem}:{kind}:civitai:{model['id']}@{number}",
        "model": about,
        "files": [
            {**file, "primary": bool(file.get("primary", place == 0 and not marked))}
            for place, file in enumerate(files)
        ],
        "images": [_without(image, "id") for image in version.get("images", [])],
        "downloadUrl": version.get("downloadUrl", f"{SITE}/api/download/models/{number}"),
    }
    return _as_the_mode_allows(alone, model.get("mode"))


def is_published(version: Json) -> bool:
    """Whether a version is shown to anybody."""
    return bool(version.get("status", "Published") == "Published")


def _as_the_mode_allows(version: Json, mode: object) -> Json:
    if mode == ARCHIVED:
        return {**_without(version, "downloadUrl"), "files": []}
    return {**version, "images": []} if mode == TAKEN_DOWN else version


def _pinned(file: Json, version_id: int, place: int) -> Json:
    url = f"{SITE}/api/download/models/{version_id}"
    first = {"primary": True, "downloadUrl": url}
    return {
        "id": version_id * 10 + place,
        **(first if place == 0 else {"downloadUrl": f"{url}?n={place}"}),
        **file,
    }


def _without(answer: Json, name: str) -> Json:
    return {key: value for key, value in answer.items() if key != name}


def _made_up(kind: str, sha256: str) -> str:
    return hashlib.sha256(f"{kind} of {sha256}".lower().encode()).hexdigest().upper()
