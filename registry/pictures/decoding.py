"""Decoding with Pillow: for child processes only, as decoders of images are where strangers break in.

The only module that imports Pillow. Of an animation the first frame is decoded and no other.
"""

from __future__ import annotations

import io
import struct
import warnings
from typing import TYPE_CHECKING, Final

from PIL import AvifImagePlugin, Image, WebPImagePlugin

from registry.pictures.answers import DAMAGED, DECODED, TOO_HUNGRY, TOO_MANY_PIXELS, Answer, packed
from registry.pictures.sniff import sniff

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.pictures.picture import Limits

# Named, so that Pillow does not load all its decoders to find these two.
_LOADED: Final = (AvifImagePlugin, WebPImagePlugin)
_ORIENTATION: Final = 0x0112
# Of the EXIF orientation, how an image is turned to be shown (JEITA CP-3451 4.6.4 A).
_TURNS: Final[Mapping[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING: Final = frozenset({5, 6, 7, 8})
# Modes that can be made smaller as they are: the others are converted first, at the price of memory.
_SCALABLE: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"})
_REDUCING_GAP: Final = 3.0


def answer(data: bytes, limits: Limits) -> bytes:
    """Return what `registry.pictures.answers` packs: a thumbnail, or why there is none; never raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = _decoded(data, limits)
    except Image.DecompressionBombError:
        said = Answer(TOO_MANY_PIXELS)
    except MemoryError:
        said = Answer(TOO_HUNGRY)
    except Exception:  # noqa: BLE001 - Pillow raises whatever a stranger's bytes lead it to
        said = Answer(DAMAGED)
    return packed(said)


def _decoded(data: bytes, limits: Limits) -> Answer:
    kind = sniff(data)
    if kind is None or kind.pillow is None:
        return Answer(DAMAGED)
    # Pillow itself refuses only twice this.
    Image.MAX_IMAGE_PIXELS = limits.pixels
    with Image.open(io.BytesIO(data), formats=(kind.pillow,)) as image:
        width, height = image.size
        if width * height > limits.pixels:
            raise Image.DecompressionBombError
        small, orientation = _made_small(image, limits)
    if orientation in _TURNS:
        small = small.transpose(_TURNS[orientation])
    if orientation in _LYING:
        width, height = height, width
    written = io.BytesIO()
    small.save(written, "WEBP", quality=limits.quality, method=4, exif=b"", icc_profile=b"", xmp=b"")
    return Answer(DECODED, width, height, written.getvalue())


def _made_small(image: Image.Image, limits: Limits) -> tuple[Image.Image, int]:
    """Return the image as RGB or RGBA in the size of a thumbnail, and its EXIF orientation."""
    box = (limits.longest, limits.longest)
    transparent = image.has_transparency_data and not image.mode.startswith("I")
    if image.mode in _SCALABLE and (image.mode.endswith("A") or not transparent):
        # Before it is loaded: of a JPEG only what a thumbnail needs is then decoded.
        image.thumbnail(box, Image.Resampling.LANCZOS, _REDUCING_GAP)
    image.load()
    orientation = _orientation(image)
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    image = image.convert("RGBA" if transparent else "RGB")
    image.thumbnail(box, Image.Resampling.LANCZOS, _REDUCING_GAP)
    image.info.clear()
    return image, orientation


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        # What is broken there is no reason not to show the image.
        return 1
    return found if isinstance(found, int) else 1
