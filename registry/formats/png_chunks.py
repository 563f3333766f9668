"""The chunks that a PNG consists of, one after another; nothing is decoded.

Source: W3C PNG (third edition) 5.2 and 5.3. Check sums are not looked at.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS: Final = 100_000
_HEADER, _OF_HEADER, _LAST = b"IHDR", 13, b"IEND"


class Chunk(NamedTuple):
    """`start` and `end` are those of the whole chunk, with its length, type and check sum."""

    kind: bytes
    start: int
    end: int

    @property
    def is_header(self) -> bool:
        """Whether it is what a PNG begins with, of the length that it has to have."""
        return self.kind == _HEADER and self.end - self.start == _OF_HEADER + 12

    def data(self, png: bytes, most: int | None = None) -> bytes:
        """Return what it holds, or the first bytes of it."""
        end = self.end - 4 if most is None else min(self.end - 4, self.start + 8 + most)
        return png[self.start + 8 : end]


def chunks(png: bytes) -> Iterator[Chunk]:
    """Yield the chunks up to the end or to one that is cut, `MAX_CHUNKS` at most; what is no PNG has none."""
    if not png.startswith(SIGNATURE):
        return
    start = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if start + 12 > len(png):
            return
        length, kind = struct.unpack_from(">I4s", png, start)
        end = start + 12 + length
        if end > len(png):
            return
        yield Chunk(kind, start, end)
        if kind == _LAST:
            return
        start = end
