"""PNG files as bytes: whether what was sent is one, and a text put into it; nothing is decoded. Pure.

Source: W3C PNG (third edition) 5 and 11.
"""

from __future__ import annotations

import struct
from typing import Final

from registry.formats import png_text
from registry.formats.png_chunks import SIGNATURE, chunks
from registry.pictures.sniff import sniff

MOST_BYTES: Final = 64 << 20
_MOST_SIDE: Final = 16_384
_MOST_PIXELS: Final = 1 << 26


def fault_of(data: bytes) -> str | None:
    """Return why something is no whole PNG of a sensible size, `None` for one that is.

    It completes "what was sent ...".
    """
    if not data.startswith(SIGNATURE):
        kind = sniff(data)
        return "is no picture" if kind is None else f"is {kind.name} and not PNG"
    if len(data) > MOST_BYTES:
        return f"is larger than {MOST_BYTES:,} bytes"
    found = list(chunks(data))
    if not found or not found[0].is_header:
        return "is a PNG without a beginning"
    if found[-1].kind != b"IEND" or not any(each.kind == b"IDAT" for each in found):
        return "is a PNG that ends too early"
    width, height = struct.unpack_from(">II", found[0].data(data))
    if not (0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE and width * height <= _MOST_PIXELS):
        return f"is a PNG of {width:,} x {height:,} pixels"
    return None


def with_text(data: bytes, keyword: str, text: str) -> bytes:
    """Return a whole PNG that has a text of this name: its own where it has one, else this."""
    return data if png_text.has_text(data, keyword) else png_text.with_text(data, keyword, text)
