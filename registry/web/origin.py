"""Where a lora is from, as Civitai tells it: which version, since when it is gone, what is newer there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from registry.asked import AMBIGUOUS, FAILED, GONE, NOT_FOUND
from registry.identify.claims import architecture_of
from registry.identify.names import NO_ARCHITECTURE
from registry.links import LINKED, UNLINKED
from registry.web import words
from registry.web.called import version_page
from registry.web.presenters import Badge, base

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.links import Link, LinkedVersion, Update
    from registry.views import LoraDetail

_NAME: Final = 300
_LISTED: Final = 50


class Version(NamedTuple):
    """A version that a file may be: `choice` is what the form sends to choose it."""

    label: str
    away: str | None
    choice: str
    note: str


class Newer(NamedTuple):
    """A version that appeared later."""

    label: str
    away: str | None
    date: str
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """What Civitai knows: sentences to be read first, versions to choose from, later versions.

    `versions` has all that may be chosen, `several` says that nobody knows which of them it is.
    """

    notices: tuple[str, ...]
    versions: tuple[Version, ...]
    several: bool
    newer: tuple[Newer, ...]


def origin(detail: LoraDetail, now: int) -> Origin:
    """Return what Civitai knows of a lora; `now` in milliseconds since the epoch."""
    link = detail.link
    if link is None:
        return Origin((), (), several=False, newer=())
    model_id = None if link.version is None else link.version.told.model_id
    return Origin(
        notices=(*_notices(link), *_disagreement(detail, link)),
        versions=tuple(_version(one) for one in link.versions[:_LISTED] if one.told.id is not None),
        several=link.state == AMBIGUOUS and len(link.versions) > 1,
        newer=tuple(_newer(update, model_id, now) for update in reversed(link.updates[-_LISTED:])),
    )


def choice_of(version: int | None, model: int | None) -> str:
    """Return what the form sends to choose a version."""
    return f"{version}" if model is None else f"{version},{model}"


def _notices(link: Link) -> Iterable[str]:
    version = link.version
    gone = link.gone_at or (None if version is None else version.gone_at)
    if link.state == GONE or gone is not None:
        since = "" if gone is None else f" since {words.day(gone)}"
        kept = "" if version is None else f" What is shown is as it was on {words.day(version.fetched_at)}."
        yield f"Civitai no longer has this version{since}.{kept}"
    elif link.model is not None and link.model.gone_at is not None:
        yield f"Civitai no longer has this model since {words.day(link.model.gone_at)}."
    asked = "" if link.asked_at is None else f" when it was asked on {words.day(link.asked_at)}"
    if link.state == NOT_FOUND:
        yield f"Civitai did not know this file{asked}."
    elif link.state == FAILED:
        yield words.sentence(f"asking Civitai failed: {words.cut(link.error or 'nobody knows why', _NAME)}")
    elif link.state == UNLINKED:
        yield "You said that Civitai does not have it."
    elif link.state == LINKED and version is None:
        yield "You chose a version of Civitai that is not fetched yet."


def _disagreement(detail: LoraDetail, link: Link) -> Iterable[str]:
    """Tell where Civitai names another family of base models than the tensors."""
    told = None if link.version is None else link.version.told.base_model
    found: Any = detail.identification.get("architecture")
    named = architecture_of(told) if told else None
    if not told or named is None or not isinstance(found, str) or found in NO_ARCHITECTURE:
        return
    if named != found:
        yield (
            f"Civitai says {words.cut(told, _NAME)}, which is {base(named)}; "
            f"its tensors are those of {base(found)}. Nothing was changed by that."
        )


def _version(one: LinkedVersion) -> Version:
    told = one.told
    name = " · ".join(part for part in (told.model_name, told.name) if part) or f"version {told.id}"
    about: Mapping[str, str | None] = {
        "base model": told.base_model,
        "published": None if told.published_at is None else words.day(told.published_at),
        "gone since": None if one.gone_at is None else words.day(one.gone_at),
    }
    note = ", ".join(f"{key} {words.cut(value, _NAME)}" for key, value in about.items() if value)
    return Version(
        words.cut(name, _NAME), version_page(told.model_id, told.id), choice_of(told.id, told.model_id), note
    )


def _newer(update: Update, model_id: int | None, now: int) -> Newer:
    badges = []
    if update.have:
        badges.append(Badge("you already have it", "good", "a file of it is in the catalog"))
    if update.early_until is not None and update.early_until > now:
        until = f"early access until {words.day(update.early_until)}"
        badges.append(Badge(until, "warn", "until then only those who paid for it may have it"))
    return Newer(
        words.cut(update.name or f"version {update.version_id}", _NAME),
        version_page(model_id, update.version_id),
        words.day(update.published_at),
        tuple(badges),
    )
