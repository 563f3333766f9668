from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from registry.drawings import Asking
from registry.errors import BadPicture
from registry.formats.infotext import read_infotext
from registry.render.batch import BaseAsk
from registry.render.output import pixels_of, png, sheet
from registry.render.plan import Planned, Subject, Way, cells
from registry.render.trade import infotext

INK = Subject(1, "ink: 水墨", "ab" * 32, "sd15", triggers=("ink wash, sumi-e",))
BASE = BaseAsk("sd15", "base.safetensors", "/models/base.safetensors", "6ce0161689b3853a")


def planned() -> Planned:
    (found,) = cells([INK], Asking(weights=(0.8,), size=(64, 72)), Way("base"))
    return found


def test_a_png_says_how_it_was_made_in_the_words_of_a1111() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (72, 64, 3), dtype=np.uint8)
    text = infotext(planned().spec, BASE, INK.name)
    image = Image.open(io.BytesIO(png(pixels, text)))
    assert image.size == (64, 72)
    np.testing.assert_array_equal(np.asarray(image), pixels)
    told = read_infotext(image.info["parameters"])
    assert told.prompt == "ink wash, sumi-e <lora:ink 水墨:0.8>"
    assert told.negative == planned().spec.negative
    assert told.parameters == {
        "Steps": "20",
        "Sampler": "DPM++ 2M",
        "CFG scale": "7",
        "Seed": "1234",
        "Size": "64x72",
        "Model hash": "6ce0161689",
        "Model": "base",
        "Lora hashes": "ink 水墨: abababababab",
        "Version": "lora-registry",
    }


def test_a_picture_of_the_base_alone_names_no_lora() -> None:
    base = replace(planned().spec, weight=0.0)
    told = read_infotext(infotext(base, BASE, INK.name))
    assert told.prompt == "ink wash, sumi-e"
    assert "Lora hashes" not in told.parameters


def test_a_sheet_has_all_pictures_in_their_places_and_room_for_labels() -> None:
    red, blue = (np.full((32, 40, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200)))
    page = Image.open(io.BytesIO(sheet([[red, None], [blue, red]], ["0.5", "1"], ["a", "b" * 500])))
    assert page.size == (140 + 2 * 44, 28 + 2 * 36)
    assert page.getpixel((140 + 10, 28 + 10)) == (200, 0, 0)
    assert page.getpixel((140 + 44 + 10, 28 + 10)) == (255, 255, 255)
    assert page.getpixel((140 + 10, 28 + 36 + 10)) == (0, 0, 200)
    labels = np.asarray(page.crop((140, 0, 228, 28)))
    assert (labels < 100).any()


def written(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def test_a_png_is_read_back_in_the_size_that_is_wanted_and_on_white() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (72, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pixels_of(png(pixels, "x"), 64, 72), pixels)
    half = Image.new("RGBA", (10, 20), (200, 0, 0, 255))
    half.paste((0, 0, 0, 0), (0, 0, 10, 10))
    found = pixels_of(written(half), 16, 24)
    assert found.shape == (24, 16, 3)
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found[-1, -1].tolist() == [200, 0, 0]
    assert pixels_of(written(Image.new("L", (8, 8), 7)), 8, 8)[0, 0].tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\nnot much",
        written(Image.new("RGB", (64, 64)))[:60],
        written(Image.new("RGB", (8, 8)), "JPEG"),
        written(Image.new("1", (4097, 1))),
    ],
)
def test_what_is_no_whole_png_of_a_sensible_size_is_refused(data: bytes) -> None:
    with pytest.raises(BadPicture, match="to begin with"):
        pixels_of(data, 64, 64)
