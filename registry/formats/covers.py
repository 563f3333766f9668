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
# Keys as they are compared: without blanks around them, casefolded. A1111 writes its prompts as `parameters`
# into pictures, ComfyUI's nodes get theirs as `prompt` and `extra_pnginfo`; trainers name those of samples.
_TELLING: Final = frozenset({_LISTED, *_SINGLE, "parameters", "extra_pnginfo"})
_TELLING_ENDS: Final = ("prompt", "prompts", "workflow")
# What a trainer was asked to learn is no prompt of a picture.
_LEARNT: Final = frozenset({"instance_prompt", "class_prompt"})
# Within casefolded values: data URLs, and prompts in JSON such as the samples in OneTrainer's `ot_config`.
# JSON may write its slashes and quotes with backslashes, and more of them where it stands in JSON itself.
_PICTURE: Final = re.compile(r"data:image\\*/")
_PROMPT: Final = re.compile(r'prompts?\\*"\s*:\s*(?:\[\s*)?\\*"')
# The first is found fast, and is in few texts.
_MAYBE_ESCAPED: Final = re.compile(r"u00[2-7][0-9a-f]")
_ESCAPED: Final = re.compile(r"(?<!\\)\\+u00([2-7][0-9a-f])")
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
    return {key: text for key, text in metadata.items() if not (_tells(key) or _holds(key) or _holds(text))}


def _tells(key: str) -> bool:
    """Tell whether a key is one of pictures, prompts and workflows, however it is written."""
    folded = key.strip().casefold()
    return folded in _TELLING or (folded.endswith(_TELLING_ENDS) and folded not in _LEARNT)


def _holds(text: str) -> bool:
    """Tell whether a picture or, in JSON, a prompt stands anywhere in a text."""
    folded = text.casefold()
    if _MAYBE_ESCAPED.search(folded):
        folded = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), folded).casefold()
    return _PICTURE.search(folded) is not None or _PROMPT.search(folded) is not None


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
