"""Text of strangers made fit for terminals and logs: it moves no cursor, turns no text, tells no password."""

from __future__ import annotations

import re
from typing import Final

# Control characters, what separates lines, what is invisible or turns the direction of text (Unicode TR9 and
# TR36), tags, and halves of surrogate pairs, which are how undecodable bytes of file names come here.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_USERINFO: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,40}://[^\s/?#:@]{0,200}:)\S{0,400}@")
_PARAMETER: Final = re.compile(r"([?&](?:ssl)?password=)[^\s&#'\"]{1,400}", re.IGNORECASE)


def plain(text: str) -> str:
    r"""Return `text` on one line with every character that is not plain text written out, as in `\x1b`."""
    return _UNSAFE.sub(_written_out, text)


def plain_lines(text: str) -> str:
    """Return `text` as `plain` does, but with its line breaks kept."""
    return "\n".join(map(plain, text.split("\n")))


def redacted(text: str) -> str:
    """Return `text` without the passwords of database URLs in it."""
    return _PARAMETER.sub(r"\1***", _USERINFO.sub(r"\1***@", text))


def _written_out(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no text (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
