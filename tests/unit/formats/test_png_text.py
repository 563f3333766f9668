from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from registry.errors import BadPicture
from registry.formats.packing import clean_text
from registry.formats.png_chunks import SIGNATURE
from registry.formats.png_text import MAX_TEXT, MAX_TEXTS, has_text, read_texts, with_text

PROMPT = "ink wash, a heron <lora:ink:0.8>\nSteps: 20, Sampler: Euler, Seed: 1"


def chunk(kind: bytes, data: bytes) -> bytes:
    # The check sum is of nothing: readers of texts do not look at it.
    return struct.pack(">I", len(data)) + kind + data + b"\0\0\0\0"


def png(*texts: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"".join((SIGNATURE, header, *texts, chunk(b"IDAT", zlib.compress(b"\0\0")), chunk(b"IEND", b"")))


def by_pillow(**texts: str) -> bytes:
    told = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        told.add_text(key, text, zip=key.startswith("zipped"))
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG", pnginfo=told)
    return buffer.getvalue()


def read_by_pillow(data: bytes) -> dict[str, str]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return {str(key): str(text) for key, text in image.info.items()}


def test_all_kinds_of_texts_are_read_as_they_were_written() -> None:
    texts = {
        "parameters": PROMPT,
        "Comment": "Café",
        "zipped": "x" * 5000,
        "ink": "水墨",
        "zipped ink": "水" * 999,
    }
    assert read_texts(by_pillow(**texts)) == texts


def test_a_text_after_the_pixels_counts_and_of_two_with_one_key_the_last() -> None:
    first, last = (chunk(b"tEXt", b"parameters\0" + word) for word in (b"old", b"new"))
    assert read_texts(png(first, last)) == {"parameters": "new"}
    assert read_texts(png(first).replace(chunk(b"IEND", b""), last + chunk(b"IEND", b""))) == {
        "parameters": "new"
    }


@pytest.mark.parametrize("data", [b"", b"GIF89a", SIGNATURE, SIGNATURE + b"\0\0\0\1", b"\xff\xd8\xff\xe0"])
def test_what_is_no_png_has_no_texts(data: bytes) -> None:
    assert read_texts(data) == {}


@pytest.mark.parametrize(
    "odd",
    [
        chunk(b"tEXt", b"no separator"),
        chunk(b"tEXt", b"\0no key"),
        chunk(b"tEXt", b"k" * 80 + b"\0a key of 80 letters"),
        chunk(b"zTXt", b"k\0\1" + zlib.compress(b"another method")),
        chunk(b"zTXt", b"k\0\0not deflated"),
        chunk(b"zTXt", b"k\0\0" + zlib.compress(b"cut" * 99)[:-6]),
        chunk(b"zTXt", b"k\0"),
        chunk(b"iTXt", b"k\0\0\0no end of the language"),
        chunk(b"iTXt", b"k\0\1\0\0\0not deflated"),
    ],
)
def test_an_odd_text_is_left_out_and_the_next_one_is_read(odd: bytes) -> None:
    assert read_texts(png(odd, chunk(b"tEXt", b"parameters\0a heron"))) == {"parameters": "a heron"}


def test_a_picture_that_is_cut_says_what_comes_before() -> None:
    whole = png(chunk(b"tEXt", b"a\0one"), chunk(b"tEXt", b"b\0two"))
    assert read_texts(whole[: whole.index(b"two") + 2]) == {"a": "one"}


def test_what_inflates_to_more_than_may_be_is_left_out() -> None:
    bomb = chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(MAX_TEXT + 1), 9))
    long = chunk(b"tEXt", b"k" * 79 + b"\0" + bytes(MAX_TEXT + 1))
    many = (chunk(b"iTXt", b"%d\0\1\0\0\0" % n + zlib.compress(b"x" * (MAX_TEXT // 2), 9)) for n in range(3))
    assert list(read_texts(png(bomb, long, *many, chunk(b"tEXt", b"k\0v")))) == ["0", "1"]


def test_no_more_texts_are_read_than_may_be() -> None:
    many = [chunk(b"tEXt", b"%d\0x" % number) for number in range(MAX_TEXTS + 1)]
    assert len(read_texts(png(*many))) == MAX_TEXTS


def test_a_picture_of_a_million_empty_chunks_is_not_read_to_its_end() -> None:
    assert read_texts(SIGNATURE + chunk(b"IDAT", b"") * 1_000_000 + chunk(b"tEXt", b"k\0v")) == {}


@pytest.mark.parametrize("text", [PROMPT, "Café", "水墨", ""])
def test_a_text_that_is_put_in_is_read_by_us_and_by_pillow(text: str) -> None:
    made = with_text(by_pillow(Comment="kept", parameters="old"), "parameters", text)
    assert read_texts(made) == read_by_pillow(made) == {"parameters": text, "Comment": "kept"}
    assert made.index(b"parameters") < made.index(b"IDAT")


def test_a_key_is_known_also_where_what_it_says_cannot_be_read() -> None:
    assert has_text(png(chunk(b"zTXt", b"parameters\0\0not deflated")), "parameters")
    assert not has_text(
        png(chunk(b"tEXt", b"parameters too\0x"), chunk(b"eXIf", b"parameters\0")), "parameters"
    )
    assert not has_text(b"", "parameters")


def test_a_text_is_found_though_there_are_more_than_are_read() -> None:
    many = [chunk(b"tEXt", b"%d\0x" % number) for number in range(MAX_TEXTS)]
    assert read_texts(with_text(png(*many), "parameters", PROMPT))["parameters"] == PROMPT


@pytest.mark.parametrize("data", [b"", b"RIFF", SIGNATURE, SIGNATURE + chunk(b"IDAT", b"")])
def test_nothing_is_put_into_what_is_no_png(data: bytes) -> None:
    with pytest.raises(BadPicture):
        with_text(data, "parameters", PROMPT)


@pytest.mark.parametrize("key", ["", "k" * 80, "a\0b", "水墨"])
def test_a_key_is_of_a_few_latin_letters(key: str) -> None:
    with pytest.raises(ValueError, match=r"is no key|codec can't encode"):
        with_text(png(), key, PROMPT)


@given(st.text(max_size=300))
def test_whatever_is_put_in_is_read(text: str) -> None:
    assert read_texts(with_text(png(), "parameters", text)) == {"parameters": clean_text(text)}


CHUNKS = st.tuples(st.sampled_from([b"tEXt", b"zTXt", b"iTXt", b"IDAT"]), st.binary(max_size=60))


@given(st.lists(CHUNKS, max_size=6), st.integers(0, 400))
def test_whatever_a_stranger_sends_is_read(chunks: list[tuple[bytes, bytes]], cut: int) -> None:
    data = png(*(chunk(kind, b"k\0" + rest) for kind, rest in chunks))
    for text in read_texts(data[:cut]).values():
        text.encode()
