"""The texts inside a PNG: read without decoding the picture, and written into it.

Source: W3C PNG (third edition) 11.3.3 (tEXt, zTXt, iTXt).
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.errors import BadPicture
from registry.formats.packing import clean_text
from registry.formats.png_chunks import chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from registry.formats.png_chunks import Chunk

MAX_TEXTS: Final = 64
MAX_TEXT: Final = 4 << 20
"""Bytes of all texts of a picture, once they are inflated."""
_MAX_KEY: Final = 79


def read_texts(png: bytes) -> dict[str, str]:
    """Return the texts of a PNG by their keys, as Pillow does: of several with one key the last.

    Nothing is raised: what is no PNG has none, chunks that are odd or too long are left out, and a picture
    that is cut has those before the cut. At most `MAX_TEXTS` of `MAX_TEXT` bytes together are read.
    """
    found: dict[str, str] = {}
    seen = 0
    left = MAX_TEXT
    for chunk in chunks(png):
        read = _READERS.get(chunk.kind)
        if read is None:
            continue
        seen += 1
        if seen > MAX_TEXTS:
            break
        key, separator, rest = chunk.data(png, MAX_TEXT + _MAX_KEY + 2).partition(b"\0")
        told = read(rest, left) if separator and 1 <= len(key) <= _MAX_KEY else None
        if told is None:
            continue
        left -= len(told.raw)
        found[clean_text(key.decode("latin-1"))] = clean_text(told.raw.decode(told.encoding, "replace"))
    return found


def with_text(png: bytes, key: str, text: str) -> bytes:
    """Return a PNG that says `text` under `key`, and no longer what it said there.

    The chunk comes first after the header, so that whoever reads only the first ones finds it. Raises
    BadPicture for what is no PNG, ValueError for a key of none or more than 79 Latin letters.
    """
    first = next(chunks(png), None)
    if first is None or not first.is_header:
        raise BadPicture("that is no PNG")
    name = key.encode("latin-1")
    if not 1 <= len(name) <= _MAX_KEY or b"\0" in name:
        raise ValueError(f"{key!r} is no key of a text in a PNG")
    kept = [png[: first.end], _text_chunk(name, clean_text(text))]
    place = first.end
    for chunk in _texts_of(png, name):
        kept.append(png[place : chunk.start])
        place = chunk.end
    kept.append(png[place:])
    return b"".join(kept)


def has_text(png: bytes, key: str) -> bool:
    """Whether a PNG says anything under `key`, be it readable or not."""
    return any(_texts_of(png, key.encode("latin-1")))


def _texts_of(png: bytes, name: bytes) -> Iterator[Chunk]:
    for chunk in chunks(png):
        if chunk.kind in _READERS and chunk.data(png, len(name) + 1) == name + b"\0":
            yield chunk


def _text_chunk(name: bytes, text: str) -> bytes:
    try:
        kind, data = b"tEXt", name + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
        # Not compressed, without a language and a translated key.
        kind, data = b"iTXt", name + b"\0\0\0\0\0" + text.encode()
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class _Told(NamedTuple):
    raw: bytes
    encoding: str


def _plain(rest: bytes, most: int, encoding: str = "latin-1") -> _Told | None:
    return _Told(rest, encoding) if len(rest) <= most else None


def _deflated(rest: bytes, most: int, encoding: str = "latin-1") -> _Told | None:
    if rest[:1] != b"\0":
        return None
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(rest[1:], most + 1)
    except zlib.error:
        return None
    return _plain(raw, most, encoding) if inflater.eof else None


def _international(rest: bytes, most: int) -> _Told | None:
    flag, method = rest[:1], rest[1:2]
    _language, _, after = rest[2:].partition(b"\0")
    _translated, separator, text = after.partition(b"\0")
    if not separator:
        return None
    return _deflated(method + text, most, "utf-8") if flag == b"\1" else _plain(text, most, "utf-8")


_READERS: Final[Mapping[bytes, Callable[[bytes, int], _Told | None]]] = {
    b"tEXt": _plain,
    b"zTXt": _deflated,
    b"iTXt": _international,
}
