"""Decoding images of every sort, good and bad, in this process."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from registry.errors import BadPicture
from registry.pictures.answers import picture_of
from registry.pictures.decoding import answer
from registry.pictures.picture import DEFAULTS, Limits
from registry.pictures.sniff import KINDS, sniff
from tests.support.pictures import BLUE, RED, colours, cornered, declared, opened, plain, saved

if TYPE_CHECKING:
    from registry.pictures.picture import Picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")
SMALL = replace(DEFAULTS, pixels=1_000_000)
# What turns an upright image into one that is stored with an orientation.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def decoded(data: bytes, limits: Limits = DEFAULTS) -> Picture:
    return picture_of(sniff(data) or KINDS["png"], answer(data, limits), limits.pixels)


@pytest.mark.parametrize("written", FORMATS)
def test_every_type_becomes_a_webp_of_the_same_look(written: str) -> None:
    found = decoded(saved(cornered((900, 600)), written))

    assert (found.width, found.height) == (900, 600)
    assert opened(found.thumbnail).format == "WEBP"
    assert opened(found.thumbnail).size == (450, 300)
    assert colours(found.thumbnail, (0.2, 0.2), (0.8, 0.2), (0.2, 0.8)) == ["red", "blue", "blue"]


@pytest.mark.parametrize(
    ("size", "longest", "small"),
    [
        ((60, 40), 450, (60, 40)),
        ((1, 1), 450, (1, 1)),
        ((450, 450), 450, (450, 450)),
        ((451, 10), 450, (450, 10)),
        ((9000, 1), 450, (450, 1)),
        ((1, 9000), 450, (1, 450)),
        ((300, 600), 100, (50, 100)),
    ],
)
def test_thumbnails_keep_their_shape_and_are_never_larger(
    size: tuple[int, int], longest: int, small: tuple[int, int]
) -> None:
    found = decoded(plain(size=size), replace(DEFAULTS, longest=longest))
    assert (found.width, found.height) == size
    assert opened(found.thumbnail).size == small


@pytest.mark.parametrize("written", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", list(STORED))
def test_images_are_turned_as_their_camera_says(written: str, orientation: int) -> None:
    image = cornered((90, 60))
    turn = STORED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation

    found = decoded(saved(image.transpose(turn) if turn is not None else image, written, exif=exif))

    assert (found.width, found.height) == (90, 60)
    places = (0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)
    assert colours(found.thumbnail, *places) == ["red", "blue", "blue", "blue"]


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"])
def test_broken_camera_data_are_passed_over(exif: bytes) -> None:
    assert decoded(saved(cornered(), "JPEG", exif=exif)).width == 60


@pytest.mark.parametrize("written", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_nothing_but_the_image_is_kept(written: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret prompt"
    data = saved(cornered(), written, exif=exif, icc_profile=b"secret profile" * 20, xmp=b"<x>secret</x>")
    assert b"secret" in data or b"s\0e\0c" in data

    thumbnail = decoded(data).thumbnail

    assert thumbnail is not None
    assert not [chunk for chunk in (b"EXIF", b"ICCP", b"XMP ", b"secret") if chunk in thumbnail]
    assert not opened(thumbnail).getexif()


@pytest.mark.parametrize(
    ("mode", "written", "shown"),
    [("1", "PNG", "RGB"), ("L", "JPEG", "RGB"), ("LA", "PNG", "RGBA"), ("P", "GIF", "RGB"),
     ("RGBA", "WEBP", "RGBA"), ("CMYK", "JPEG", "RGB"), ("I;16", "PNG", "RGB")],
)  # fmt: skip
def test_every_mode_is_shown_in_colour(mode: str, written: str, shown: str) -> None:
    assert opened(decoded(plain(written, mode=mode)).thumbnail).mode == shown


def test_sixteen_bits_become_eight() -> None:
    thumbnail = decoded(saved(Image.new("I;16", (8, 8), 128 * 256))).thumbnail
    assert opened(thumbnail).convert("L").getpixel((4, 4)) == pytest.approx(128, abs=2)


def test_ink_becomes_light() -> None:
    thumbnail = decoded(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")).thumbnail
    assert colours(thumbnail, (0.5, 0.5)) == ["red"]


@pytest.mark.parametrize("written", ["PNG", "GIF"])
def test_what_is_transparent_in_a_palette_stays_so(written: str) -> None:
    image = Image.new("P", (40, 40), 1)
    image.putpalette([*BLUE, *RED])
    image.paste(0, (0, 0, 20, 40))

    thumbnail = opened(decoded(saved(image, written, transparency=0)).thumbnail)

    assert thumbnail.mode == "RGBA"
    assert thumbnail.getchannel("A").getpixel((5, 20)) == 0
    assert thumbnail.getchannel("A").getpixel((35, 20)) == 255


@pytest.mark.parametrize("written", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_the_first_frame_is_shown(written: str) -> None:
    frames = [Image.new("RGB", (30, 30), colour) for colour in (RED, BLUE, (0, 250, 0))]
    data = saved(frames[0], written, save_all=True, append_images=frames[1:], duration=100)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 3

    assert colours(decoded(data).thumbnail, (0.5, 0.5)) == ["red"]


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_file_that_was_cut_off_is_refused(written: str, share: float) -> None:
    noise = Image.effect_noise((200, 200), 80).convert("RGB")
    data = saved(noise, written)
    with pytest.raises(BadPicture, match="damaged, cut off"):
        decoded(data[: int(len(data) * share)])


@pytest.mark.parametrize("side", [10_001, 100_000, 2**31 - 1])
def test_more_pixels_than_the_cap_are_not_decoded(side: int) -> None:
    with pytest.raises(BadPicture, match="more than 100,000,000 pixels"):
        decoded(declared(side, 10_000))


def test_the_cap_itself_is_allowed() -> None:
    limits = replace(DEFAULTS, pixels=2400)
    assert decoded(plain(size=(60, 40)), limits).width == 60
    with pytest.raises(BadPicture, match="more than 2,400 pixels"):
        decoded(plain(size=(61, 40)), limits)


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"<svg/>", b"\xff\x0a"]
)
def test_what_only_begins_like_a_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadPicture):
        decoded(data)


def test_one_type_is_never_decoded_as_another() -> None:
    with pytest.raises(BadPicture):
        decoded(b"\xff\xd8\xff" + plain("PNG"))


@given(st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP",
                        b"\0\0\0\x1cftypavif"]), st.binary(max_size=500))  # fmt: skip
def test_random_bytes_are_refused_and_nothing_else(beginning: bytes, rest: bytes) -> None:
    with pytest.raises(BadPicture):
        decoded(beginning + rest, SMALL)


SOUND = {written: saved(cornered((32, 24)), written) for written in FORMATS}


@given(st.sampled_from(FORMATS), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12))
@example("PNG", [(0.0, 0x89)])
def test_files_with_wrong_bytes_are_decoded_or_refused(
    written: str, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(SOUND[written])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    try:
        found = decoded(bytes(data), SMALL)
    except BadPicture:
        return
    assert opened(found.thumbnail).format == "WEBP"
