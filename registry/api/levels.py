"""What a request is told of one lora, and of lists, by its limits of levels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from registry.api.access import principal_of
from registry.api.context import context_of
from registry.api.profiles import is_capped, limits_of
from registry.catalog.lookup import resolve
from registry.catalog.showing import known_of
from registry.errors import Ambiguous, Forbidden
from registry.formats.covers import without_pictures
from registry.formats.showing import limited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection
    from starlette.requests import Request

    from registry.api.profiles import Limits
    from registry.formats.nsfw import Words
    from registry.links import Link, LinkedVersion
    from registry.views import LoraDetail, LoraView, SidecarView

_IMAGES: Final = "images"
_LEVEL: Final = "nsfw_level"
_NOTED: Final = "nsfw"
"""The field of curation that says the level."""


def told_of(
    conn: Connection, views: Sequence[LoraView], limits: Limits, words: Words | None
) -> list[LoraView]:
    """Return those of the loras that a request is told of."""
    told = told_ids(conn, [view.id for view in views], limits, words)
    return [view for view in views if view.id in told]


def told_ids(conn: Connection, lora_ids: Iterable[int], limits: Limits, words: Words | None) -> set[int]:
    """Return those of the ids whose loras a request is told of; of a limited one, only such as there are."""
    wanted = set(lora_ids)
    if limits.entries is None:
        return wanted
    known = known_of(conn, sorted(wanted), words=words)
    return {lora_id for lora_id, one in known.items() if limits.lists(one.shown.nsfw_level)}


def resolve_told(request: Request, conn: Connection, ref: str) -> int:
    """Return the id of the one lora that a reference means, if whoever asks is told of it.

    Raises what `resolve` does, an Ambiguous with those candidates only that are told of, and Forbidden.
    """
    context = context_of(request)
    try:
        lora_id = resolve(conn, ref, context.machine_id)
    except Ambiguous as error:
        limits = limits_of(request, conn=conn)
        if limits.entries is None:
            raise
        ids = {key: one for one in error.candidates if isinstance(key := one["id"], int)}
        told = told_ids(conn, ids, limits, context.searching.place.words)
        shown = [one for key, one in ids.items() if key in told]
        raise Ambiguous(f"{ref[:200]!r} means several loras", shown, remedy=error.remedy) from None
    require_told(request, conn, lora_id)
    return lora_id


def require_told(request: Request, conn: Connection, lora_id: int) -> None:
    """Raise Forbidden for a lora that whoever asks is not told of.

    Whoever comes by a link is: it was made by somebody who is told of what it leads to.
    """
    if by_link(request):
        return
    limits, words = limits_of(request, conn=conn), context_of(request).searching.place.words
    if lora_id not in told_ids(conn, [lora_id], limits, words):
        raise _hidden()


def by_link(request: Request) -> bool:
    """Tell whether a request was admitted for the signature in its address alone."""
    return request.scope["state"]["token"] is None and principal_of(request).role == "read"


def require_level_kept(request: Request, conn: Connection, fields: Iterable[str]) -> None:
    """Raise Forbidden if one of these fields is the level and whoever changes them is limited by levels."""
    if _NOTED in fields and is_capped(request, conn=conn):
        raise Forbidden(
            "this token or tool is limited by levels and changes none",
            remedy="leave out nsfw, or use a token and a tool without such limits",
        )


def within(detail: LoraDetail, limits: Limits) -> LoraDetail:
    """Return what is told of a lora: no picture and no prompt of a level above the limit.

    Raises Forbidden for a lora that whoever asks is not told of.
    """
    shown = detail.shown
    level = None if shown is None else shown.nsfw_level
    if not limits.lists(level):
        raise _hidden()

    def shows(own: object) -> bool:
        return limits.shows(own if isinstance(own, int) else level)

    return replace(
        detail,
        shown=None if shown is None else limited(shown, limits.shows),
        link=None if detail.link is None else _link(detail.link, shows),
        sidecars=[_sidecar(one, shows) for one in detail.sidecars],
        metadata=detail.metadata if limits.shows(level) else without_pictures(detail.metadata),
    )


def _hidden() -> Forbidden:
    return Forbidden("hidden by level", remedy="this token or tool is told of no lora of that level")


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
