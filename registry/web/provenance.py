"""Who said something, in the few words that stand beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.asked import ARCHIVE
from registry.web import words
from registry.web.beside import TOOLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.shown import Shown, Source

_SERVICES: Final[Mapping[str, str]] = {ARCHIVE: "CivArchive"}
_PLAIN: Final[Mapping[str, str]] = {
    "header": "the header",
    "file": "the file name",
    "estimate": "estimated from names and tags",
}


def said_by(source: Source | None) -> str:
    """Return who said something and when, nothing where nobody knows."""
    if source is None:
        return ""
    at = "" if source.at is None else words.day(source.at)
    tool = words.visible(source.tool or "")
    match source.kind:
        case "user":
            return f"you, {at}" if at else "you"
        case "civitai":
            service = _SERVICES.get(tool, tool or "Civitai")
            return f"{service}, fetched {at}" if at else service
        case "sidecar":
            return f"sidecar of {TOOLS.get(tool, tool)}" if tool else "a sidecar"
        case kind:
            return _PLAIN.get(kind, words.visible(kind))


def said(shown: Shown, *fields: str) -> str:
    """Return who said the first of these fields that somebody said."""
    return next((said_by(shown.sources[name]) for name in fields if name in shown.sources), "")
