"""Answers of Civitai's REST v1, of every generation since 2023, decoded from parsed JSON.

The shapes are those of civitai/civitai, src/pages/api/v1/models and src/pages/api/v1/model-versions. Nothing
here raises for any JSON value: unknown words are kept, what is odd is left out, what is long is cut.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from registry.formats.nsfw import highest_of
from registry.formats.packing import clean_text
from registry.formats.values import MAX_INT, as_float, as_int, is_shallow
from registry.told import Licence, RemoteFile, RemoteImage, RemoteModel, RemoteVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")

MAX_NAME: Final = 500
MAX_DESCRIPTION: Final = 200_000
MAX_WORD: Final = 2_000
MAX_URL: Final = 4_000
MAX_WORDS: Final = 1_000
MAX_TAGS: Final = 500
MAX_USES: Final = 50
MAX_STATS: Final = 100
MAX_FILES: Final = 200
MAX_IMAGES: Final = 500
MAX_VERSIONS: Final = 1_000
MAX_META: Final = 20_000
_META_LEVELS: Final = 32
_DATE_LENGTHS: Final = range(10, 41)

# Civitai's name in lower case, the lengths in hex digits that it is sent in, and the hash of nothing, which
# is left out. Others are cut to its length.
_HASHES: Final[Mapping[str, tuple[frozenset[int], str]]] = {
    "sha256": (frozenset({64}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    "blake3": (frozenset({64}), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
    "autov1": (frozenset({8}), "e3b0c442"),
    "autov2": (frozenset({10}), "e3b0c44298"),
    "autov3": (frozenset({12, 64}), "e3b0c44298fc"),
    "crc32": (frozenset({8}), "00000000"),
}
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")

_MAX_LEVEL: Final = 63
_LEVELS: Final[Mapping[str, int]] = {"None": 1, "Soft": 2, "Mature": 4, "X": 8, "Blocked": 32}
# The exactest first: /images says the bits in `browsingLevel` and a name in `nsfwLevel`.
_LEVEL_MEMBERS: Final = ("browsingLevel", "nsfwLevel", "nsfw")

_CREATOR_MEMBERS: Final = ("username", "name")
_EARLY_ACCESS_MEMBERS: Final = ("earlyAccessEndsAt", "earlyAccessDeadline")
_URL: Final = re.compile(r"https?://[^\s\x00-\x1f\x7f\ud800-\udfff]+", re.IGNORECASE)
_VIDEO: Final = re.compile(r"[^?#]*\.(?:mp4|webm)(?:[?#].*)?", re.IGNORECASE)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def version_of(value: object) -> RemoteVersion | None:
    """Return the version in an answer of by-hash or model-versions, or `None` where it cannot be one.

    Source: civitai/civitai src/pages/api/v1/model-versions/[id].ts and by-hash/[hash].ts, whose `model` has
    neither id, creator, tags nor licence.
    """
    answer = _object(value)
    model = _object(answer.get("model"))
    return _version(answer, model, _positive(answer.get("modelId")) or _positive(model.get("id")))


def model_of(value: object) -> RemoteModel | None:
    """Return the model in an answer of models, or `None` where it cannot be one.

    Source: civitai/civitai src/pages/api/v1/models/[id].ts and models/index.ts, where it is one of `items`.
    """
    answer = _object(value)
    if not _may_be_model(answer):
        return None
    model_id = _positive(answer.get("id"))
    versions = (_version_within(each, answer, model_id) for each in _list(answer.get("modelVersions")))
    return RemoteModel(
        id=model_id,
        name=text(answer.get("name"), MAX_NAME),
        type=text(answer.get("type"), MAX_NAME),
        description=text(answer.get("description"), MAX_DESCRIPTION),
        creator=_creator(answer.get("creator")),
        tags=texts(map(_tag, _list(answer.get("tags"))), MAX_NAME, MAX_TAGS),
        nsfw=_boolean(answer.get("nsfw")),
        nsfw_level=nsfw_level(answer.get("nsfwLevel")),
        licence=_licence(answer),
        mode=text(answer.get("mode"), MAX_NAME),
        stats=_stats(answer.get("stats")),
        versions=_first(versions, MAX_VERSIONS),
    )


def image_of(value: object) -> RemoteImage | None:
    """Return an example image or video, or `None` without a web address.

    Generation data are kept as sent, but for NUL and lone surrogates; they are left out whole where they nest
    more than 32 levels or where their JSON would be longer than about 20,000 characters.
    Source: civitai/civitai src/pages/api/v1/model-versions/[id].ts and src/pages/api/v1/images/index.ts.
    """
    image = _object(value)
    url = web_address(image.get("url"))
    if url is None:
        return None
    levels = (nsfw_level(image.get(member)) for member in _LEVEL_MEMBERS)
    return RemoteImage(
        url=url,
        width=_positive(image.get("width")),
        height=_positive(image.get("height")),
        nsfw_level=next((level for level in levels if level is not None), None),
        video=image.get("type") == "video" or _VIDEO.fullmatch(url) is not None,
        blurhash=text(image.get("hash"), MAX_NAME),
        meta=_meta(image.get("meta")),
    )


def nsfw_level(value: object) -> int | None:
    """Return the level in bits, also of the names that were sent until 2024, or `None`.

    Source: civitai/civitai src/pages/api/v1/images/index.ts, which still sends both.
    """
    if isinstance(value, str):
        return _LEVELS.get(value)
    level = as_int(value)
    return level if level is not None and 0 <= level <= _MAX_LEVEL else None


def digest(kind: str, value: object) -> str | None:
    """Return a hash of a kind of `registry.told` in its lower-case form.

    `None` for what is not hex of a right length, and for the hash of nothing.
    """
    lengths, of_nothing = _HASHES[kind]
    if not isinstance(value, str) or len(value) not in lengths or not _HEX.fullmatch(value):
        return None
    kept = value[: len(of_nothing)].lower()
    return None if kept == of_nothing else kept


def hashes(value: object) -> dict[str, str]:
    """Return the hashes of an object that names them as Civitai does, in whatever case."""
    found = ((name.lower(), written) for name, written in _object(value).items())
    read = ((kind, digest(kind, written)) for kind, written in found if kind in _HASHES)
    return {kind: kept for kind, kept in read if kept is not None}


def text(value: object, longest: int) -> str | None:
    """Return the beginning of a text without NUL and lone surrogates; `None` if it is blank or no text."""
    if not isinstance(value, str):
        return None
    kept = clean_text(value[:longest])
    return kept if kept and not kept.isspace() else None


def texts(values: Iterable[object], longest: int, most: int | None) -> tuple[str, ...]:
    """Return the first texts that are not blank, as they are written."""
    return _first((text(value, longest) for value in values), most)


def web_address(value: object) -> str | None:
    """Return a web address; `None` for paths, other schemes and what is too long to be one."""
    if not isinstance(value, str) or len(value) > MAX_URL:
        return None
    return value if _URL.fullmatch(value) else None


def json_size(value: object, most: int) -> int:
    """Return about how many characters of JSON a value takes, looking no further than above `most`."""
    size = 0
    waiting = [value]
    while waiting and size <= most:
        item = waiting.pop()
        if isinstance(item, str):
            size += len(item) + 3
        elif isinstance(item, dict | list):
            size += len(item) + 2
            if size <= most:
                waiting.extend(item)
                waiting.extend(item.values() if isinstance(item, dict) else ())
        else:
            size += item.bit_length() // 3 + 1 if isinstance(item, int) else 4
    return size


def _version_within(value: object, model: Mapping[str, object], model_id: int | None) -> RemoteVersion | None:
    answer = _object(value)
    return _version(answer, model, model_id or _positive(answer.get("modelId")))


def _version(
    answer: Mapping[str, object], model: Mapping[str, object], model_id: int | None
) -> RemoteVersion | None:
    if not _may_be_version(answer):
        return None
    images = _first(map(image_of, _list(answer.get("images"))), MAX_IMAGES)
    return RemoteVersion(
        id=_positive(answer.get("id")),
        model_id=model_id,
        name=text(answer.get("name"), MAX_NAME),
        model_name=text(model.get("name"), MAX_NAME),
        model_type=text(model.get("type"), MAX_NAME),
        base_model=text(answer.get("baseModel"), MAX_NAME),
        description=text(answer.get("description"), MAX_DESCRIPTION),
        trained_words=texts(_list(answer.get("trainedWords")), MAX_WORD, MAX_WORDS),
        created_at=_time(answer.get("createdAt")),
        updated_at=_time(answer.get("updatedAt")),
        published_at=_time(answer.get("publishedAt")),
        availability=text(answer.get("availability"), MAX_NAME),
        early_access_until=_early_access_until(answer),
        nsfw=_boolean(model.get("nsfw")),
        nsfw_level=nsfw_level(answer.get("nsfwLevel")),
        mode=text(model.get("mode"), MAX_NAME),
        stats=_stats(answer.get("stats")),
        files=_first(map(_file, _list(answer.get("files"))), MAX_FILES),
        images=images,
        images_level=highest_of(image.nsfw_level for image in images),
    )


def _may_be_version(answer: Mapping[str, object]) -> bool:
    if isinstance(answer.get("modelVersions"), list):
        return False
    return (
        _positive(answer.get("id")) is not None
        or _positive(answer.get("modelId")) is not None
        or isinstance(answer.get("files"), list)
        or isinstance(answer.get("images"), list)
        or _is_named(answer)
    )


def _may_be_model(answer: Mapping[str, object]) -> bool:
    if isinstance(answer.get("modelVersions"), list):
        return True
    if _positive(answer.get("modelId")) is not None or isinstance(answer.get("files"), list):
        return False
    return _positive(answer.get("id")) is not None or _is_named(answer)


def _is_named(answer: Mapping[str, object]) -> bool:
    # An error that was sent as it was thrown has a name of its own.
    return "error" not in answer and text(answer.get("name"), MAX_NAME) is not None


def _file(value: object) -> RemoteFile | None:
    file = _object(value)
    if not file:
        return None
    metadata = _object(file.get("metadata"))
    return RemoteFile(
        id=_positive(file.get("id")),
        name=text(file.get("name"), MAX_NAME),
        size=_size(file.get("sizeKB")),
        type=text(file.get("type"), MAX_NAME),
        format=text(metadata.get("format"), MAX_NAME),
        precision=text(metadata.get("fp"), MAX_NAME),
        primary=file.get("primary") is True,
        hashes=hashes(file.get("hashes")),
        download_url=web_address(file.get("downloadUrl")),
    )


def _licence(answer: Mapping[str, object]) -> Licence:
    return Licence(
        no_credit=_boolean(answer.get("allowNoCredit")),
        commercial_use=_commercial_use(answer.get("allowCommercialUse")),
        derivatives=_boolean(answer.get("allowDerivatives")),
        different_licence=_boolean(answer.get("allowDifferentLicense")),
    )


def _commercial_use(value: object) -> tuple[str, ...] | None:
    """Return the allowed uses from a list, from one word (until 2024) or from PostgreSQL's `{Image,Rent}`."""
    if isinstance(value, str):
        written = text(value, MAX_DESCRIPTION)
        if written is None:
            return None
        value = [word.strip(' "') for word in written.strip().strip("{}").split(",")]
    return texts(value, MAX_NAME, MAX_USES) if isinstance(value, list) else None


