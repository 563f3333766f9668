"""What a lora is called and how it is used, with who says so, ready for its page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.formats.licences import WORDS as LICENCE
from registry.formats.licences import licence_words
from registry.formats.nsfw import SHOWN_AS
from registry.web import words
from registry.web.presenters import Fact, Word, value_url
from registry.web.provenance import said
from registry.web.sanitised import Prose, prose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.shown import Shown

_LINE: Final = 500
_TEXT: Final = 10_000
_GROUPS: Final = 100
_TAGS: Final = 100
_PAGE: Final = "https://civitai.com/models/{model}"
_VERSION: Final = "https://civitai.com/models/{model}?modelVersionId={version}"
# How much of a description is seen at once.
_SHORT: Final = 1500
_OFTEN: Final = 3
# Numbers of use in their order, with what they are called.
_NUMBERS: Final[Mapping[str, str]] = {
    "weight": "preferred weight",
    "weight_min": "lowest weight",
    "weight_max": "highest weight",
    "clip_weight": "weight of the text encoder",
    "clip_skip": "clip skip",
}


class Said(NamedTuple):
    """A text that may be copied, and who says so."""

    text: str
    by: str


class Tags(NamedTuple):
    """Tags by who gave them."""

    name: str
    words: tuple[Word, ...]
    by: str


class Description(NamedTuple):
    """A long text by its author; a long one is not `opened` at once."""

    name: str
    prose: Prose
    by: str
    opened: bool


@dataclass(frozen=True, slots=True)
class Called:
    """What a lora is called and how it is used.

    `name` is what it is called, `own` whether the user said so. `facts_by` says who said those facts that do
    not say it themselves. `triggers` are groups in the order in which
    they are to be used, `level` the level with who says so.
    """

    name: str
    own: bool
    facts: tuple[Fact, ...]
    facts_by: str
    tags: tuple[Tags, ...]
    triggers: tuple[Said, ...]
    triggers_by: str
    use: tuple[Fact, ...]
    negative: Said | None
    notes: Said | None
    descriptions: tuple[Description, ...]
    favorite: bool
    hidden: bool
    rating: int | None
    stars: str


def called(shown: Shown) -> Called:
    """Return what a lora is called and how it is used."""
    source = shown.sources.get("name")
    facts, facts_by = _once(list(_facts(shown)))
    return Called(
        name=shown.name,
        own=source is not None and source.kind == "user",
        facts=facts,
        facts_by=facts_by,
        tags=tuple(_tags(shown)),
        triggers=tuple(
            Said(words.cut(", ".join(group), _TEXT), "") for group in shown.triggers[:_GROUPS] if group
        ),
        triggers_by=said(shown, "triggers"),
        use=tuple(_use(shown)),
        negative=_said(shown, "negative_text"),
        notes=_said(shown, "notes"),
        descriptions=tuple(_descriptions(shown)),
        favorite=shown.favorite,
        hidden=shown.hidden,
        rating=shown.rating,
        stars="" if shown.rating is None else words.stars(shown.rating),
    )


def version_page(model_id: int | None, version_id: int | None) -> str | None:
    """Return the address of a version on Civitai, or of its model, `None` where it has no page."""
    if model_id is None:
        return None
    page = _PAGE if version_id is None else _VERSION
    return page.format(model=model_id, version=version_id)


def _once(facts: list[Fact]) -> tuple[tuple[Fact, ...], str]:
    """Say once who said most of the facts, in place of beside each of them."""
    most, times = Counter(fact.by for fact in facts).most_common(1)[0]
    if times < _OFTEN:
        return tuple(facts), ""
    return tuple(replace(fact, by="") if fact.by == most else fact for fact in facts), most


def _facts(shown: Shown) -> Iterable[Fact]:
    yield Fact("name", words.cut(shown.name, _LINE), by=said(shown, "name"))
    model, version = shown.model_id, shown.version_id
    if shown.model_name or model is not None:
        name = words.cut(shown.model_name or f"number {model}", _LINE)
        yield Fact("model", name, away=version_page(model, None), by=said(shown, "model_name", "model_id"))
    if shown.version_name or version is not None:
        name = words.cut(shown.version_name or f"number {version}", _LINE)
        yield Fact(
            "version", name, away=version_page(model, version), by=said(shown, "version_name", "version_id")
        )
    for field, name, asked in (("creator", "creator", "creator"), ("model_type", "type there", "ctype")):
        value = getattr(shown, field)
        if value:
            yield Fact(name, words.cut(value, _LINE), value_url(asked, value), by=said(shown, field))
    if shown.base_model:
        yield Fact("base model there", words.cut(shown.base_model, _LINE), by=said(shown, "base_model"))
    if licence := [LICENCE[word] for word in licence_words(shown.licence)]:
        yield Fact("licence", "\n".join(licence), by=said(shown, "licence"))
    if shown.nsfw_level is not None:
        level = SHOWN_AS.get(shown.nsfw_level, str(shown.nsfw_level))
        yield Fact("level", level, by=said(shown, "nsfw_level"))
    if shown.source_url and model is None:
        # What a stranger wrote is no link.
        yield Fact("source", words.cut(shown.source_url, _LINE), by=said(shown, "source_url"))


def _tags(shown: Shown) -> Iterable[Tags]:
    for field, name, asked in (("user_tags", "Your tags", "usertag"), ("tags", "Tags of the model", "ctag")):
        listed: tuple[str, ...] = getattr(shown, field)
        if listed:
            found = tuple(Word(words.cut(tag, _LINE), url=value_url(asked, tag)) for tag in listed[:_TAGS])
            yield Tags(name, found, said(shown, field))


def _use(shown: Shown) -> Iterable[Fact]:
    for field, name in _NUMBERS.items():
        value = getattr(shown, field)
        if value is not None:
            yield Fact(name, words.number(value), by=said(shown, field))


def _said(shown: Shown, field: str) -> Said | None:
    text = getattr(shown, field)
    return Said(words.cut(text, _TEXT), said(shown, field)) if text else None


def _descriptions(shown: Shown) -> Iterable[Description]:
    for field, name in (("version_description", "About the version"), ("description", "About the model")):
        text = getattr(shown, field)
        if text and (found := prose(text)) != Prose("", ""):
            yield Description(name, found, said(shown, field), len(text) <= _SHORT)
