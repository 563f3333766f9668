"""Lossless packing of header metadata: order, U+0000 and lone surrogates survive a round trip."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FAST = 1


def pack_metadata(metadata: Mapping[str, str]) -> bytes:
    """Return the metadata as compressed JSON in header order."""
    try:
        text = orjson.dumps(metadata)
    except (TypeError, ValueError):
        # orjson refuses lone surrogates; ASCII escapes carry them.
        text = json.dumps(dict(metadata), separators=(",", ":")).encode("ascii")
    return zlib.compress(text, _FAST)


def unpack_metadata(packed: bytes) -> dict[str, str]:
    """Return what `pack_metadata` packed, equal string for string and in the same order."""
    text = zlib.decompress(packed)
    try:
        found: dict[str, str] = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = json.loads(text)
    return found


def pack_json(value: object) -> bytes:
    """Return JSON bytes of plain values and dataclasses.

    Lone surrogates become escapes, NaN and infinities null.
    """
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):
        # What orjson cannot write: lone surrogates, and integers of more than 64 bits.
        return json.dumps(_finite(value), separators=(",", ":")).encode("ascii")


def _finite(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return _finite(asdict(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def unpack_json(packed: bytes) -> object:
    """Return what `pack_json` packed."""
    try:
        found: object = orjson.loads(packed)
    except orjson.JSONDecodeError:
        found = json.loads(packed)
    return found


def clean_text(text: str) -> str:
    """Return text that every database can hold: NUL shown as U+2400, lone surrogates as U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "␀")
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


MAX_TAG = 500


def stored_tag(tag: str) -> str:
    """Return a tag as the catalog's dictionary holds it: printable everywhere, at most 500 characters."""
    return clean_text(tag[:MAX_TAG])


def are_stored_tags(tags: Sequence[str]) -> bool:
    """Whether `stored_tag` leaves all of these as they are and apart; cheaper than asking for each."""
    whole = "".join(tags)
    return (
        len(set(tags)) == len(tags)
        and clean_text(whole) == whole
        and max(map(len, tags), default=0) <= MAX_TAG
    )
