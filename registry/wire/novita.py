"""The model routes of Novita AI: the older v2 with all that Civitai says, and v3.

Sources: the page "query civitai model" of its v2 documentation, `types/model.go` of novitalabs/golang-sdk,
and the page "Get Model" of its API reference for v3. Go clients read `data` without looking whether it is
there. Texts are never null, numbers only where nothing is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest
from registry.formats.sidecar_values import number
from registry.formats.sidecar_values import whole as whole_number
from registry.formats.values import MAX_INT, OddValueError, size
from registry.wire.civitai_words import (
    SITE,
    base_model,
    counted,
    is_nsfw,
    model_type,
    moment,
    title,
    trained_words,
)
from registry.wire.parameters import choices, flag, line, whole, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from registry.errors import RegistryError
    from registry.shown import Entry
    from registry.told import RemoteImage

    ImageUrl = Callable[[RemoteImage], str]

TYPES: Final = ("checkpoint", "lora", "vae", "controlnet", "upscaler", "textualinversion")
KINDS: Final[Mapping[str, str]] = {
    "checkpoint": "checkpoint",
    "lora": "lora",
    "vae": "vae",
    "controlnet": "controlnet",
    "textualinversion": "embedding",
}
"""Our kinds of what Novita's types are; of upscalers there are none."""
VISIBILITIES: Final = ("public", "private")
SOURCES: Final = ("civitai", "training", "uploading")
MAX_LIMIT: Final = 100
MAX_VERSION_ID: Final = 2**31 - 1
_CURSOR: Final = re.compile(r"c_([0-9]{1,9})", re.ASCII)

_LORAS: Final = ("LORA", "LoCon", "DoRA")
# From the least to the most that is allowed.
_USES: Final = ("None", "Image", "RentCivit", "Rent", "Sell")
# Civitai's former words for levels, the highest first.
_LEVELS: Final = ((32, "Blocked"), (8, "X"), (4, "Mature"), (2, "Soft"), (1, "None"))
_DONE: Final = 1
_REASONS: Final[Mapping[int, str]] = {
    400: "INVALID_REQUEST_BODY",
    401: "INVALID_API_KEY",
    403: "API_NOT_ALLOWED",
    404: "MODEL_NOT_FOUND",
}
_OTHER_REASON: Final = "SERVICE_NOT_AVAILABLE"


@dataclass(frozen=True, slots=True)
class Query:
    """What v3 was asked for; `None` and empty ask for nothing in particular.

    `public` and `civitai` are what Civitai knows, `private` and `uploading` all else; nothing is `training`.
    `tags` must all be there, `query` is looked for in names, file names and tags. `start` counts from 0.
    """

    visibility: str | None = None
    source: str | None = None
    types: tuple[str, ...] = ()
    is_sdxl: bool | None = None
    is_nsfw: bool | None = None
    is_inpainting: bool | None = None
    tags: tuple[str, ...] = ()
    query: str | None = None
    limit: int = MAX_LIMIT
    start: int = 0


def read_version_id(written: str) -> int:
    """Return the id of a version on Civitai; BadRequest for what cannot be one."""
    return whole("civitai_version_id", written, 1, MAX_VERSION_ID)


def read_type(params: Mapping[str, str]) -> str | None:
    """Return the type of models that v2 was asked for; BadRequest names those that there are."""
    return _choice("type", params, TYPES)


def read_query(params: Mapping[str, str]) -> Query:
    """Return what v3 was asked for; BadRequest says what a parameter may be."""
    return Query(
        visibility=_choice("filter.visibility", params, VISIBILITIES),
        source=_choice("filter.source", params, SOURCES),
        types=choices("filter.types", words("filter.types", [params.get("filter.types")]), TYPES),
        is_sdxl=flag("filter.is_sdxl", params.get("filter.is_sdxl")),
        is_nsfw=flag("filter.is_nsfw", params.get("filter.is_nsfw")),
        is_inpainting=flag("filter.is_inpainting", params.get("filter.is_inpainting")),
        tags=words("filter.tags", [params.get("filter.tags")]),
        query=line("filter.query", params.get("filter.query")),
        limit=_limit(params.get("pagination.limit")),
        start=_start(params.get("pagination.cursor")),
    )


def theirs(image: RemoteImage) -> str:
    """Return the address of an image where it was published."""
    return image.url


