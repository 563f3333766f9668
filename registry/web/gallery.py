"""The pictures of a lora and the prompts that they were made with, within what may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.formats.nsfw import SHOWN_AS
from registry.web import words
from registry.web.presenters import Fact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registry.catalog.pictures import PictureView

_PICTURES: Final = 60
_PROMPTS: Final = 12
_PROMPT: Final = 8000
_VALUE: Final = 200
_SIDE: Final = 10_000
_SHAPE: Final = (2, 3)
_BESIDE: Final = "file"
SOURCES: Final[Mapping[str, str]] = {
    "user": "given by you",
    _BESIDE: "beside the file",
    "header": "in the header",
    "civitai": "from Civitai",
    "render": "drawn here",
}
"""Where a picture is from, as pages say it."""
# What generation data say of a picture, under the names that Civitai sends, and what that is called.
_SETTINGS: Final[Mapping[str, str]] = {
    "Model": "model",
    "sampler": "sampler",
    "steps": "steps",
    "cfgScale": "CFG scale",
    "seed": "seed",
    "Size": "size",
    "clipSkip": "clip skip",
    "Clip skip": "clip skip",
    "Denoising strength": "denoising strength",
}


class Thumb(NamedTuple):
    """A picture that may be shown; `url` is that of its thumbnail, `whole` of what came, if it was kept."""

    key: str
    url: str
    whole: str | None
    width: int
    height: int
    alt: str
    note: str
    cover: bool


class Prompt(NamedTuple):
    """How a picture was made."""

    thumb: Thumb | None
    positive: str
    negative: str
    settings: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """What may be shown; `hidden` pictures are not for their level, `absent` ones are not kept here."""

    thumbs: tuple[Thumb, ...]
    prompts: tuple[Prompt, ...]
    hidden: int
    absent: int


def gallery(
    pictures: Sequence[PictureView], shows: Callable[[int | None], bool], name: str, cover: str | None
) -> Gallery:
    """Return the pictures of a lora of that name; `cover` is the key of the one that the user chose."""
    shown = [one for one in pictures if shows(one.level)]
    kept = [one for one in shown if one.key is not None and one.thumbnail][:_PICTURES]
    thumbs = {one.key: _thumb(one, place, name, cover) for place, one in enumerate(kept, start=1) if one.key}
    made = ((thumbs.get(one.key or ""), one.meta) for one in shown)
    prompts = [found for thumb, meta in made if (found := _prompt(thumb, meta)) is not None]
    return Gallery(
        thumbs=tuple(thumbs.values()),
        prompts=tuple(prompts[:_PROMPTS]),
        hidden=len(pictures) - len(shown),
        absent=sum(one.key is None for one in shown),
    )


def _thumb(one: PictureView, place: int, name: str, cover: str | None) -> Thumb:
    key = one.key or ""
    width, height = one.width or _SHAPE[0], one.height or _SHAPE[1]
    level = "" if one.level is None else SHOWN_AS.get(one.level, "")
    source = SOURCES.get(one.source, "")
    beside = words.cut(one.name, _VALUE) if one.source == _BESIDE and one.name else ""
    parts = [f"{source}: {beside}" if beside else source, *_drawn(one.drawn), level]
    return Thumb(
        key=key,
        url=words.picture_url(key),
        whole=words.original_url(key) if one.original else None,
        width=min(max(width, 1), _SIDE),
        height=min(max(height, 1), _SIDE),
        alt=f"{'Video' if one.video else 'Picture'} {place} of {words.cut(name, _VALUE)}",
        note=", ".join(filter(None, parts)),
        cover=key == cover,
    )


def _drawn(drawn: Mapping[str, object]) -> Iterable[str]:
    """Yield what tells pictures that were drawn here from each other."""
    for name in ("weight", "seed"):
        value = drawn.get(name)
        if isinstance(value, int | float):
            yield f"{name} {words.number(value)}"


def _prompt(thumb: Thumb | None, meta: Mapping[str, object]) -> Prompt | None:
    positive, negative = (_text(meta.get(name)) for name in ("prompt", "negativePrompt"))
    if not positive:
        return None
    return Prompt(thumb, positive, negative, tuple(_settings(meta)))


def _text(value: object) -> str:
    return words.cut(value.strip(), _PROMPT) if isinstance(value, str) else ""


def _settings(meta: Mapping[str, object]) -> Iterable[Fact]:
    for key, name in _SETTINGS.items():
        value = meta.get(key)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            yield Fact(name, words.cut(words.number(value), _VALUE))
