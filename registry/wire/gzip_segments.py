"""One gzip member put together from pieces that were compressed on their own.

Clients such as httpx and Chromium read the first member of a gzip stream and silently drop the others, so
joining whole gzip files is no way. A piece is raw deflate ended by a full flush: it stops at a byte
boundary and refers to nothing outside itself (RFC 1951), and the CRCs of pieces combine (RFC 1952; zlib
`crc32.c`, crc32_combine).
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LAST_BLOCK = b"\x03\x00"
# The level for pieces made once and sent often.
LEVEL = 6
_POLYNOMIAL = 0xEDB88320
_MAX_STORED = 0xFFFF
_CHUNK = 1 << 18
_ZEROS = memoryview(bytes(1 << 14))


class Fragment(NamedTuple):
    """A piece of a member: raw deflate without a last block, CRC-32 and size in bytes of what it holds."""

    deflate: bytes
    crc: int
    size: int


def compress_fragment(data: bytes, level: int = LEVEL) -> Fragment:
    """Compress a piece that can stand anywhere in a member."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflate = compressor.compress(data) + compressor.flush(zlib.Z_FULL_FLUSH)
    return Fragment(deflate, zlib.crc32(data), len(data))


def stored_fragment(data: bytes) -> Fragment:
    """Wrap a piece without compressing it: 5 bytes more for each 65,535."""
    return Fragment(b"".join(_stored(data)), zlib.crc32(data), len(data))


def decompress_fragment(fragment: Fragment) -> bytes:
    """Give back the bytes of a piece, never more than it claims; raises `ValueError` where they differ."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One byte more than claimed, as 0 would mean no bound.
        data = inflater.decompress(fragment.deflate, fragment.size + 1)
    except zlib.error as error:
        raise ValueError(f"damaged compressed piece: {error}") from error
    if len(data) != fragment.size or zlib.crc32(data) != fragment.crc:
        raise ValueError("a compressed piece does not hold what it says")
    return data


def trailer(crc: int, size: int) -> bytes:
    """Give the 8 bytes that end a member: CRC-32 and size modulo 2**32, little-endian."""
    return crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def combine_crc(first: int, second: int, second_size: int) -> int:
    """Give the CRC-32 of two byte strings joined, from that of each and the size in bytes of the second."""
    if second_size <= len(_ZEROS):
        # For short pieces, running over zeros in C is faster than looking up what they do.
        return zlib.crc32(_ZEROS[:second_size], first ^ 0xFFFFFFFF) ^ 0xFFFFFFFF ^ second
    bit = 0
    while second_size:
        if second_size & 1:
            first = _apply(_zeros_operator(bit), first)
        second_size >>= 1
        bit += 1
    return first ^ second


def join_fragments(parts: Iterable[Fragment | bytes]) -> Fragment:
    """Join compressed pieces and raw bytes, which are stored with their neighbours, into one piece."""
    out: list[bytes] = []
    raw: list[bytes] = []
    crc = size = 0
    for part in parts:
        if isinstance(part, bytes):
            raw.append(part)
            continue
        if raw:
            data = b"".join(raw)
            raw.clear()
            out.append(b"".join(_stored(data)))
            crc = zlib.crc32(data, crc)
            size += len(data)
        out.append(part.deflate)
        crc = combine_crc(crc, part.crc, part.size)
        size += part.size
    data = b"".join(raw)
    out.append(b"".join(_stored(data)))
    return Fragment(b"".join(out), zlib.crc32(data, crc), size + len(data))


def gzip_member(parts: Iterable[Fragment | bytes]) -> Iterator[bytes]:
    """Join compressed pieces and raw bytes into the chunks of one gzip member.

    Raw bytes are stored, neighbours in one block. A chunk is sent when it has 256 KiB, so memory stays at
    that and one piece, however long the member is.
    """
    yield GZIP_HEADER
    crc = size = 0
    for chunk in map(join_fragments, _chunks(parts)):
        yield chunk.deflate
        crc = combine_crc(crc, chunk.crc, chunk.size)
        size += chunk.size
    yield LAST_BLOCK + trailer(crc, size)


def _chunks(parts: Iterable[Fragment | bytes]) -> Iterator[list[Fragment | bytes]]:
    waiting: list[Fragment | bytes] = []
    length = 0
    for part in parts:
        waiting.append(part)
        length += len(part.deflate if isinstance(part, Fragment) else part)
        if length >= _CHUNK:
            yield waiting
            waiting, length = [], 0
    if waiting:
        yield waiting


def _stored(data: bytes) -> list[bytes]:
    blocks: list[bytes] = []
    for start in range(0, len(data), _MAX_STORED):
        block = data[start : start + _MAX_STORED]
        length = len(block)
        blocks.append(b"\x00" + length.to_bytes(2, "little") + (length ^ _MAX_STORED).to_bytes(2, "little"))
        blocks.append(block)
    return blocks


_Operator = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


@cache
def _zeros_operator(bit: int) -> _Operator:
    """Tabulate what 2**bit zero bytes do to a CRC: one table for each of its four bytes."""
    if bit == 0:
        images = [_after_zero_byte(1 << position) for position in range(32)]
    else:
        half = _zeros_operator(bit - 1)
        images = [_apply(half, _apply(half, 1 << position)) for position in range(32)]
    return (
        _byte_table(images[0:8]),
        _byte_table(images[8:16]),
        _byte_table(images[16:24]),
        _byte_table(images[24:32]),
    )


def _after_zero_byte(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


def _apply(operator: _Operator, crc: int) -> int:
    lowest, low, high, highest = operator
    return lowest[crc & 0xFF] ^ low[crc >> 8 & 0xFF] ^ high[crc >> 16 & 0xFF] ^ highest[crc >> 24]


def _byte_table(images: list[int]) -> tuple[int, ...]:
    table = [0]
    for image in images:
        table.extend([entry ^ image for entry in table])
    return tuple(table)
