"""Pictures inside headers, as bytes that nobody has looked at yet.

Sources: kohya-ss/sd-webui-additional-networks, which keeps a JSON list of base64 in `ssmd_cover_images`;
Stability-AI/ModelSpec 1.0.1, whose `modelspec.thumbnail` is a data URL; mcmonkeyprojects/SwarmUI, which wrote
`modelspec.preview_image` likewise.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from registry.formats.values import OddValueError, json_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_COVERS: Final = 8
MAX_COVER: Final = 16 << 20
"""Bytes of one picture, once it is decoded."""

_LISTED: Final = "ssmd_cover_images"
_SINGLE: Final = ("modelspec.thumbnail", "modelspec.preview_image")
_TELLING: Final = frozenset({_LISTED, *_SINGLE, "prompt", "workflow"})
# A list of pictures may stand under any key.
_BEFORE_PICTURES: Final = ' ["'
_LONGEST_START: Final = 40
_MAX_TEXT: Final = MAX_COVER // 3 * 4 + 4096
_DATA_URL: Final = re.compile(r"data:[^,]{0,200}?;base64,", re.ASCII | re.IGNORECASE)
_SPACE: Final = re.compile(r"\s+", re.ASCII)


def embedded(metadata: Mapping[str, str]) -> list[bytes]:
    """Return the pictures of a header, covers before thumbnails, each once; never raises.

    What is no base64, empty or longer than `MAX_COVER` is left out, and so is all after `MAX_COVERS`.
    """
    found: dict[bytes, None] = {}
    for text in _texts(metadata):
        data = _decoded(text)
        if data:
            found[data] = None
        if len(found) == MAX_COVERS:
            break
    return list(found)


def without_pictures(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata without pictures, and without the prompts and workflows they were made with."""
    return {
        key: text
        for key, text in metadata.items()
        if key not in _TELLING
        and not text[:_LONGEST_START].lower().lstrip(_BEFORE_PICTURES).startswith("data:image/")
    }


def _texts(metadata: Mapping[str, str]) -> Iterator[object]:
    try:
        listed = json_value(metadata.get(_LISTED) or "[]")
    except OddValueError:
        listed = None
    if isinstance(listed, list):
        yield from listed
    for key in _SINGLE:
        yield metadata.get(key)


def _decoded(text: object) -> bytes | None:
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        return None
    prefix = _DATA_URL.match(text)
    encoded = _SPACE.sub("", text[prefix.end() :] if prefix else text).rstrip("=")
    try:
        data = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return None
    return data if len(data) <= MAX_COVER else None