def model(entry: Entry, *, download_url: str, image_url: ImageUrl = theirs) -> dict[str, object]:
    """Return a model as v2 describes it: what is shown of the lora, and counters as Civitai last said them.

    `download_url` is where the file is had from when Civitai does not have it, `image_url` gives the address
    of an image here. Videos are left out.
    """
    shown, version = entry.shown, entry.version
    known = shown.version_id is not None
    images = [image for image in shown.images if not image.video]
    return {
        "id": None,
        "model_id": "",
        "hash": entry.hashes.get("sha256", "")[:10].upper(),
        "name": title(shown),
        "type": _type(entry),
        "version": "",
        "sd_name": entry.name + entry.ext,
        "third_source": "civitai" if known else "",
        "enable": None,
        "download_name": entry.name + entry.ext,
        "download_status": _DONE,
        "dependency_status": _DONE,
        "delete_time": "",
        "create_time": "",
        "update_time": "",
        "civitai_link": "" if shown.model_id is None else f"{SITE}/models/{shown.model_id}",
        "civitai_model_id": shown.model_id,
        "civitai_version_id": shown.version_id,
        "civitai_nsfw": is_nsfw(entry),
        "civitai_allow_commercial_use": _commercial_use(shown.licence.commercial_use),
        "civitai_allow_different_license": bool(shown.licence.different_licence),
        "civitai_download_url": (
            f"{SITE}/api/download/models/{shown.version_id}"
            if known and shown.gone_at is None
            else download_url
        ),
        "civitai_create_at": _date(version.created_at if version else None),
        "civitai_update_at": _date(version.updated_at if version else None),
        "civitai_trained_words": ",".join(trained_words(shown)),
        "civitai_tags": ",".join(shown.tags),
        **_counters(entry),
        "civitai_images": [_image(image, image_url) for image in images],
        **_first(images[0] if images else None, image_url),
        "civitai_dependency_model_name": "",
        "civitai_dependency_version_id": None,
    }


def envelope(code: int, msg: str, data: Mapping[str, object]) -> dict[str, object]:
    """Return an answer of v2, which is sent with HTTP 200 whatever it says: code 0 is success."""
    return {"code": code, "msg": msg, "data": data}


def found(entry: Entry, *, download_url: str, image_url: ImageUrl = theirs) -> dict[str, object]:
    """Return the answer of v2 to the id of a version."""
    return envelope(0, "", {"model": model(entry, download_url=download_url, image_url=image_url)})


