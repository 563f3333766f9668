"""Checks of what a user types into a field of curation: JSON in, value out.

They raise OddValueError for what is no value. A text of blanks only gives `None`: nothing is noted then.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from registry.formats.packing import clean_text
from registry.formats.values import MAX_INT, OddValueError, as_int, quoted
from registry.identify.names import WORD_VARIANTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NSFW_LEVELS: Final = {"pg": 1, "pg13": 2, "r": 4, "x": 8, "xxx": 16, "blocked": 32}
"""Names of Civitai's levels, each with its bit."""
MAX_TAGS: Final = 1000
MAX_TAG: Final = 200
MAX_GROUPS: Final = 100
MAX_WORDS: Final = 100
MAX_WORD: Final = 2000
MAX_TRIGGERS: Final = 100_000
"""Characters of all trigger words of one lora."""
UNITED: Final = 10
"""A list that was united from several may be so many times as long as one that is typed."""
Item = TypeVar("Item", bound="str | tuple[str, ...]")
_BASE_MODELS: Final = {row.variant.casefold(): row.variant for row in WORD_VARIANTS}


@dataclass(frozen=True, slots=True)
class CivitaiChoice:
    """Which version of Civitai a lora is; with none it is no version that Civitai has."""

    version: int | None
    model: int | None = None


def shown(value: object) -> str:
    """Return a JSON value short and fit for a sentence, whatever it is."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    number = as_int(value)
    return f"{number}" if number is not None else "a number" if isinstance(value, int | float) else "nothing"


def prose(most: int) -> Callable[[object], str | None]:
    """Make the check of a text of several lines, kept as it was typed."""

    def check(value: object) -> str | None:
        text = _text(value, most)
        return text if text.strip() else None

    return check


def line(most: int) -> Callable[[object], str | None]:
    """Make the check of a text of one line; blanks around it are dropped, and runs of them become one."""

    def check(value: object) -> str | None:
        found = unicodedata.normalize("NFC", " ".join(_text(value, most).split()))
        # Composing makes some characters three: what is noted must be one that this check takes again.
        return _text(found, most) or None

    return check


def truth(value: object) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise OddValueError(f"{shown(value)}, neither true nor false")
    return value


def whole_between(low: int, high: int) -> Callable[[object], int]:
    """Make the check of a whole number within bounds."""

    def check(value: object) -> int:
        number = as_int(value)
        if number is None or not low <= number <= high:
            raise OddValueError(f"{shown(value)}, not a whole number from {low} to {high}")
        return number

    return check


def number_between(low: float, high: float) -> Callable[[object], float]:
    """Make the check of a number within bounds."""

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise OddValueError(f"{shown(value)}, not a number from {low:g} to {high:g}")
        return float(value)

    return check


def one_of(names: Sequence[str]) -> Callable[[object], str]:
    """Make the check of a name that a table knows, upper or lower case."""

    def check(value: object) -> str:
        name = value.strip().lower() if isinstance(value, str) else None
        if name is None or name not in names:
            raise OddValueError(f"{shown(value)}, which is none that is known")
        return name

    return check


def base_model(value: object) -> str | None:
    """Return the name of a base model: spelled as identification spells it, or any that it does not know."""
    name = line(100)(value)
    return None if name is None else _BASE_MODELS.get(name.casefold(), name)


def nsfw_level(value: object) -> int:
    """Return the bit of a level that is given by its name or by its bit."""
    if isinstance(value, str):
        named = NSFW_LEVELS.get(value.strip().lower().replace("-", ""))
        if named is not None:
            return named
    bit = as_int(value)
    if bit is None or bit not in NSFW_LEVELS.values():
        raise OddValueError(f"{shown(value)}, not a level")
    return bit


def civitai_choice(value: object) -> CivitaiChoice:
    """Return which version was chosen, or that it is none."""
    if not isinstance(value, dict) or not value.keys() <= {"version", "model", "unlinked"}:
        raise OddValueError(f"{shown(value)}, not a choice of a version")
    if "unlinked" in value:
        if value["unlinked"] is not True or len(value) > 1:
            raise OddValueError("both linked and unlinked")
        return CivitaiChoice(None)
    given = {name: _id(value.get(name)) for name in ("version", "model")}
    if given["version"] is None:
        raise OddValueError("a choice without a version")
    return CivitaiChoice(given["version"], given["model"])


def tags(value: object) -> tuple[str, ...]:
    """Return a list of tags in its order, each once whatever its case."""
    found: dict[str, str] = {}
    for item in _list(value, MAX_TAGS):
        tag = line(MAX_TAG)(item)
        if tag is not None:
            found.setdefault(tag.casefold(), tag)
    return tuple(found.values())


def groups(value: object) -> tuple[tuple[str, ...], ...]:
    """Return a list of groups of words in its order, each once; a text by itself is a group of one word."""
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for item in _list(value, MAX_GROUPS):
        words: dict[str, str] = {}
        for given in [item] if isinstance(item, str) else _list(item, MAX_WORDS):
            word = line(MAX_WORD)(given)
            if word is not None:
                words.setdefault(word.casefold(), word)
        if words:
            found.setdefault(tuple(words), tuple(words.values()))
    if sum(map(_length, found.values())) > MAX_TRIGGERS:
        raise OddValueError(f"more than {MAX_TRIGGERS:,} characters")
    return tuple(found.values())


def within(items: tuple[Item, ...], most: int, characters: int) -> tuple[Item, ...]:
    """Return the first items of a list, as many as there may be and as have so many characters."""
    for number, item in enumerate(items):
        characters -= _length(item)
        if number == most or characters < 0:
            return items[:number]
    return items


def _length(item: str | tuple[str, ...]) -> int:
    return len(item) if isinstance(item, str) else sum(map(len, item))


def both(one: tuple[Item, ...], other: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return the items of two lists in their order, each once whatever its case, as it is spelled first."""
    found: dict[object, Item] = {}
    for item in (*one, *other):
        found.setdefault(_key(item), item)
    return tuple(found.values())


def without(items: tuple[Item, ...], gone: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return the items of a list that are not among others, whatever their case."""
    keys = set(map(_key, gone))
    return tuple(item for item in items if _key(item) not in keys)


def _key(item: str | tuple[str, ...]) -> object:
    return item.casefold() if isinstance(item, str) else tuple(word.casefold() for word in item)


def _text(value: object, most: int) -> str:
    if not isinstance(value, str):
        raise OddValueError(f"{shown(value)}, not a text")
    if len(value) > most:
        raise OddValueError(f"a text of more than {most:,} characters")
    return clean_text(value)


def _list(value: object, most: int) -> list[object]:
    if not isinstance(value, list):
        raise OddValueError(f"{shown(value)}, not a list")
    if len(value) > most:
        raise OddValueError(f"a list of more than {most:,}")
    return value


def _id(value: object) -> int | None:
    return None if value is None else whole_between(1, MAX_INT)(value)
