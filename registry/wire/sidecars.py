"""Sidecars of all tools: bytes in, facts out, by the family that `registry.wire.companions` names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from registry.formats.values import OddValueError, json_value, quoted
from registry.wire import (
    civitai_browser_plus,
    civitai_helper,
    description_text,
    lora_manager,
    rgthree,
    stability_matrix,
    swarmui,
    user_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.told import SidecarFacts

MAX_SIDECAR: Final = 16 * 1024 * 1024

_TOOLS: Final = (
    civitai_browser_plus,
    civitai_helper,
    description_text,
    lora_manager,
    rgthree,
    stability_matrix,
    swarmui,
    user_json,
)
_READERS: Final[Mapping[str, Callable[[object], SidecarFacts | None]]] = {
    family: tool.read for tool in _TOOLS for family in tool.FAMILIES
}
_PLAIN: Final = frozenset(description_text.FAMILIES)

BLANK: Final = "\x00 \t\r\n"
"""What an empty file holds: NUL is all that a crash may leave of one."""
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
# What no text has, so that bytes which decode to it are of another encoding, or no text: controls, and what
# cp932 makes of bytes that are nothing there, such as FF and FD.
_CONTROLS: Final = r"\x00-\x08\x0e-\x1f\x7f-\x9f\uf8f0-\uf8f3"
_BINARY: Final = re.compile(f"[{_CONTROLS}]")
# Katakana of half width and private characters: what Chinese text is, read as Japanese.
_UNLIKELY_JAPANESE: Final = re.compile(f"[{_CONTROLS}\uff61-\uff9f\ue000-\uf8ff]")
_ENCODINGS: Final[tuple[tuple[str, re.Pattern[str] | None], ...]] = (
    ("utf-8-sig", None),
    ("gb2312", _BINARY),
    ("cp932", _UNLIKELY_JAPANESE),
    ("gb18030", _BINARY),
    ("cp932", _BINARY),
    ("cp1252", _BINARY),
)


class BadSidecar(ValueError):
    """A sidecar cannot be read; the text is a short sentence that begins with "it"."""


def decode(data: bytes) -> str:
    """Return the text of a sidecar: UTF-8, UTF-16 with a mark, or what Windows had for the user's language.

    The strictest encoding comes first, as each of the later ones accepts nearly all text of those before it.
    UTF-8 does not take others for itself. GB18030 takes most of Japanese Windows' cp932 without complaint, so
    before it come its core GB2312, which rejects kana and kanji of cp932 but holds nearly all that is written
    in simplified Chinese, and cp932 as far as the outcome looks Japanese. Western text is what is left.
    Raises BadSidecar for what is no text.
    """
    if data.startswith(_UTF16_MARKS):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError:
            raise BadSidecar("it begins like UTF-16 but is not") from None
        if _BINARY.search(text):
            raise BadSidecar("it is not text")
        return text
    for encoding, unlikely in _ENCODINGS:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if unlikely is None or not unlikely.search(text):
            return text
    raise BadSidecar("it is not text")


def read_sidecar(family: str, data: bytes) -> SidecarFacts | None:
    """Return what a sidecar of a family says, `None` if that is nothing or no tool that is known wrote it.

    Raises BadSidecar for what is larger than `MAX_SIDECAR`, no text, or not JSON where it should be; KeyError
    for a family that `registry.wire.companions` does not know.
    """
    read = _READERS[family]
    if len(data) > MAX_SIDECAR:
        raise BadSidecar(f"it is larger than {MAX_SIDECAR // 1024**2} MiB")
    text = decode(data)
    blank = not text.strip(BLANK)
    if family in _PLAIN:
        return None if blank else read(text)
    if blank:
        raise BadSidecar("it is empty")
    return read(_parsed(text))


def _parsed(text: str) -> object:
    """Return what JSON says, with NaN, lone surrogates and large numbers too, as Python's json writes."""
    try:
        return json_value(text)
    except OddValueError:
        raise BadSidecar(f"it is not JSON: {quoted(text)}") from None
