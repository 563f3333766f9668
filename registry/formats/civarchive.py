"""Answers of CivArchive, an archive of what Civitai had, decoded from parsed JSON.

It documents no API. That an answer may stand in `data`, that a model has its one `version` within or beside
it, and which members differ from Civitai's (`trigger`, `is_nsfw`, `nsfw_level`, `creator_username`, counters
and `sha256` of a file by themselves, `mirrors`), is what its clients read: willmiao/ComfyUI-Lora-Manager,
py/services/civarchive_client.py and tests/services/test_civarchive_client.py. It has models of other sites
too, whose numbers are not Civitai's: those are none here. Nothing here raises for any JSON value.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.formats import civitai
from registry.formats.values import as_int

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from registry.told import RemoteModel, RemoteVersion

MAX_PLACES: Final = 3
_SITE: Final = "civitai"
_SITE_MEMBERS: Final = ("platform",)
_FILE_SITE_MEMBERS: Final = ("platform", "source")
_CREATOR_MEMBERS: Final = ("creator_username", "username", "creator_name")
_COUNTERS: Final = (
    "downloadCount",
    "ratingCount",
    "rating",
    "favoriteCount",
    "commentCount",
    "thumbsUpCount",
)
_MOST_DIGITS: Final = 18
_MOST_MIRRORS: Final = 50


class Place(NamedTuple):
    """A version of Civitai by its number and that of its model."""

    model_id: int
    version_id: int


def version_of(value: object) -> RemoteVersion | None:
    """Return the version in an answer of `sha256` or `models`, or `None` without one of Civitai."""
    answer = as_civitai(value)
    return None if answer is None else civitai.version_of(answer)


def model_of(value: object) -> RemoteModel | None:
    """Return the model in an answer of `sha256` or `models`, or `None` without one of Civitai.

    Its versions are known by number and name only, but for the one that the answer is about.
    """
    parts = _parts(value)
    model_id = _id(parts.model.get("id"))
    if model_id is None or not _is_of_civitai(parts.model, parts.version):
        return None
    full = _version(parts)
    listed = list(islice(_objects(parts.model.get("versions")), civitai.MAX_VERSIONS))
    numbers = [_id(each.get("id")) for each in listed]
    versions: list[object] = list(listed)
    if full is not None and full["id"] in numbers:
        versions[numbers.index(_id(full["id"]))] = full
    elif full is not None:
        versions.insert(0, full)
    return civitai.model_of(
        {
            **parts.model,
            "id": model_id,
            "creator": {"username": _first_text(parts.model, _CREATOR_MEMBERS)},
            "nsfw": _nsfw(parts.model),
            "nsfwLevel": _level(parts.model),
            "stats": _stats(parts.model),
            "modelVersions": versions,
        }
    )


def places_of(value: object) -> tuple[Place, ...]:
    """Return where a file is, of an answer that has no version but names some by number; a few at most."""
    parts = _parts(value)
    found = (
        Place(model_id, version_id)
        for file in parts.files
        if _is_of_civitai(file, members=_FILE_SITE_MEMBERS)
        and (model_id := _number(file, "model_id", "modelId")) is not None
        and (version_id := _number(file, "model_version_id", "modelVersionId")) is not None
    )
    return tuple(islice(dict.fromkeys(found), MAX_PLACES))


def as_civitai(value: object) -> Mapping[str, object] | None:
    """Return what Civitai would answer of the version in an answer, or `None` without one of Civitai."""
    parts = _parts(value)
    return _version(parts) if _is_of_civitai(parts.model, parts.version) else None


class _Parts(NamedTuple):
    """A model, its version, and the files that are named beside them."""

    model: Mapping[str, object]
    version: Mapping[str, object]
    files: list[dict[str, object]]


def _parts(value: object) -> _Parts:
    answer = _object(value)
    whole = _object(answer.get("data")) or answer
    model = _object(whole.get("model")) or whole
    version = _object(whole.get("version")) or _object(model.get("version"))
    beside = [*_objects(whole.get("files")), *(() if model is whole else _objects(model.get("files")))]
    ours, said = _id(version.get("modelId")), _id(model.get("id"))
    if ours is not None and said is not None and ours != said:
        # Asked for a version and another model, it tells of both.
        model = {}
    return _Parts(model, version, beside[: civitai.MAX_FILES])


def _version(parts: _Parts) -> dict[str, object] | None:
    version, model = parts.version, parts.model
    version_id = _id(version.get("id"))
    if version_id is None:
        return None
    words = _said(version, "trigger", "trainedWords")
    files = list(_objects(version.get("files"))) or [
        each
        for each in parts.files
        if _number(each, "model_version_id", "modelVersionId") in {None, version_id}
    ]
    level = _level(version)
    return {
        **version,
        "id": version_id,
        "modelId": _id(version.get("modelId")) or _id(model.get("id")),
        "model": {"name": model.get("name"), "type": model.get("type"), "nsfw": _nsfw(model)},
        "trainedWords": [words] if isinstance(words, str) else words,
        "nsfwLevel": _level(model) if level is None else level,
        "stats": _stats(version),
        "files": [_file(each, alone=len(files) == 1) for each in files[: civitai.MAX_FILES]],
    }


def _file(file: Mapping[str, object], *, alone: bool) -> dict[str, object]:
    mirrors = islice(_objects(file.get("mirrors")), _MOST_MIRRORS)
    mirror = next((each for each in mirrors if each.get("deletedAt") is None), {})
    digest = file.get("sha256")
    return {
        **file,
        "name": civitai.text(file.get("name"), civitai.MAX_NAME) or mirror.get("filename"),
        "primary": alone or file.get("is_primary") is True or file.get("primary") is True,
        "hashes": _object(file.get("hashes")) | ({} if digest is None else {"SHA256": digest}),
        "downloadUrl": civitai.web_address(file.get("downloadUrl")) or mirror.get("url"),
    }


def _is_of_civitai(*parts: Mapping[str, object], members: Iterable[str] = _SITE_MEMBERS) -> bool:
    """Whether nothing says that these are of another site."""
    said = (part.get(member) for member in members for part in parts)
    return all(site is None or (isinstance(site, str) and site.lower() == _SITE) for site in said)


def _nsfw(part: Mapping[str, object]) -> object:
    return _said(part, "is_nsfw", "nsfw")


def _level(part: Mapping[str, object]) -> object:
    return _said(part, "nsfw_level", "nsfwLevel")


def _said(part: Mapping[str, object], *members: str) -> object:
    return next((part[member] for member in members if part.get(member) is not None), None)


def _stats(part: Mapping[str, object]) -> dict[str, object]:
    return {**_object(part.get("stats")), **{name: part[name] for name in _COUNTERS if name in part}}


def _first_text(part: Mapping[str, object], members: Iterable[str]) -> str | None:
    found = (civitai.text(part.get(member), civitai.MAX_NAME) for member in members)
    return next((each for each in found if each is not None), None)


def _number(part: Mapping[str, object], *members: str) -> int | None:
    return next((found for member in members if (found := _id(part.get(member))) is not None), None)


def _id(value: object) -> int | None:
    """Return a number of Civitai, also where it is written as a text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS:
        value = int(value)
    found = as_int(value)
    return found if found is not None and found > 0 else None


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Iterator[dict[str, object]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())
