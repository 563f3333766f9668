"""What a request is told of one lora, and of lists, by its limits of levels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from registry.catalog.showing import known_of
from registry.errors import Forbidden
from registry.formats.covers import without_pictures
from registry.formats.showing import limited

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from registry.api.profiles import Limits
    from registry.formats.nsfw import Words
    from registry.links import Link, LinkedVersion
    from registry.views import LoraDetail, LoraView, SidecarView

_IMAGES: Final = "images"
_LEVEL: Final = "nsfw_level"


def told_of(
    conn: Connection, views: Sequence[LoraView], limits: Limits, words: Words | None
) -> list[LoraView]:
    """Return those of the loras that a request is told of."""
    if limits.entries is None:
        return list(views)
    known = known_of(conn, [view.id for view in views], words=words)
    return [view for view in views if limits.lists(known[view.id].shown.nsfw_level)]


def within(detail: LoraDetail, limits: Limits) -> LoraDetail:
    """Return what is told of a lora: no picture and no prompt of a level above the limit.

    Raises Forbidden for a lora that whoever asks is not told of.
    """
    shown = detail.shown
    level = None if shown is None else shown.nsfw_level
    if not limits.lists(level):
        raise Forbidden("hidden by level", remedy="this token or tool is told of no lora of that level")

    def shows(own: object) -> bool:
        return limits.shows(own if isinstance(own, int) else level)

    return replace(
        detail,
        shown=None if shown is None else limited(shown, limits.shows),
        link=None if detail.link is None else _link(detail.link, shows),
        sidecars=[_sidecar(one, shows) for one in detail.sidecars],
        metadata=detail.metadata if limits.shows(level) else without_pictures(detail.metadata),
    )


def _link(link: Link, shows: Callable[[object], bool]) -> Link:
    return replace(link, versions=tuple(_version(one, shows) for one in link.versions))


def _version(one: LinkedVersion, shows: Callable[[object], bool]) -> LinkedVersion:
    kept = tuple(image for image in one.told.images if shows(image.nsfw_level))
    return replace(one, told=replace(one.told, images=kept))


def _sidecar(one: SidecarView, shows: Callable[[object], bool]) -> SidecarView:
    if one.facts is None:
        return one
    images = one.facts.get(_IMAGES)
    listed = images if isinstance(images, list) else []
    kept = [image for image in listed if isinstance(image, dict) and shows(image.get(_LEVEL))]
    return replace(one, facts={**one.facts, _IMAGES: kept})
