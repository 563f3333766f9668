"""How far a lora may be shown: Civitai's levels, and an estimate from names and tags where nobody said it.

Levels are bits: 1 PG, 2 PG-13, 4 R, 8 X, 16 XXX, 32 blocked. A mask of several counts as its highest.
"""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest
from registry.formats.packing import pack_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PG, PG13, R, X, XXX, BLOCKED = 1, 2, 4, 8, 16, 32
UNKNOWN: Final = "unknown"
NAMES: Final = {PG: "pg", PG13: "pg13", R: "r", X: "x", XXX: "xxx", BLOCKED: "blocked"}
LEVELS: Final = {name: level for level, name in NAMES.items()}
SHOWN_AS: Final = {PG: "PG", PG13: "PG-13", R: "R", X: "X", XXX: "XXX", BLOCKED: "blocked"}
# A line break parts texts, across which no phrase is read.
_WORD: Final = re.compile(r"[^\W_]+|\n")
_MOST_TEXT: Final = 20_000


@dataclass(frozen=True, slots=True)
class Words:
    """What words tell: single ones, phrases, and words of scripts that part none, each with a level."""

    single: Mapping[str, int]
    phrases: Mapping[str, int]
    anywhere: Mapping[str, int]

    @property
    def digest(self) -> str:
        """What tells these words from others."""
        held = pack_json([sorted(some.items()) for some in (self.single, self.phrases, self.anywhere)])
        return hashlib.sha256(held).hexdigest()[:16]


def highest(mask: int | None) -> int | None:
    """Return the highest level of a mask; `None` if it has none."""
    return None if not mask or mask < 0 else min(BLOCKED, 1 << (mask.bit_length() - 1))


def highest_of(masks: Iterable[int | None]) -> int | None:
    """Return the highest level among masks; `None` if none has one."""
    return max((level for mask in masks if (level := highest(mask)) is not None), default=None)


def read_words(lines: Iterable[str]) -> Words:
    """Read lines of `words,level`; `#` begins a comment. Raises BadRequest with the line that is none."""
    single: dict[str, int] = {}
    phrases: dict[str, int] = {}
    anywhere: dict[str, int] = {}
    for number, row in enumerate(csv.reader(lines), 1):
        if not row or not row[0].strip() or row[0].lstrip().startswith("#"):
            continue
        words = _words(row[0].strip())
        level = LEVELS.get(row[1].strip().lower()) if len(row) == 2 else None
        if level is None or not words:
            raise BadRequest(
                f"line {number} of the words for levels cannot be used",
                remedy=f"write `words,level` with one of {', '.join(LEVELS)}",
            )
        if not row[0].isascii():
            anywhere["".join(words)] = level
        elif len(words) == 1:
            single[words[0]] = level
        else:
            phrases[f" {' '.join(words)} "] = level
    return Words(single, phrases, anywhere)


def estimate(texts: Iterable[str], words: Words) -> int | None:
    """Return the highest level that the words of names and tags tell; `None` if they tell none."""
    parted = _words("\n".join(texts))
    found = [words.single[one] for one in words.single.keys() & set(parted)]
    text = f" {' '.join(parted)} "
    found += [level for phrase, level in words.phrases.items() if phrase in text]
    if not text.isascii():
        found += [level for part, level in words.anywhere.items() if part in text]
    return max(found, default=None)


def _words(text: str) -> list[str]:
    return _WORD.findall(text[:_MOST_TEXT].casefold())


def listed_levels(limit: int | None, lists: Callable[[int | None], bool]) -> list[str] | None:
    """Return the names of the levels that are told of, `unknown` among them; `None` for all."""
    if limit is None:
        return None
    return [UNKNOWN, *(NAMES[level] for level in LEVELS.values() if lists(level))]


def named(level: int) -> str:
    """Return the name of a level, as queries and answers have it."""
    return NAMES[level]


def read_level(value: str, levels: Mapping[str, int] = LEVELS) -> int:
    """Return the level of a name such as `pg13`; BadRequest lists what there is."""
    level = levels.get(value.strip().lower().replace("-", ""))
    if level is None:
        raise BadRequest(f"there is no level {value[:40]!r}", remedy=f"levels are {', '.join(levels)}")
    return level