def listed(models: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Return the list of v2, which has no pages."""
    return envelope(0, "", {"models": list(models)})


def failed(error: RegistryError) -> dict[str, object]:
    """Return the answer of v2 that says what is wrong."""
    return envelope(error.status, str(error), {})


def model_v3(
    entry: Entry, *, download_url: str, download_ttl: int = 0, cover_url: str = ""
) -> dict[str, object]:
    """Return a model as v3 describes it; `id` is that of the lora.

    `download_ttl` is for how many seconds the link to the file holds, 0 if it does not end.
    """
    file_name = entry.name + entry.ext
    inpainting = "inpaint" in f"{entry.base_model or ''} {entry.shown.base_model or ''}".lower()
    return {
        "id": entry.lora_id,
        "name": title(entry.shown),
        "hash_sha256": entry.hashes.get("sha256", "").upper(),
        "sd_name": file_name,
        "type": {"name": _type(entry), "display_name": model_type(entry)},
        "categories": [],
        "status": _DONE,
        "download_url": download_url,
        "tags": list(dict.fromkeys((*entry.shown.tags, *entry.shown.user_tags))),
        "cover_url": cover_url,
        "source": "uploading" if entry.shown.version_id is None else "civitai",
        "base_model": base_model(entry) or "",
        "base_model_type": "Inpainting" if inpainting else "Standard",
        "download_url_ttl": download_ttl,
        "sd_name_in_api": file_name,
        "is_nsfw": is_nsfw(entry),
    }


def models_v3(page: Iterable[Mapping[str, object]], *, next_start: int | None) -> dict[str, object]:
    """Return a page of v3; `next_start` is how many models come before the next one, `None` for the last."""
    cursor = "" if next_start is None else f"c_{next_start}"
    return {"models": list(page), "pagination": {"next_cursor": cursor}}


def failed_v3(error: RegistryError) -> dict[str, object]:
    """Return the answer of v3 that says what is wrong, sent with the status of the error."""
    reason = _REASONS.get(error.status, _OTHER_REASON)
    return {"code": error.status, "reason": reason, "message": str(error), "metadata": {}}


def _choice(name: str, params: Mapping[str, str], known: Iterable[str]) -> str | None:
    given = line(name, params.get(name))
    return choices(name, [given], known)[0] if given else None


def _limit(written: str | None) -> int:
    return whole("pagination.limit", written, 1, MAX_LIMIT) if written else MAX_LIMIT


def _start(cursor: str | None) -> int:
    if not cursor:
        return 0
    place = _CURSOR.fullmatch(cursor)
    if place is None:
        raise BadRequest("pagination.cursor is no place in a list", remedy="pass next_cursor on as it is")
    return int(place[1])


def _type(entry: Entry) -> str:
    kind = model_type(entry)
    return "lora" if kind in _LORAS else kind.lower()


def _commercial_use(uses: tuple[str, ...] | None) -> str:
    """Return the most that is allowed, as the one word that Civitai had for it until 2024."""
    if uses is None:
        return ""
    allowed = [use for use in _USES if use in uses]
    return allowed[-1] if allowed else _USES[0]


def _date(at: int | None) -> str:
    time = moment(at)
    return "" if time is None else time.replace(tzinfo=None).isoformat(" ", "seconds")


def _counters(entry: Entry) -> dict[str, object]:
    told = entry.model or entry.version
    stats = told.stats if told is not None else {}
    return {
        "civitai_download_count": counted(stats.get("downloadCount", 0)),
        # Since 2024 likes are thumbs, and the former counter is 0 where it is sent at all.
        "civitai_favorite_count": counted(stats.get("favoriteCount", 0) or stats.get("thumbsUpCount", 0)),
        "civitai_comment_count": counted(stats.get("commentCount", 0)),
        "civitai_rating_count": counted(stats.get("ratingCount", 0)),
        "civitai_rating": counted(stats.get("rating", 0)),
    }


def _image(image: RemoteImage, image_url: ImageUrl) -> dict[str, object]:
    width, height = _sides(image)
    made = _made(image)
    model_name = _text(image.meta.get("Model"))
    # The recorded answer has the sides of `meta` interchanged, and those of the first image right.
    meta = {**made, "height": width, "width": height, "model_name": model_name}
    return {"url": image_url(image), "nsfw": _level(image.nsfw_level), "meta": meta}


def _first(image: RemoteImage | None, image_url: ImageUrl) -> dict[str, object]:
    made = _made(image)
    width, height = _sides(image)
    return {
        "civitai_image_url": image_url(image) if image else "",
        "civitai_image_nsfw": _level(image.nsfw_level) if image else "",
        "civitai_origin_image_url": image.url if image else "",
        "civitai_image_prompt": made["prompt"],
        "civitai_image_negative_prompt": made["negative_prompt"],
        "civitai_image_sampler_name": made["sampler_name"],
        "civitai_image_height": height,
        "civitai_image_width": width,
        "civitai_image_steps": made["steps"],
        "civitai_image_cfg_scale": made["cfg_scale"],
        "civitai_image_seed": made["seed"],
    }


def _made(image: RemoteImage | None) -> dict[str, object]:
    """Return how an image was made, as A1111 writes it and Civitai sends it."""
    meta = image.meta if image is not None else {}
    scale = number(meta.get("cfgScale"), -MAX_INT, MAX_INT)
    return {
        "prompt": _text(meta.get("prompt")),
        "negative_prompt": _text(meta.get("negativePrompt")),
        "sampler_name": _text(meta.get("sampler")),
        "steps": whole_number(meta.get("steps"), 0),
        "cfg_scale": None if scale is None else counted(scale),
        "seed": whole_number(meta.get("seed"), -MAX_INT),
    }


def _sides(image: RemoteImage | None) -> tuple[int | None, int | None]:
    """Return width and height of an image, from its generation data where nothing else tells them."""
    if image is None:
        return None, None
    if image.width is not None and image.height is not None:
        return image.width, image.height
    try:
        return size(_text(image.meta.get("Size"))) or (None, None)
    except OddValueError:
        return None, None


def _level(level: int | None) -> str:
    """Return Civitai's former word for a level; what nobody rated has none, and is not called safe."""
    return next((word for bit, word in _LEVELS if (level or 0) >= bit), "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
