"""What is known of a picture once it was decoded, and how much one may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registry.pictures.sniff import Kind


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one image or video may take, and how its thumbnail is made.

    `longest` is the longest side of a thumbnail in pixels, `quality` WebP's, 1 to 100. `pixels` is width
    times height of one frame, `size` the bytes of a file, `memory` the address space in bytes of the process
    that decodes (not on Windows, and a system may ignore it), `seconds` the time by the clock.
    """

    longest: int = 450
    quality: int = 80
    pixels: int = 100_000_000
    size: int = 64 << 20
    memory: int = 2 << 30
    seconds: float = 30.0


DEFAULTS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, or a video by its first frame; `width` and `height` in pixels, as it is to be shown.

    `thumbnail` is WebP without any metadata. Of a video that nobody could look into only `kind` is known.
    """

    kind: Kind
    width: int | None = None
    height: int | None = None
    thumbnail: bytes | None = None
