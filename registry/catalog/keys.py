"""Keys that compare the same on every database."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, TypeVar

from registry.formats.packing import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_KEY = 200
# SQLite allows 32,766 parameters a statement since 3.32, 999 before; half of that leaves room for others.
CHUNK = 450

T = TypeVar("T")


def fold(text: str) -> str:
    """Return the key by which names are sorted and compared: NFKC, case folded, at most 200 characters."""
    if text.isascii():
        return clean_text(text[:MAX_KEY].lower())
    return clean_text(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())[:MAX_KEY])


def in_chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the items in parts that fit the parameters of one statement."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
