"""The words that tell how far a lora may be shown: our own table, or one that the user put in its place."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest
from registry.formats.nsfw import Words, read_words

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES: Final = 4 << 20


def load_words(path: Path | None = None) -> Words:
    """Return the words of a table, else our own; BadRequest if it cannot be read."""
    if path is None:
        text = resources.files("registry").joinpath("nsfw_words.csv").read_text(encoding="utf-8")
        return read_words(text.splitlines())
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadRequest(
                f"{path} is too large for a table of words", remedy="see nsfw_words in the settings"
            )
        return read_words(path.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} cannot be read: {error}", remedy="see nsfw_words in the settings") from None
