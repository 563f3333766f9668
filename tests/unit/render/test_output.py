from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from registry.formats.infotext import read_infotext
from registry.render.output import infotext, png, sheet
from registry.render.plan import Planned, Subject, Wish, cells

INK = Subject(1, "ink: 水墨", "ab" * 32, "sd15", triggers=("ink wash, sumi-e",))


def planned() -> Planned:
    (found,) = cells([INK], Wish("base", weights=(0.8,), size=(64, 72)))
    return found


def test_a_png_says_how_it_was_made_in_the_words_of_a1111() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (72, 64, 3), dtype=np.uint8)
    text = infotext(planned(), model="base", model_hash="6ce0161689b3853a")
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
    told = read_infotext(infotext(replace(planned(), spec=base)))
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
