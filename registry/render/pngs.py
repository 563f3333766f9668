"""PNG files as bytes: whether what was sent is one, and a text put into it; nothing is decoded. Pure.

Source: W3C PNG (third edition) 5 and 11.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.pictures.sniff import sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES: Final = 64 << 20
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_MOST_SIDE: Final = 16_384
_MOST_PIXELS: Final = 1 << 26
_TEXTS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    end: int


def fault_of(data: bytes) -> str | None:
    """Return why something is no whole PNG of a sensible size, `None` for one that is.

    It completes "what was sent ...".
    """
    if not data.startswith(_SIGNATURE):
        kind = sniff(data)
        return "is no picture" if kind is None else f"is {kind.name} and not PNG"
    if len(data) > MOST_BYTES:
        return f"is larger than {MOST_BYTES:,} bytes"
    chunks = list(_chunks(data))
    if not chunks or chunks[0].kind != b"IHDR" or chunks[0].end - chunks[0].start != 13:
        return "is a PNG without a beginning"
    if chunks[-1].kind != b"IEND" or not any(each.kind == b"IDAT" for each in chunks):
        return "is a PNG that ends too early"
    width, height = struct.unpack_from(">II", data, chunks[0].start)
    if not (0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE and width * height <= _MOST_PIXELS):
        return f"is a PNG of {width:,} x {height:,} pixels"
    return None


def with_text(data: bytes, keyword: str, text: str) -> bytes:
    """Return a whole PNG that has a text of this name: its own where it has one, else this."""
    chunks = list(_chunks(data))
    name = keyword.encode("latin-1") + b"\0"
    if any(each.kind in _TEXTS and data.startswith(name, each.start, each.end) for each in chunks):
        return data
    body = b"iTXt" + name + b"\0\0\0\0" + text.encode("utf-8", "replace").replace(b"\0", b"")
    made = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    after = chunks[0].end + 4
    return data[:after] + made + data[after:]


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Yield the chunks up to the end or to what is none; their check sums are not looked at."""
    place = len(_SIGNATURE)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if end + 4 > len(data):
            return
        yield _Chunk(kind, place + 8, end)
        if kind == b"IEND":
            return
        place = end + 4
