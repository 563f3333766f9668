"""How text becomes what is compared: folding, words, parts of names, pairs of Chinese characters.

Query, index and matcher use the same functions, so that they agree by construction. Characters of scripts
that are written without blanks are compared in pairs (bigrams), which finds any two neighbours, and alone.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from registry.search.chinese import simplified

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_TEXT = 20_000
"""Characters of one text that are searched; what is beyond is shown but not found."""
MAX_TOKEN = 100
GRAM = 4
"""So many neighbours of a script without blanks are found as one token."""
MAX_KEY = 500
MAX_BEGINNING = 60
"""So many characters of a beginning count; the engine's patterns have a limit, and nobody types more."""
SHORT = 3
"""A last word of a phrase that is begun with fewer characters may stand anywhere beside the others."""

# Han with extensions and compatibility forms, kana, Hangul, and the marks that stand among them.
_SCRIPT = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_LETTERS = f"[^\\W_{_SCRIPT}]+"
_RUN = re.compile(f"[{_SCRIPT}]+|{_LETTERS}(?:[_\\-.'’]+{_LETTERS})*")
_WORD = re.compile(_LETTERS)
_IS_SCRIPT = re.compile(f"[{_SCRIPT}]")
_MARKS = re.compile("[\u0300-\u036f]")
# Where a name like DetailTweakerXLv2 falls apart; `v2` stays whole.
_SEAMS = re.compile(
    r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z](?!v\d)[a-z])|(?<=[^\W\d_])(?=[vV]\d)|(?<=[^\W\d_vV])(?=\d)"
    r"|(?<=\d)(?=[^\W\d_])"
)
# What nobody sees counts as a blank, as it does in what is typed.
_BLANKS = re.compile(r"[\s_\u200b\u2060\ufeff]+")


class Run(NamedTuple):
    """A stretch of one script, as a `whole`.

    `sequence` are its tokens in order, `bag` all by which it is found, order aside. Of other scripts,
    `sequence` are the parts of a word or name, and `bag` holds these and its parts joined: two neighbours,
    and all. Of scripts without blanks, `sequence` are the pairs of neighbours (the character itself where it
    stands alone), and `bag` holds the characters and up to four neighbours.
    """

    whole: str
    sequence: tuple[str, ...]
    bag: tuple[str, ...]
    script: bool


def fold(text: str) -> str:
    """Return text for comparing: NFKC, case folded, diacritics dropped, traditional Chinese simplified."""
    if text.isascii():
        return text.lower()
    # Folding a case may undo a normal form (U+0345), and dropping marks may leave others to compose.
    normal = unicodedata.normalize("NFKC", text).casefold()
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", normal))
    return simplified(unicodedata.normalize("NFKC", bare).casefold())


def key(text: str) -> str:
    """Return the form in which names, tags and other whole values are compared: folded, `_` as a blank."""
    return _short_key(text) if len(text) <= _REMEMBERED else _key(text)


@lru_cache(maxsize=1 << 12)
def _short_key(text: str) -> str:
    return _key(text)


def _key(text: str) -> str:
    # Folding may lengthen.
    return _BLANKS.sub(" ", fold(text[:MAX_KEY])[:MAX_KEY]).strip()


def beginning(folded: str) -> str:
    """Return as much of a beginning as is compared."""
    return folded[:MAX_BEGINNING]


def tag_term(folded: str) -> str:
    """Return a tag in the form of `key` as one token."""
    return folded.replace(" ", "_")


def tag_of(term: str) -> str:
    """Return the tag of a token that `tag_term` made."""
    return term.replace("_", " ")


def runs(text: str) -> tuple[Run, ...]:
    """Return the runs of a text in order."""
    return tuple([run for chunk in text[:MAX_TEXT].split() for run in chunk_runs(chunk)])


def chunk_runs(chunk: str) -> tuple[Run, ...]:
    """Return the runs of a part of a text between blanks; no run goes beyond one."""
    return _short_runs(chunk) if len(chunk) <= _REMEMBERED else tuple(_runs(chunk))


# What is compared one record after the other are the same few words again and again.
_REMEMBERED = 40


@lru_cache(maxsize=1 << 12)
def _short_runs(chunk: str) -> tuple[Run, ...]:
    return tuple(_runs(chunk))


def _runs(text: str) -> Iterator[Run]:
    normal = text if text.isascii() else unicodedata.normalize("NFKC", text)
    for found in _RUN.finditer(normal):
        written = found.group()
        if _IS_SCRIPT.match(written):
            folded = fold(written)
            pairs = tuple(grams(folded, 2)) or (folded,)
            bag = dict.fromkeys([gram for size in range(1, GRAM + 1) for gram in grams(folded, size)])
            yield Run(folded, pairs, tuple(bag), script=True)
            continue
        parts = [fold(part)[:MAX_TOKEN] for word in _WORD.findall(written) for part in _apart(word)]
        parts = [part for part in parts if part]
        if parts:
            bag = dict.fromkeys((*parts, *_joined(parts)))
            yield Run("".join(parts), tuple(parts), tuple(bag), script=False)


def _apart(word: str) -> Sequence[str]:
    # Most words are seen to be one part sooner than the pattern can tell.
    if word.isdigit() or (word.isalpha() and word[1:].islower() and word.isascii()):
        return (word,)
    return _SEAMS.split(word)


def grams(text: str, size: int) -> list[str]:
    """Return the stretches of so many characters of a text, in order."""
    return [text[start : start + size] for start in range(len(text) - size + 1)]


def _joined(parts: list[str]) -> list[str]:
    if len(parts) < 2:
        return []
    joined = [first + second for first, second in pairwise(parts)]
    whole = "".join(parts)
    if len(parts) > 2 and len(whole) <= MAX_TOKEN:
        joined.append(whole)
    return joined


ROOT_FOLDER = "/"


@lru_cache(maxsize=1 << 12)
def folders(path: str) -> tuple[str, ...]:
    """Return a folder and all above it, folded; a root has a name that no folder can have."""
    parts = [key(part) for part in path.split("/") if part]
    return tuple("/".join(parts[:count]) for count in range(1, len(parts) + 1)) or (ROOT_FOLDER,)


def stands_in(wanted: Sequence[str], tokens: Sequence[str], *, prefix: bool = False) -> bool:
    """Whether tokens follow one another in others; with `prefix` the last one is the beginning of one."""
    if not wanted:
        return False
    *first, last = wanted
    last = beginning(last) if prefix else last
    for start in range(len(tokens) - len(first)):
        end = start + len(first)
        found = tokens[end].startswith(last) if prefix else tokens[end] == last
        if found and list(tokens[start:end]) == first:
            return True
    return False


def is_open(found: Sequence[Run], *, prefix: bool) -> bool:
    """Whether the last token of some runs is the beginning of one.

    What begins with two characters or more of a script without blanks is what holds them.
    """
    return prefix and bool(found) and not (found[-1].script and len(found[-1].whole) > 1)


def sequence(text: str) -> list[str]:
    """Return all tokens of a text in order, as phrases are compared."""
    return [token for run in runs(text) for token in run.sequence]
