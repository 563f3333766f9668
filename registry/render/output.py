"""Pictures as files: PNG with the text that tools read, and sheets of a grid with labels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from registry.formats.infotext import Infotext, lora_hashes, lora_tag, write_infotext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.render.engine import Pixels
    from registry.render.plan import Planned

PARAMETERS: Final = "parameters"
_SOFTWARE: Final = "lora-registry"
_LABEL: Final = 28
_SIDE: Final = 140
_GAP: Final = 4
_PAPER: Final = (255, 255, 255)
_INK: Final = (30, 30, 30)
_LETTERS: Final = 40


def infotext(planned: Planned, *, model: str = "", model_hash: str = "") -> str:
    """Return what a picture says of how it was made, as A1111 writes and reads it."""
    spec, subject = planned.spec, planned.subject
    parameters = {
        "Steps": str(spec.steps),
        "Sampler": spec.sampler,
        "CFG scale": f"{spec.cfg:g}",
        "Seed": str(spec.seed),
        "Size": f"{spec.width}x{spec.height}",
        **({"Model hash": model_hash[:10]} if model_hash else {}),
        **({"Model": model} if model else {}),
    }
    prompt = spec.prompt
    if spec.lora is not None and spec.weight:
        prompt = f"{prompt} {lora_tag(subject.name, spec.weight)}"
        parameters["Lora hashes"] = lora_hashes([(subject.name, spec.lora)])
    parameters["Version"] = _SOFTWARE
    return write_infotext(Infotext(prompt, spec.negative, parameters))


def png(pixels: Pixels, text: str) -> bytes:
    """Return a PNG of (height, width, 3) pixels that says how it was made."""
    told = PngImagePlugin.PngInfo()
    told.add_itxt(PARAMETERS, text) if not text.isascii() else told.add_text(PARAMETERS, text)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGB").save(buffer, "PNG", pnginfo=told)
    return buffer.getvalue()


def sheet(rows: Sequence[Sequence[Pixels | None]], across: Sequence[str], down: Sequence[str]) -> bytes:
    """Return one PNG of a grid of pictures of one size, with a label for each column and row.

    Places without a picture stay empty.
    """
    known = next(pixels for row in rows for pixels in row if pixels is not None)
    height, width = known.shape[:2]
    size = (_SIDE + len(across) * (width + _GAP), _LABEL + len(down) * (height + _GAP))
    page = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=14)
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
