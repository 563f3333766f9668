"""Parameters of requests in other tools' dialects: values of strangers, each within its bounds or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest
from registry.formats.packing import clean_text
from registry.formats.sidecar_values import truth
from registry.formats.sidecar_values import whole as whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LINE: Final = 500
MAX_LISTED: Final = 200


def whole(name: str, value: object, low: int, high: int) -> int:
    """Return a whole number, also one that was written as a text; BadRequest says what it may be."""
    found = whole_number(value, low, high)
    if found is None:
        raise BadRequest(f"{name} is no whole number from {low} to {high}", remedy=f"give {low} to {high}")
    return found


def line(name: str, value: object, longest: int = MAX_LINE) -> str | None:
    """Return a text without space around it, `None` for none or a blank one; BadRequest if it is too long."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(f"{name} is no text", remedy="give a text")
    if len(value) > longest:
        raise BadRequest(f"{name} has more than {longest:,} characters", remedy="give a shorter one")
    return clean_text(value).strip() or None


def flag(name: str, value: object) -> bool | None:
    """Return a boolean, also one that was written as a text, `None` for none; BadRequest for all else."""
    if value in (None, ""):
        return None
    found = truth(value)
    if found is None:
        raise BadRequest(f"{name} is neither true nor false", remedy="give true or false")
    return found


def words(name: str, values: Iterable[object]) -> tuple[str, ...]:
    """Return texts that were given several times or with commas between, each once.

    Raises BadRequest for what is no text and for more than `MAX_LISTED` of them.
    """
    found: dict[str, None] = {}
    for value in values:
        parts = (line(name, value, MAX_LINE * MAX_LISTED) or "").split(",")
        found |= dict.fromkeys(word for part in parts if (word := line(name, part)))
    if len(found) > MAX_LISTED:
        raise BadRequest(f"{name} has more than {MAX_LISTED} values", remedy="ask for fewer at once")
    return tuple(found)


def choices(name: str, given: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return words in the spelling of a table, whatever their case; BadRequest lists what there is."""
    spelled = {word.lower(): word for word in known}
    found = [spelled.get(word.lower()) for word in given]
    if None in found:
        raise BadRequest(f"{name} is none of {', '.join(spelled.values())}", remedy="give one of these")
    return tuple(dict.fromkeys(word for word in found if word is not None))
