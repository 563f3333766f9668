"""Images that tests make, and what is in a thumbnail."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

RED, BLUE = (250, 0, 0), (0, 0, 250)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return an image as a file of a type that Pillow writes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def plain(kind: str = "PNG", size: tuple[int, int] = (60, 40), mode: str = "RGB", **options: Any) -> bytes:
    """Return an image of one colour."""
    return saved(Image.new(mode, size), kind, **options)


def cornered(size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Return a blue image whose upper left quarter is red."""
    image = Image.new("RGB", size, BLUE)
    image.paste(RED, (0, 0, size[0] // 2, size[1] // 2))
    return image


def opened(thumbnail: bytes | None) -> Image.Image:
    """Return a thumbnail as an image."""
    assert thumbnail is not None
    image = Image.open(io.BytesIO(thumbnail))
    image.load()
    return image


def colours(thumbnail: bytes | None, *places: tuple[float, float]) -> list[str]:
    """Return which of red, green and blue is strongest at places from (0, 0) to (1, 1)."""
    image = opened(thumbnail).convert("RGB")
    found = []
    for x, y in places:
        pixel = image.getpixel((round(x * (image.width - 1)), round(y * (image.height - 1))))
        assert isinstance(pixel, tuple)
        found.append(("red", "green", "blue")[pixel.index(max(pixel))])
    return found


def declared(width: int, height: int) -> bytes:
    """Return a PNG that says to be of a size and has hardly any data."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(bytes(1000))),
            (b"IEND", b""),
        )
    )
