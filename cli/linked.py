"""What Civitai knows of a lora, in words."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from cli.output import pairs, say
from registry.formats.licences import WORDS, licence_words
from registry.formats.markup import readable
from registry.formats.nsfw import SHOWN_AS
from registry.links import CIVITAI

if TYPE_CHECKING:
    from registry.links import Link, LinkedVersion, Update
    from registry.shown import Shown

_TEXT: Final = 200
_TAGS: Final = 20
_STATES: Final = {
    "found": None,
    "ambiguous": "several versions have this file; `loras edit --civitai VERSION` chooses",
    "not_found": "Civitai knows none of its hashes",
    "gone": "no longer on Civitai",
    "failed": "no answer so far",
    "matched": "not finished",
    "unmatched": "not finished",
    "linked": "linked by you",
    "unlinked": "unlinked by you",
}


def describe_linked(link: Link | None, shown: Shown | None) -> None:
    """Print what Civitai knows of a lora; nothing where it was never asked."""
    if link is None or shown is None:
        return
    version = link.version
    told = None if version is None else version.told
    text = readable(shown.description or "")
    pairs(
        [
            ("state", _STATES.get(link.state, link.state)),
            ("gone since", _day(shown.gone_at)),
            ("failed", link.error),
            ("model", None if told is None else told.model_name),
            ("creator", shown.creator),
            ("version", None if told is None else told.name),
            ("base model", None if told is None else told.base_model),
            ("page", shown.source_url),
            ("tags", ", ".join(shown.tags[:_TAGS])),
            ("trained words", None if told is None else ", ".join(told.trained_words[:_TAGS])),
            ("licence", ", ".join(WORDS[word] for word in licence_words(shown.licence))),
            ("level", _level(shown)),
            ("text", text if len(text) <= _TEXT else f"{text[:_TEXT]} ..."),
            ("fetched", None if version is None else _day(version.fetched_at)),
        ],
        under=_heading(version),
    )
    if link.state == "ambiguous":
        versions = [(f"{one.told.id}", f"{one.told.model_name}, {one.told.name}") for one in link.versions]
        pairs(versions, under="versions with this file")
    for update in link.updates:
        say(f"  newer: {_update(update)}")


def _heading(version: LinkedVersion | None) -> str:
    if version is None or version.source == CIVITAI:
        return "Civitai"
    return f"Civitai, as {version.source} has it"


def _update(update: Update) -> str:
    said = [f"{update.name or update.version_id} of {_day(update.published_at)}"]
    if update.early_until is not None:
        said.append(f"early access until {_day(update.early_until)}")
    if update.have:
        said.append("you have it already")
    return ", ".join(said)


def _level(shown: Shown) -> str | None:
    if shown.nsfw_level is None:
        return None
    guessed = shown.sources.get("nsfw_level")
    name = SHOWN_AS[shown.nsfw_level]
    return f"{name}, guessed from names and tags" if guessed and guessed.kind == "estimate" else name


def _day(moment: int | None) -> str | None:
    if moment is None:
        return None
    try:
        day = dt.datetime.fromtimestamp(moment / 1000, dt.UTC).astimezone()
    except (OverflowError, OSError, ValueError):
        return None
    return f"{day:%Y-%m-%d}"
