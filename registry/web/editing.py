"""The form in which the user notes something of a lora: what stands in it, and what others say beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from registry.formats.nsfw import NAMES, SHOWN_AS
from registry.identify.names import ADAPTERS, ARCHITECTURES, KINDS
from registry.shown import Shown
from registry.web import notebook, words
from registry.web.origin import origin
from registry.web.presenters import KIND_NAMES
from registry.web.provenance import said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.views import LoraDetail

STARS: Final = 5
_HINT: Final = 400
_NOT_CHOSEN: Final = "ambiguous"


class Option(NamedTuple):
    """One of several values."""

    value: str
    label: str
    selected: bool


@dataclass(frozen=True, slots=True)
class Editor:
    """What a form has: its `revision`, the `texts` of its fields, what others say (`hints`) and who (`by`).

    `opened` says that something was typed that is not saved.
    """

    revision: int
    texts: Mapping[str, str]
    hints: Mapping[str, str]
    by: Mapping[str, str]
    favorite: bool
    hidden: bool
    ratings: tuple[Option, ...]
    levels: tuple[Option, ...]
    kinds: tuple[Option, ...]
    architectures: tuple[Option, ...]
    adapters: tuple[Option, ...]
    versions: tuple[Option, ...]
    opened: bool


def editor(detail: LoraDetail, revision: int, typed: Mapping[str, str] | None = None) -> Editor:
    """Return the form for a lora at a revision of its notes; what was `typed` already stays in it."""
    given = typed or {}
    shown = detail.shown or Shown(detail.lora.name)
    noted = notebook.texts_of(detail.curation)
    texts = {**noted, notebook.OTHER_VERSION: "", **given}
    hints, by = _hints(shown)
    found: Mapping[str, Any] = detail.identification
    return Editor(
        revision=revision,
        texts=texts,
        hints=hints,
        by=by,
        favorite=given["favorite"] == notebook.YES if "favorite" in given else shown.favorite,
        hidden=given["hidden"] == notebook.YES if "hidden" in given else shown.hidden,
        ratings=tuple(_ratings(texts["rating"])),
        levels=_options(
            texts["nsfw"],
            f"as others say{_of(hints.get('nsfw'))}",
            {NAMES[bit]: SHOWN_AS[bit] for bit in NAMES},
        ),
        kinds=_options(
            texts["kind"],
            _identified(None, {}),
            {kind: KIND_NAMES.get(kind, "Adapter (LoRA and the like)") for kind in KINDS},
        ),
        architectures=_options(
            texts["architecture"],
            _identified(found.get("architecture"), ARCHITECTURES),
            {key: name for key, name in ARCHITECTURES.items() if key != _NOT_CHOSEN},
        ),
        adapters=_options(texts["adapter"], _identified(found.get("adapter"), ADAPTERS), ADAPTERS),
        versions=tuple(_versions(detail, texts["civitai"])),
        opened=bool(given),
    )


def _hints(shown: Shown) -> tuple[dict[str, str], dict[str, str]]:
    """Return what others say of fields of which the user says nothing, and who says so."""
    told: dict[str, tuple[str, object]] = {
        "display_name": ("name", shown.name),
        "note": ("notes", shown.notes),
        "triggers": ("triggers", [list(group) for group in shown.triggers] or None),
        "weight": ("weight", shown.weight),
        "weight_min": ("weight_min", shown.weight_min),
        "weight_max": ("weight_max", shown.weight_max),
        "negative": ("negative_text", shown.negative_text),
        "nsfw": ("nsfw_level", shown.nsfw_level),
    }
    hints, by = {}, {}
    for name, (field, value) in told.items():
        source = shown.sources.get(field)
        if value is not None and source is not None and source.kind != "user":
            text = (
                SHOWN_AS.get(shown.nsfw_level or 0, "")
                if name == "nsfw"
                else notebook.BOXES[name].write(value)
            )
            hints[name], by[name] = words.cut(text, _HINT), said(shown, field)
    return hints, by


def _of(hint: str | None) -> str:
    return f": {hint}" if hint else ""


def _identified(found: object, names: Mapping[str, str]) -> str:
    name = names.get(found, found) if isinstance(found, str) else None
    return f"as identified{_of(None if name is None else words.visible(name))}"


def _options(chosen: str, otherwise: str, names: Mapping[str, str]) -> tuple[Option, ...]:
    listed = [Option("", otherwise, not chosen)]
    listed += [Option(value, name, value == chosen) for value, name in names.items()]
    if chosen and chosen not in names:
        listed.append(Option(chosen, words.cut(chosen, _HINT), selected=True))
    return tuple(listed)


def _ratings(chosen: str) -> Iterable[Option]:
    yield Option("", "no rating", not chosen)
    for stars in range(STARS + 1):
        yield Option(str(stars), words.several(stars, "star"), chosen == str(stars))


def _versions(detail: LoraDetail, chosen: str) -> Iterable[Option]:
    """Give the versions that may be chosen: what was found, those that have the file, none at all."""
    yield Option("", "as found by its hash", not chosen)
    known = {one.choice: one.label for one in origin(detail, 0).versions}
    yield from (Option(choice, label, choice == chosen) for choice, label in known.items())
    if chosen and chosen not in {*known, notebook.NONE}:
        label = f"version {words.cut(chosen.partition(',')[0], _HINT)}"
        yield Option(chosen, label, selected=True)
    yield Option(notebook.NONE, "none: Civitai does not have it", chosen == notebook.NONE)
