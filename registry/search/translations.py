"""What tags are called in other languages: `tag,name` tables as tag-completion tools use them."""

from __future__ import annotations

import bisect
import csv
import logging
from importlib import resources
from typing import TYPE_CHECKING, Final

from registry.search import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)
MAX_ROWS: Final = 500_000
_MAX_BYTES: Final = 64 << 20


class Translations:
    """Tags by what they are called, and the other way round; all compared folded."""

    def __init__(self, rows: Iterable[tuple[str, str]]) -> None:
        self._tags: dict[str, dict[str, None]] = {}
        self._names: dict[str, str] = {}
        for tag, name in rows:
            folded, called = text.key(tag), text.key(name)
            if folded and called and folded != called:
                self._tags.setdefault(called, {})[folded] = None
                self._names.setdefault(folded, name.strip())
        self._sorted = sorted(self._tags)

    def tags(self, word: str) -> Sequence[str]:
        """Return the folded tags that a word names."""
        return tuple(self._tags.get(text.key(word), ()))

    def name(self, tag: str) -> str | None:
        """Return what a tag is called."""
        return self._names.get(text.key(tag))

    def beginning(self, prefix: str, limit: int) -> list[tuple[str, str]]:
        """Return some (name, tag) whose name begins so."""
        folded = text.key(prefix)
        start = bisect.bisect_left(self._sorted, folded) if folded else len(self._sorted)
        found = []
        for called in self._sorted[start : start + limit]:
            if not called.startswith(folded):
                break
            found += [(self._names.get(tag, called), tag) for tag in self._tags[called]]
        return found[:limit]


def load(tables: Sequence[Path]) -> Translations:
    """Return the translations of our own table and those of the user, which go before it.

    A table is UTF-8 with a tag and its name in each row; where rows have more columns, the last one is the
    name. A table that cannot be read is named in the log and left out.
    """
    rows: list[tuple[str, str]] = []
    for path in tables:
        try:
            if path.stat().st_size > _MAX_BYTES:
                log.warning("the tag table %s is too large; it is left out", path)
                continue
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows += _rows(file)
        except (OSError, ValueError, csv.Error) as error:
            log.warning("the tag table %s cannot be read: %s", path, error)
    own = resources.files("registry.search").joinpath("tags_zh.csv").read_text(encoding="utf-8")
    return Translations([*rows, *_rows(own.splitlines())])


def _rows(lines: Iterable[str]) -> list[tuple[str, str]]:
    found = []
    for row in csv.reader(lines):
        if len(row) >= 2 and row[0].strip() and row[-1].strip():
            found.append((row[0].strip(), row[-1].strip()))
        if len(found) >= MAX_ROWS:
            break
    return found
