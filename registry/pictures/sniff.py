"""What an image or video is, told by its first bytes; names and claimed types are never believed.

Sources: W3C PNG 5.2; ITU-T T.81 B.1.1.3; GIF89a 17; RFC 9649 (WebP) 2.4; AOM AVIF 6.2; ISO/IEC 18181-2
(JPEG XL); ISO/IEC 15444-1 Annex I (JPEG 2000); TIFF 6.0; ISO/IEC 14496-12 4.3 (`ftyp`); RFC 8794 11.2 and the
WebM container guidelines (`DocType`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENOUGH: Final = 512
# A `ftyp` box: its size, its name, the major brand, a version, then the compatible brands.
_BRANDED: Final = rb".{4}ftyp(?:.{8}(?:.{4}){0,60}?)?"
_VIDEO_BRANDS: Final = rb"(?:iso[2-9m]|avc1|mp4[12]|mp71|M4V[ HP]|MSNV|dash|3g[2p][0-9a-z])"


class Kind(NamedTuple):
    """A type of image or video; `extension` has no dot.

    `pillow` is what Pillow calls it, `demuxer` what ffmpeg calls its container. With neither it is only
    recognised.
    """

    name: str
    media_type: str
    extension: str
    pillow: str | None = None
    demuxer: str | None = None


# In this order: an AVIF may name the brands of videos too.
_RULES: Final[tuple[tuple[bytes, Kind], ...]] = (
    (rb"\x89PNG\r\n\x1a\n", Kind("PNG", "image/png", "png", "PNG")),
    (rb"\xff\xd8\xff", Kind("JPEG", "image/jpeg", "jpg", "JPEG")),
    (rb"RIFF.{4}WEBP", Kind("WebP", "image/webp", "webp", "WEBP")),
    (rb"GIF8[79]a", Kind("GIF", "image/gif", "gif", "GIF")),
    (_BRANDED + rb"avi[fs]", Kind("AVIF", "image/avif", "avif", "AVIF")),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", Kind("JPEG XL", "image/jxl", "jxl")),
    (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", Kind("JPEG 2000", "image/jp2", "jp2")),
    (rb"II\*\0|MM\0\*", Kind("TIFF", "image/tiff", "tiff")),
    (_BRANDED + _VIDEO_BRANDS, Kind("MP4", "video/mp4", "mp4", demuxer="mov")),
    (rb"\x1aE\xdf\xa3.{1,80}?\x42\x82.{1,8}?webm", Kind("WebM", "video/webm", "webm", demuxer="matroska")),
)
_COMPILED: Final = tuple((re.compile(pattern, re.DOTALL), kind) for pattern, kind in _RULES)

KINDS: Final[Mapping[str, Kind]] = {kind.extension: kind for _, kind in _RULES}
"""Every type that is recognised, by extension."""


def sniff(data: bytes) -> Kind | None:
    """Return the type of an image or video by its beginning.

    It is `None` for everything else, SVG and HTML included: what can run scripts is no picture here.
    """
    head = data[:_ENOUGH]
    return next((kind for pattern, kind in _COMPILED if pattern.match(head)), None)
