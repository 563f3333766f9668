"""What a user notes of loras, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cli.output import pairs
from registry.curation_values import NSFW_LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN: Final = 200
_LEVELS: Final = {bit: name for name, bit in NSFW_LEVELS.items()}


def describe_noted(curation: Mapping[str, Any]) -> None:
    """Print what is noted of a lora by field, as plain values."""
    pairs(((name, noted(name, value)) for name, value in curation.items()), under="noted")


def noted(field: str, value: Any) -> str:
    """Return the plain value of a field as a person reads it, on one line; nothing where nothing is noted."""
    if value is None:
        return ""
    text = _text(field, value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _text(field: str, value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return _LEVELS.get(int(value), f"{value}") if field == "nsfw" else f"{value:g}"
        case list():
            groups = any(isinstance(item, list) for item in value)
            return " | ".join(map(_words, value)) if groups else _words(value)
        case {"unlinked": True}:
            return "none"
        case dict():
            model = value.get("model")
            return f"{value.get('version')}" + ("" if model is None else f" of model {model}")
        case _:
            return " ".join(str(value).split())


def _words(words: Any) -> str:
    return ", ".join(map(str, words))
