"""The text of a query as tokens: words, phrases, fields with their values, parentheses, signs.

Signs may be full-width or ASCII. A parenthesis that is closed before the next blank or quotation mark belongs
to the word that it stands in, as in `saber_(fate)`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from registry.search import text as texts
from registry.search.fields import BY_NAME
from registry.search.values import Written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SORT: Final = "sort"
SAVED: Final = "saved"

OPENING: Final = "(\uff08"
CLOSING: Final = ")\uff09"
QUOTES: Final = '"“”„‟«»\uff02'
MINUS: Final = "-\u2212\uff0d"
COMMAS: Final = ",、\uff0c\uff64"
STARS: Final = "*\uff0a"
_SHOWN: Final = 60
_KEYWORDS: Final = {"OR", "AND"}
_NAME = re.compile(r"([\w-]{1,40})[:\uff1a]")
_WORD_ENDS = re.compile(rf"[\s{COMMAS}{QUOTES}{OPENING}{CLOSING}]")
_PAIRING = re.compile(rf"[\s{QUOTES}{OPENING}{CLOSING}]")
_QUOTE = re.compile(f"[{QUOTES}]")
# What no database or index can store, and what nobody can see.
_UNUSABLE = re.compile("[\x00\ufeff\u200b\u2060\ud800-\udfff]")


class Sign(Enum):
    """What a token is."""

    OPEN = "open"
    CLOSE = "close"
    MINUS = "minus"
    OR = "OR"
    AND = "AND"
    WORD = "word"
    PHRASE = "phrase"
    FIELD = "field"


@dataclass(frozen=True, slots=True)
class Token:
    """One token and where it begins; `text` is the word, the phrase, or the name that fields know it by."""

    sign: Sign
    at: int
    text: str
    prefix: bool = False
    values: tuple[Written, ...] = ()


def clean(text: str) -> str:
    """Return text of the same length without characters that cannot be stored or seen."""
    return _UNUSABLE.sub(" ", text)


def shown(text: str) -> str:
    """Return text of a stranger as a sentence can hold it: short, and nothing that moves a cursor."""
    short = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return short if short.isprintable() else "".join(c if c.isprintable() else " " for c in short)


def last_word(text: str) -> str:
    """Return what is being typed at the end of a text: from its last blank on that stands in no quotes."""
    begin = 0
    quoted = False
    for place, sign in enumerate(text):
        if sign in QUOTES:
            quoted = not quoted
        elif sign.isspace() and not quoted:
            begin = place + 1
    return text[begin:]


def field_name(typed: str) -> str | None:
    """Return the name of the field, `sort` or `saved` that a name means, `None` if none."""
    name = texts.fold(typed).replace("-", "_")
    row = BY_NAME.get(name)
    return row.name if row else name if name in {SORT, SAVED} else None


def tokens(text: str) -> Iterator[Token]:
    """Give the tokens of a text that is clean; any text has some, and none is an error."""
    pairs = _pairs(text)
    depth = at = 0
    while at < len(text):
        char = text[at]
        if char.isspace() or char in COMMAS:
            at += 1
            continue
        if char in OPENING or char in CLOSING or char in MINUS:
            opens, closes = char in OPENING, char in CLOSING
            depth = max(0, depth + opens - closes)
            yield Token(Sign.OPEN if opens else Sign.CLOSE if closes else Sign.MINUS, at, char)
            at += 1
            continue
        token, at = _term(text, at, pairs, nested=depth > 0)
        yield token


def _term(text: str, at: int, pairs: Mapping[int, int], *, nested: bool) -> tuple[Token, int]:
    if text[at] in QUOTES:
        phrase, end = _quoted(text, at)
        after = _skip(text, end, STARS)
        return Token(Sign.PHRASE, at, phrase.strip(), prefix=after > end), after
    named = _NAME.match(text, at)
    name = field_name(named.group(1)) if named else None
    if named and name:
        values, end = _values(text, named.end(), pairs, nested=nested)
        return Token(Sign.FIELD, at, name, values=values), end
    end = _bare(text, at, pairs, nested=nested)
    word = text[at:end]
    if word in _KEYWORDS:
        return Token(Sign(word), at, word), end
    stem = word.rstrip(STARS)
    return Token(Sign.WORD, at, stem, prefix=stem != word), end


def _values(text: str, at: int, pairs: Mapping[int, int], *, nested: bool) -> tuple[tuple[Written, ...], int]:
    values: list[Written] = []
    while True:
        value, at = _value(text, at, pairs, nested=nested)
        if value.text or value.prefix:
            values.append(value)
        if at == len(text) or text[at] not in COMMAS:
            return tuple(values), at
        at += 1


def _value(text: str, at: int, pairs: Mapping[int, int], *, nested: bool) -> tuple[Written, int]:
    pieces: list[str] = []
    quoted = tail = False
    while at < len(text):
        if text[at] in QUOTES:
            piece, at = _quoted(text, at)
            quoted, tail = True, False
        else:
            end = _bare(text, at, pairs, nested=nested)
            if end == at:
                break
            piece, at, tail = text[at:end], end, True
        pieces.append(piece)
    last = pieces.pop() if pieces else ""
    stem = last.rstrip(STARS) if tail else last
    return Written("".join((*pieces, stem)), quoted, prefix=stem != last), at


def _bare(text: str, at: int, pairs: Mapping[int, int], *, nested: bool) -> int:
    """Return where the word ends that begins here."""
    end = at
    while (found := _WORD_ENDS.search(text, end)) and found.start() in pairs:
        end = pairs[found.start()] + 1
    end = found.start() if found else len(text)
    # `:)` is not a parenthesis that was forgotten.
    if not nested and end > at and not any(map(str.isalnum, text[at:end])):
        end = _skip(text, end, CLOSING)
    return end


def _quoted(text: str, at: int) -> tuple[str, int]:
    """Return what stands between quotation marks and where it ends; a doubled mark stands for itself."""
    parts: list[str] = []
    start = at + 1
    while found := _QUOTE.search(text, start):
        end = found.start()
        if text[end + 1 : end + 2] != text[end]:
            return "".join((*parts, text[start:end])), end + 1
        parts.append(text[start : end + 1])
        start = end + 2
    return "".join((*parts, text[start:])), len(text)


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _pairs(text: str) -> dict[int, int]:
    """Return the parentheses that are closed before the next blank or quotation mark."""
    pairs: dict[int, int] = {}
    unclosed: list[int] = []
    for found in _PAIRING.finditer(text):
        if found.group() in OPENING:
            unclosed.append(found.start())
        elif found.group() not in CLOSING:
            unclosed.clear()
        elif unclosed:
            pairs[unclosed.pop()] = found.start()
    return pairs
