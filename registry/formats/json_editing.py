"""Changes to a JSON text that leave alone whatever does not change: order, blanks, escapes and numbers.

Only the values that differ are written anew, in the manner of the text around them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_ESCAPED: Final = re.compile(r"\\u(?!00[0-7])[0-9a-fA-F]{4}")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Only the places of values are wanted, so that numbers need not be understood.
_DECODER: Final = json.JSONDecoder(
    parse_int=lambda _: 0, parse_float=lambda _: 0.0, parse_constant=lambda _: None, strict=False
)


class Style(NamedTuple):
    """How a tool writes JSON: blanks of one level (`None` for all on one line), and whether in ASCII only."""

    indent: int | None
    ascii: bool


class _Manner(NamedTuple):
    """How members are parted: blanks of one level, line breaks, and `lead`, the blanks before this line."""

    unit: str | None
    newline: str
    comma: str
    colon: str
    ascii: bool
    lead: str = ""


class _Member(NamedTuple):
    """A key (`None` in lists) with the places of the member and of its value."""

    key: str | None
    begin: int
    start: int
    end: int


def written(value: Mapping[str, object], style: Style) -> str:
    """Return a new JSON text. Raises ValueError for numbers that JSON has not, RecursionError if too deep."""
    if style.indent is None:
        return _dumped(value, _Manner(None, "", ",", ":", style.ascii))
    return _dumped(value, _Manner(" " * style.indent, "\n", ",", ": ", style.ascii))


def edited(text: str, old: Mapping[str, object], new: Mapping[str, object], style: Style) -> str:
    """Return a JSON text that says `old` changed to say `new`, which lacks no member of `old`.

    Raises ValueError for numbers that JSON has not, RecursionError for what is nested too deep.
    """
    start = _after_blanks(text, 0)
    ascii_only = style.ascii
    if not text.isascii():
        ascii_only = False
    elif _ESCAPED.search(text):
        ascii_only = True
    style = style._replace(ascii=ascii_only)
    if not old:
        end = text.rindex("}") + 1
        return text[:start] + written(new, style) + text[end:]
    return text[:start] + _edited(text, start, old, new, _manner(text, start, style)) + _rest(text, start)


def _rest(text: str, start: int) -> str:
    return text[_DECODER.raw_decode(text, start)[1] :]


def _edited(text: str, start: int, old: object, new: object, manner: _Manner) -> str:
    """Return the text of a value that begins at `start`, changed."""
    if isinstance(old, dict) and isinstance(new, dict) and old and old.keys() <= new.keys():
        members, close = _members(text, start, keyed=True)
        # The last of several members with one key is the one that counts.
        last = {member.key: member for member in members}
        changed = {key: item for key, item in new.items() if key in old and not same(old[key], item)}
        edits = [(last[key], old[key], item) for key, item in changed.items()]
        added: list[tuple[str | None, object]] = [(key, item) for key, item in new.items() if key not in old]
    elif isinstance(old, list) and isinstance(new, list) and old and len(new) >= len(old):
        members, close = _members(text, start, keyed=False)
        pairs = zip(members, old, new, strict=False)
        edits = [(member, before, after) for member, before, after in pairs if not same(before, after)]
        added = [(None, item) for item in new[len(old) :]]
    else:
        return _dumped(new, manner)
    deeper = manner._replace(lead=manner.lead + (manner.unit or ""))
    pieces, at = [], start
    for member, before, after in sorted(edits, key=lambda edit: edit[0].start):
        pieces += [text[at : member.start], _edited(text, member.start, before, after, deeper)]
        at = member.end
    pieces.append(text[at : members[-1].end])
    between = manner.comma + (manner.newline + deeper.lead if manner.unit is not None else "")
    for key, item in added:
        head = "" if key is None else _dumped(key, manner) + manner.colon
        pieces.append(between + head + _dumped(item, deeper))
    pieces.append(text[members[-1].end : close + 1])
    return "".join(pieces)


def same(before: object, after: object) -> bool:
    """Whether two values are the same in JSON, which tells `true` from 1 where Python does not."""
    return before is after or (type(before) is type(after) and before == after)


def _members(text: str, start: int, *, keyed: bool) -> tuple[list[_Member], int]:
    """Return the members of an object or list that is not empty, and the place of its closing bracket."""
    found = []
    at = start
    while text[at] not in "}]":
        begin = value = _after_blanks(text, at + 1)
        key = None
        if keyed:
            key, colon = _DECODER.raw_decode(text, begin)
            value = _after_blanks(text, _after_blanks(text, colon) + 1)
        end = _DECODER.raw_decode(text, value)[1]
        found.append(_Member(key, begin, value, end))
        at = _after_blanks(text, end)
    return found, at


def _manner(text: str, start: int, style: Style) -> _Manner:
    """Return how an object is written that is not empty, from its first two members."""
    members, _ = _members(text, start, keyed=True)
    before = text[start + 1 : members[0].begin]
    name = text[members[0].begin : members[0].start]
    colon = name[name.rindex('"') + 1 :]
    if "\n" in before:
        newline = "\r\n" if "\r\n" in before else "\n"
        return _Manner(before.rpartition("\n")[2], newline, ",", colon, style.ascii)
    if len(members) > 1:
        gap = text[members[0].end : members[1].begin].partition(",")[2].strip("\r\n")
    else:
        gap = " " if colon.endswith(" ") else ""
    return _Manner(None, "", "," + gap, colon, style.ascii)


def _dumped(value: object, manner: _Manner) -> str:
    text = json.dumps(
        value,
        indent=manner.unit,
        ensure_ascii=manner.ascii,
        allow_nan=False,
        separators=(manner.comma, manner.colon),
    )
    if manner.unit is not None:
        # Line breaks within texts are escaped, so that these are all between members.
        text = text.replace("\n", manner.newline + manner.lead)
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _after_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()
