"""From bytes to a picture, whether they are an image or a video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import BadPicture
from registry.pictures.picture import Picture
from registry.pictures.sniff import sniff
from registry.pictures.video import poster

if TYPE_CHECKING:
    from pathlib import Path

    from registry.pictures.process import Decoder


def look(data: bytes, decoder: Decoder, ffmpeg: str | None, folder: Path | None = None) -> Picture:
    """Return what an image or video is, with a thumbnail; of a video without ffmpeg only its kind is known.

    `folder` is for temporary files. Raises BadPicture, Cancelled and RegistryError as the decoder does.
    """
    kind = sniff(data)
    if kind is None or kind.demuxer is None:
        return decoder.decode(data)
    if len(data) > decoder.limits.size:
        raise BadPicture(f"the {kind.name} video has {len(data):,} bytes, more than {decoder.limits.size:,}")
    if ffmpeg is None:
        return Picture(kind)
    frame = decoder.decode(poster(data, kind, ffmpeg, decoder.limits, folder))
    return Picture(kind, frame.width, frame.height, frame.thumbnail)
