"""Versions and models in the shapes that Civitai's REST v1 has in 2026, made from what is shown.

Source: civitai/civitai src/server/selectors/modelVersion.selector.ts and src/pages/api/v1/models. What is not
known is left out where Civitai leaves out what is null, and nothing says that anybody scanned a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.wire.civitai_words import (
    OTHER,
    base_model,
    counted,
    is_nsfw,
    model_type,
    moment,
    title,
    trained_words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from registry.shown import Entry
    from registry.told import RemoteFile, RemoteImage

    DownloadUrl = Callable[[Entry], str]
    Shows = Callable[[RemoteImage], bool]

# Our kinds of hashes -> Civitai's names.
_HASHES: Final[Mapping[str, str]] = {
    "autov1": "AutoV1",
    "autov2": "AutoV2",
    "autov3": "AutoV3",
    "sha256": "SHA256",
    "crc32": "CRC32",
    "blake3": "BLAKE3",
}
# What those are the beginnings of: Civitai's name of it, ours, how many digits.
_CUT: Final = (("autov2", "sha256", 10), ("autov3", "data_sha256", 12))
_FORMATS: Final[Mapping[str, str]] = {
    ".safetensors": "SafeTensor",
    ".sft": "SafeTensor",
    ".pt": "PickleTensor",
    ".pth": "PickleTensor",
    ".ckpt": "PickleTensor",
    ".bin": "PickleTensor",
}
_PRECISIONS: Final = frozenset({"fp16", "fp32", "bf16"})
_UNSCANNED: Final = "Pending"
_NO_VERSION_STATS: Final = {"downloadCount": 0.0, "thumbsUpCount": 0.0, "thumbsDownCount": 0.0}
_NO_MODEL_STATS: Final = {**_NO_VERSION_STATS, "commentCount": 0.0, "tippedAmountCount": 0.0}
_PUBLIC: Final = "Public"
_GONE: Final = "Archived"


def version_id(entry: Entry) -> int:
    """Return the id of the version on Civitai, else that of the lora as a negative number."""
    return entry.shown.version_id or -entry.lora_id


def model_id(entry: Entry) -> int:
    """Return the id of the model on Civitai, else that of the lora as a negative number."""
    return entry.shown.model_id or -entry.lora_id


def digests(entry: Entry) -> dict[str, str]:
    """Return the hashes of a file as Civitai would have them, by our names, in lower-case hex."""
    found = {kind: digest for kind, digest in entry.hashes.items() if kind in _HASHES}
    for kind, whole, digits in _CUT:
        if whole in entry.hashes:
            found[kind] = entry.hashes[whole][:digits]
    return found


def shaped_version(entries: Sequence[Entry], *, download_url: DownloadUrl, shows: Shows) -> dict[str, object]:
    """Return a version by itself; `entries` are its files, one at least."""
    first = entries[0]
    told = _within(entries, download_url, shows)
    mode = _mode(entries, first.version.mode if first.version else None)
    return {
        "id": told.pop("id"),
        "modelId": model_id(first),
        **told,
        "uploadType": "Created",
        "usageControl": "Download",
        "trainingStatus": None,
        "trainingDetails": None,
        "model": {"name": title(first.shown), "type": model_type(first), "nsfw": is_nsfw(first), "poi": False}
        | mode,
    }


def shaped_model(entries: Sequence[Entry], *, download_url: DownloadUrl, shows: Shows) -> dict[str, object]:
    """Return a model with the versions that its files, of which there is one at least, belong to."""
    first = entries[0]
    shown = first.shown
    licence = shown.licence
    by_version: dict[int, list[Entry]] = {}
    for entry in entries:
        by_version.setdefault(version_id(entry), []).append(entry)
    versions = [_within(each, download_url, shows) for each in by_version.values()]
    allowed = {
        "allowNoCredit": licence.no_credit,
        "allowCommercialUse": None if licence.commercial_use is None else list(licence.commercial_use),
        "allowDerivatives": licence.derivatives,
        "allowDifferentLicense": licence.different_licence,
    }
    return {
        "id": model_id(first),
        "name": title(shown),
        "description": shown.description,
        **_known(allowed),
        "type": model_type(first),
        "minor": False,
        "sfwOnly": False,
        "poi": False,
        "nsfw": is_nsfw(first),
        **_known({"nsfwLevel": (first.model.nsfw_level if first.model else None) or shown.nsfw_level}),
        "availability": _PUBLIC,
        "baseModels": list(dict.fromkeys(each["baseModel"] for each in versions)),
        "cosmetic": None,
        "supportsGeneration": False,
        "stats": _stats(first.model.stats if first.model else _NO_MODEL_STATS),
        **({} if shown.creator is None else {"creator": {"username": shown.creator, "image": None}}),
        "tags": list(shown.tags),
        "modelVersions": [{"id": each["id"], "index": index, **each} for index, each in enumerate(versions)],
        **_mode(entries, first.model.mode if first.model else None),
    }


def shaped_file(entry: Entry, *, link: str, primary: bool = True) -> dict[str, object]:
    """Return a file of ours, whose id is negative as well."""
    precision = entry.header.get("precision")
    return {
        "id": -entry.file_id,
        "sizeKB": entry.size / 1024,
        "name": entry.name + entry.ext,
        "type": "Model",
        **_scans(),
        "metadata": {
            "format": _FORMATS.get(entry.ext.lower(), OTHER),
            "size": None,
            "fp": precision if precision in _PRECISIONS else None,
        },
        "hashes": _named(digests(entry)),
        "primary": primary,
        "downloadUrl": link,
    }


def _within(entries: Sequence[Entry], download_url: DownloadUrl, shows: Shows) -> dict[str, object]:
    """Return a version as it stands within its model."""
    first = entries[0]
    shown, told = first.shown, first.version
    created = _iso((told.created_at if told else None) or first.added)
    early = _iso(told.early_access_until if told else None)
    files = _files(entries, download_url)
    main = next((file for file in files if file["primary"]), files[0])
    return {
        "id": version_id(first),
        "name": shown.version_name or first.name,
        "description": shown.version_description,
        "baseModel": base_model(first) or OTHER,
        "baseModelType": None,
        "status": "Published",
        "availability": (told.availability if told else None) or _PUBLIC,
        **_known({"nsfwLevel": shown.nsfw_level}),
        "createdAt": created,
        "updatedAt": _iso((told.updated_at if told else None) or first.modified),
        "publishedAt": _iso(told.published_at if told else None) or created,
        "trainedWords": trained_words(shown),
        "paidAccess": None if early is None else {"endsAt": early},
        "stats": _stats(told.stats if told else _NO_VERSION_STATS),
        "supportsGeneration": False,
        "files": files,
        "images": [_image(image) for image in shown.images if shows(image)],
        **_known({"downloadUrl": main.get("downloadUrl")}),
    }


def _files(entries: Sequence[Entry], download_url: DownloadUrl) -> list[dict[str, object]]:
    """Return the files that Civitai has, those that are here with links to here, and then ours alone."""
    told = entries[0].version.files if entries[0].version else ()
    left = list(entries)
    files = []
    for file in told:
        ours = next((entry for entry in left if _are_same(file.hashes, digests(entry))), None)
        if ours is not None:
            left.remove(ours)
        files.append(_their_file(file, file.download_url if ours is None else download_url(ours)))
    for entry in left:
        files.append(shaped_file(entry, link=download_url(entry), primary=not files))
    return files


def _are_same(theirs: Mapping[str, str], ours: Mapping[str, str]) -> bool:
    """Whether two files are equal byte for byte by a hash that tells as much."""
    both = [kind for kind in ("sha256", "blake3", "autov2") if kind in theirs and kind in ours]
    return bool(both) and theirs[both[0]] == ours[both[0]]


def _their_file(file: RemoteFile, link: str | None) -> dict[str, object]:
    size = None if file.size is None else file.size / 1024
    return {
        **_known({"id": file.id, "sizeKB": size, "name": file.name, "type": file.type}),
        **_scans(),
        "metadata": {"format": file.format, "size": None, "fp": file.precision},
        "hashes": _named(file.hashes),
        "primary": file.primary,
        **_known({"downloadUrl": link}),
    }


def _image(image: RemoteImage) -> dict[str, object]:
    sides = {"width": image.width, "height": image.height, "hash": image.blurhash}
    return {
        "url": image.url,
        **_known({"nsfwLevel": image.nsfw_level, **sides}),
        "type": "video" if image.video else "image",
        "meta": dict(image.meta) or None,
        "hasMeta": bool(image.meta),
    }


def _scans() -> dict[str, object]:
    return {
        "pickleScanResult": _UNSCANNED,
        "pickleScanMessage": None,
        "virusScanResult": _UNSCANNED,
        "virusScanMessage": None,
        "scannedAt": None,
    }


def _named(found: Mapping[str, str]) -> dict[str, str]:
    return {name: found[kind].upper() for kind, name in _HASHES.items() if kind in found}


def _mode(entries: Sequence[Entry], told: str | None) -> dict[str, str]:
    """Return the mark of a model that is no longer whole: theirs, else ours where all of it is gone."""
    gone = all(entry.shown.gone_at is not None for entry in entries)
    mode = told or (_GONE if gone else None)
    return {} if mode is None else {"mode": mode}


def _stats(told: Mapping[str, float]) -> dict[str, int | float]:
    return {name: counted(number) for name, number in told.items()}


def _known(members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}


def _iso(at: int | None) -> str | None:
    time = moment(at)
    return None if time is None else time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