def _early_access_until(answer: Mapping[str, object]) -> int | None:
    """Return when early access ends; what is paid for ever has no end.

    `paidAccess` is what earlyAccessEndsAt became in 2026, an object with `endsAt` or `permanent`.
    """
    paid = _object(answer.get("paidAccess"))
    ends = [paid.get("endsAt"), *(answer.get(member) for member in _EARLY_ACCESS_MEMBERS)]
    return next((time for time in map(_time, ends) if time is not None), None)


def _creator(value: object) -> str | None:
    creator = _object(value)
    names = (text(creator.get(member), MAX_NAME) for member in _CREATOR_MEMBERS)
    return next((name for name in names if name is not None), None)


def _tag(value: object) -> object:
    return value.get("name") if isinstance(value, dict) else value


def _stats(value: object) -> dict[str, float]:
    counts = (
        (clean_text(name[:MAX_NAME]), count)
        for name, written in _object(value).items()
        if (count := _number(written)) is not None and count >= 0
    )
    return dict(islice(counts, MAX_STATS))


def _meta(value: object) -> dict[str, object]:
    if not isinstance(value, dict) or json_size(value, MAX_META) > MAX_META:
        return {}
    if not is_shallow(value, _META_LEVELS):
        return {}
    return {clean_text(name): _cleaned(item) for name, item in value.items()}


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(name): _cleaned(item) for name, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _first(values: Iterable[T | None], most: int | None) -> tuple[T, ...]:
    return tuple(islice((value for value in values if value is not None), most))


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _positive(value: object) -> int | None:
    found = as_int(value)
    return found if found is not None and found > 0 else None


def _number(value: object) -> float | None:
    # An integer of hundreds of digits has no float.
    if isinstance(value, int) and not -MAX_INT <= value <= MAX_INT:
        return None
    return as_float(value)


def _size(kilobytes: object) -> int | None:
    number = _number(kilobytes)
    size = None if number is None or number < 0 else number * 1024
    return round(size) if size is not None and size <= MAX_INT else None


def _time(value: object) -> int | None:
    """Return milliseconds since the epoch of an ISO 8601 time, in UTC where it names no zone, as in 2023."""
    if not isinstance(value, str) or len(value) not in _DATE_LENGTHS:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND
