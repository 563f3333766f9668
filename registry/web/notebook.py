"""What the user notes of a lora as the texts of a form, and what a form that comes back asks for.

A field is only changed if its text is another one than the form was given: what a text cannot tell, such as a
trigger word with a comma in it, is lost in no field that nobody touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from registry.formats.nsfw import NAMES, SHOWN_AS
from registry.formats.verdicts import DIFFERS
from registry.web import words
from registry.web.origin import choice_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registry.views import SidecarView

YES, NO, NOTHING = "yes", "no", ""
NONE: Final = "none"
OTHER_VERSION: Final = "civitai_other"
"""The field of a form in which a version is given by its number or address."""
_COMMAS: Final = re.compile(r"[,，]")
_LINES: Final = re.compile(r"\r\n|\r|\n")
_CHOICE: Final = re.compile(r"([0-9]{1,15})(?:,([0-9]{1,15}))?")
_MODEL: Final = re.compile(r"/models/([0-9]{1,15})(?:/|\Z)")
_SHORT: Final = 300


class Box(NamedTuple):
    """How a field stands in a form: what it is called, its text, and the JSON that a text asks for."""

    label: str
    write: Callable[[Any], str]
    read: Callable[[str], object]


def _lines(value: Sequence[str]) -> str:
    return "\n".join(value)


def _read_lines(text: str) -> object:
    return [line for line in text.split("\n") if line.strip()] or None


def _groups(value: Sequence[Sequence[str]]) -> str:
    return "\n".join(", ".join(group) for group in value)


def _read_groups(text: str) -> object:
    return [_COMMAS.split(line) for line in text.split("\n") if line.strip()] or None


def _number(value: float) -> str:
    return f"{value:.12g}"


def _read_number(text: str) -> object:
    given = text.strip().replace(",", ".")
    try:
        return float(given) if given else None
    except ValueError:
        return text


def _read_whole(text: str) -> object:
    given = text.strip()
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else text or None


def _truth(value: object) -> str:
    return YES if value else NO


def _read_truth(text: str) -> object:
    return {YES: True, NO: False, NOTHING: None}.get(text, text)


def _read_line(text: str) -> object:
    return text if text.strip() else None


def _level(value: int) -> str:
    return NAMES.get(value, str(value))


def _choice(value: Mapping[str, Any]) -> str:
    return NONE if value.get("unlinked") else choice_of(value.get("version"), value.get("model"))


def _read_choice(text: str) -> object:
    given = text.strip()
    if not given:
        return None
    if given == NONE:
        return {"unlinked": True}
    if plain := _CHOICE.fullmatch(given):
        model = {} if plain[2] is None else {"model": int(plain[2])}
        return {"version": int(plain[1]), **model}
    return _version_of_page(given) or given


def _version_of_page(address: str) -> object:
    """Return the version that an address of Civitai names, `None` for any other text."""
    try:
        parts = urlsplit(address)
        given = parse_qs(parts.query).get("modelVersionId", [""])[0]
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or _CHOICE.fullmatch(given) is None:
        return None
    model = _MODEL.search(parts.path)
    return {"version": int(given.partition(",")[0]), **({} if model is None else {"model": int(model[1])})}


BOXES: Final[Mapping[str, Box]] = {
    "display_name": Box("Name", str, _read_line),
    "note": Box("Note", str, _read_line),
    "tags": Box("Tags", _lines, _read_lines),
    "rating": Box("Rating", str, _read_whole),
    "favorite": Box("Favourite", _truth, _read_truth),
    "hidden": Box("Hidden", _truth, _read_truth),
    "triggers": Box("Trigger words", _groups, _read_groups),
    "weight": Box("Preferred weight", _number, _read_number),
    "weight_min": Box("Lowest weight", _number, _read_number),
    "weight_max": Box("Highest weight", _number, _read_number),
    "negative": Box("Negative prompt", str, _read_line),
    "nsfw": Box("Level", _level, _read_line),
    "cover": Box("Cover", str, _read_line),
    "architecture": Box("Architecture", str, _read_line),
    "base_model": Box("Base model", str, _read_line),
    "adapter": Box("Adapter", str, _read_line),
    "kind": Box("Kind", str, _read_line),
    "civitai": Box("Version on Civitai", _choice, _read_choice),
}
"""TABLE of the fields of curation, in the order of the form."""
_FLAGS: Final = ("favorite", "hidden")


class Differing(NamedTuple):
    """A field that is one thing in the catalog and another one in a form."""

    label: str
    there: str
    typed: str


@dataclass(frozen=True, slots=True)
class Past:
    """What happened to a field once."""

    at: str
    who: str
    what: str
    batch: int


class Offer(NamedTuple):
    """What a sidecar says since the user noted something else, as the texts of a form."""

    name: str
    lines: tuple[str, ...]
    texts: Mapping[str, str]


def texts_of(noted: Mapping[str, object]) -> dict[str, str]:
    """Return the text of each field of what is noted, which are plain values by field."""
    return {
        name: box.write(noted[name]) if noted.get(name) is not None else NOTHING
        for name, box in BOXES.items()
    }


def given_texts(
    form: Mapping[str, str], now: Mapping[str, str], elsewhere: Mapping[str, bool]
) -> dict[str, str]:
    """Return the text of each field that a form has, as they would be if they were in the catalog.

    `now` has the texts of the catalog. A checkbox says whether it is so, whoever says it: it is noted only
    if nobody else says the same, as `elsewhere` tells.
    """
    given = {name: _plain(text) for name, text in form.items() if name in BOXES}
    if other := form.get(OTHER_VERSION, "").strip():
        given["civitai"] = other
    for name in _FLAGS:
        if name in given:
            given[name] = _flag(given[name] == YES, now[name], others=elsewhere.get(name, False))
    return given


def _plain(text: str) -> str:
    return _LINES.sub("\n", text)


def _flag(checked: bool, now: str, *, others: bool) -> str:  # noqa: FBT001 - what the box says
    if checked == (now == YES or (now == NOTHING and others)):
        return now
    return NOTHING if checked == others else YES if checked else NO


def changes(given: Mapping[str, str], now: Mapping[str, str]) -> dict[str, object]:
    """Return the JSON of those fields that a form changes, as `registry.curation.read_changes` takes it."""
    return {name: BOXES[name].read(text) for name, text in given.items() if not _same(text, now[name])}


def differing(given: Mapping[str, str], now: Mapping[str, str]) -> tuple[Differing, ...]:
    """Return the fields in which a form differs from the catalog."""
    return tuple(
        Differing(BOXES[name].label, words.cut(now[name], _SHORT), words.cut(text, _SHORT))
        for name, text in given.items()
        if not _same(text, now[name])
    )


def _same(one: str, other: str) -> bool:
    return one == other or one.strip() == _plain(other).strip()


def said_elsewhere(sidecars: Iterable[SidecarView]) -> dict[str, bool]:
    """Return which of the fields with a checkbox other tools say to be so."""
    found: dict[str, bool] = {}
    for one in sidecars:
        if one.facts is None or one.verdict == DIFFERS:
            continue
        user: Any = one.facts.get("user") or {}
        for name in _FLAGS:
            if user.get(name) is not None:
                found.setdefault(name, bool(user[name]))
    return found


def offers(sidecars: Iterable[SidecarView]) -> tuple[Offer, ...]:
    """Return what sidecars say since the user noted something else."""
    found = []
    for one in sidecars:
        known = {name: value for name, value in one.offered.items() if name in BOXES and value is not None}
        if known:
            lines = tuple(f"{BOXES[name].label}: {told(name, value)}" for name, value in known.items())
            texts = {name: BOXES[name].write(value) for name, value in known.items()}
            found.append(Offer(words.visible(one.name), lines, texts))
    return tuple(found)


def told(field: str, value: object) -> str:
    """Return a value of a field in a few words."""
    if value is None:
        return "nothing"
    if field == "nsfw" and isinstance(value, int):
        return SHOWN_AS.get(value, str(value))
    box = BOXES.get(field)
    text = str(value) if box is None else box.write(value)
    return words.cut(text.replace("\n", " · "), _SHORT)


def past(  # noqa: PLR0913 - a row of the history, all named
    *, field: str, old: object, new: object, at: int, actor: str | None, kind: str, batch: int
) -> Past:
    """Return what happened to a field in words."""
    label = BOXES[field].label if field in BOXES else words.visible(field)
    if kind == "conflict":
        what = f"{label}: {told(field, new)} stayed, {told(field, old)} went, as two loras became one"
    else:
        what = f"{label}: {told(field, old)} → {told(field, new)}"
    did = {"undo": "undone", "carry": "carried over", "import": "imported", "merge": "merged"}.get(kind)
    who = words.visible(actor or "you")
    return Past(words.moment(at), who if did is None else f"{who}, {did}", what, batch)
