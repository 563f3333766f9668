"""Pictures as files: PNG with the text that tools read, back to pixels, and sheets of a grid with labels."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from registry.errors import BadPicture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.render.decoding import Pixels

PARAMETERS: Final = "parameters"
_LABEL: Final = 28
_SIDE: Final = 140
_GAP: Final = 4
_PAPER: Final = (255, 255, 255)
_INK: Final = (30, 30, 30)
_LETTERS: Final = 40
_POINTS: Final = 14
# What systems have for scripts that the font of Pillow lacks.
_FONTS: Final = (
    "NotoSansCJK-Regular.ttc",
    "msyh.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "DejaVuSans.ttf",
)
_MOST_SIDE: Final = 4096


def png(pixels: Pixels, text: str) -> bytes:
    """Return a PNG of (height, width, 3) pixels that says how it was made."""
    told = PngImagePlugin.PngInfo()
    told.add_itxt(PARAMETERS, text) if not text.isascii() else told.add_text(PARAMETERS, text)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGB").save(buffer, "PNG", pnginfo=told)
    return buffer.getvalue()


def pixels_of(data: bytes, width: int, height: int) -> Pixels:
    """Return the (height, width, 3) pixels of somebody's PNG of at most 4096 x 4096, scaled to a size.

    What is transparent becomes white. Raises BadPicture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                if max(image.size) > _MOST_SIDE:
                    raise BadPicture(f"a picture to begin with has at most {_MOST_SIDE:,} pixels a side")
                image.load()
                clear = image.convert("RGBA")
    except (
        OSError,
        SyntaxError,
        ValueError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        raise BadPicture("a picture to begin with is no whole PNG") from error
    page = Image.alpha_composite(Image.new("RGBA", clear.size, _PAPER), clear).convert("RGB")
    if page.size != (width, height):
        page = page.resize((width, height), Image.Resampling.LANCZOS)
    return np.array(page)


def sheet(rows: Sequence[Sequence[Pixels | None]], across: Sequence[str], down: Sequence[str]) -> bytes:
    """Return one PNG of a grid of pictures of one size, with a label for each column and row.

    Places without a picture stay empty.
    """
    known = next(pixels for row in rows for pixels in row if pixels is not None)
    height, width = known.shape[:2]
    size = (_SIDE + len(across) * (width + _GAP), _LABEL + len(down) * (height + _GAP))
    page = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(page), _font([*across, *down])
    for number, label in enumerate(across):
        draw.text((_SIDE + number * (width + _GAP), 6), label[:_LETTERS], _INK, font)
    for number, label in enumerate(down):
        draw.text((_GAP, _LABEL + number * (height + _GAP)), label[:_LETTERS], _INK, font)
    for y, row in enumerate(rows):
        for x, pixels in enumerate(row):
            if pixels is not None:
                place = (_SIDE + x * (width + _GAP), _LABEL + y * (height + _GAP))
                page.paste(Image.fromarray(pixels, "RGB"), place)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def _font(labels: Sequence[str]) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font that has the letters of labels, as far as this machine has one."""
    try:
        "".join(labels).encode("latin-1")
    except UnicodeEncodeError:
        for name in _FONTS:
            with suppress(OSError):
                return ImageFont.truetype(name, _POINTS)
    return ImageFont.load_default(size=_POINTS)
