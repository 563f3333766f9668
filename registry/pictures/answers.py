"""What the process that decodes says to the one that asked: bytes and numbers, checked as a stranger's.

A decoder that was taken over by a picture must not take over who asked, so nothing here is unpickled.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.errors import BadPicture
from registry.pictures.picture import Picture
from registry.pictures.sniff import KINDS, sniff

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.pictures.sniff import Kind

DECODED: Final = 0
DAMAGED: Final = 1
TOO_MANY_PIXELS: Final = 2
TOO_HUNGRY: Final = 3

MAX_ANSWER: Final = 16 << 20
_HEAD: Final = struct.Struct(">BQQ")
_REFUSALS: Final[Mapping[int, str]] = {
    DAMAGED: "is damaged, cut off or of a variant that cannot be decoded",
    TOO_MANY_PIXELS: "has more than {pixels:,} pixels",
    TOO_HUNGRY: "needs more memory than it may take",
}


class Answer(NamedTuple):
    """An outcome of the constants above, and of what was decoded the size in pixels and the thumbnail."""

    outcome: int
    width: int = 0
    height: int = 0
    thumbnail: bytes = b""


def packed(answer: Answer) -> bytes:
    """Return an answer as bytes."""
    return _HEAD.pack(answer.outcome, answer.width, answer.height) + answer.thumbnail


def picture_of(kind: Kind, data: bytes, pixels: int) -> Picture:
    """Return the picture that an answer describes, of at most `pixels`.

    Raises BadPicture where it was refused, ValueError if that is no answer.
    """
    if len(data) < _HEAD.size:
        raise ValueError("an answer is too short")
    outcome, width, height = _HEAD.unpack_from(data)
    if outcome in _REFUSALS:
        raise BadPicture(f"the {kind.name} picture {_REFUSALS[outcome].format(pixels=pixels)}")
    thumbnail = data[_HEAD.size :]
    if outcome != DECODED or not 0 < width * height <= pixels or sniff(thumbnail) != KINDS["webp"]:
        raise ValueError("an answer is none of ours")
    return Picture(kind, width, height, thumbnail)
