"""Types of images and videos, by their first bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.pictures.sniff import KINDS, sniff
from registry.wire.companions import PREVIEW_EXTENSIONS
from tests.support.pictures import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

EBML = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08"


def branded(*brands: bytes, size: bytes = b"\0\0\0\x20") -> bytes:
    return size + b"ftyp" + brands[0] + b"\0\0\x02\0" + b"".join(brands[1:]) + b"\0\0\0\x08free"


def name_of(data: bytes) -> str | None:
    kind = sniff(data)
    return kind.name if kind else None


@pytest.mark.parametrize(
    ("written", "name"),
    [("PNG", "PNG"), ("JPEG", "JPEG"), ("WEBP", "WebP"), ("GIF", "GIF"), ("AVIF", "AVIF"), ("TIFF", "TIFF"),
     ("JPEG2000", "JPEG 2000")],
)  # fmt: skip
def test_what_pillow_writes_is_known(written: str, name: str) -> None:
    assert name_of(plain(written)) == name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (branded(b"isom", b"isom", b"iso2", b"avc1", b"mp41"), "MP4"),
        (branded(b"mp42"), "MP4"),
        (branded(b"XXXX", b"YYYY", b"iso6"), "MP4"),
        (branded(b"M4V "), "MP4"),
        (branded(b"mif1", b"miaf", b"avif"), "AVIF"),
        (branded(b"avis", b"isom", b"msf1"), "AVIF"),
        (branded(b"isom", size=b"\n\r\x0a\xff"), "MP4"),
        (EBML + b"B\x82\x84webmB\x87\x81\x02", "WebM"),
        (EBML + b"B\x82\x40\x04webmB\x87\x81\x02", "WebM"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JPEG XL"),
        (b"GIF89a<html><script>", "GIF"),
    ],
)
def test_containers_are_told_by_their_brands(data: bytes, name: str) -> None:
    assert name_of(data) == name


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<?xml version='1.0'?><svg/>",
        b"<!DOCTYPE html><html>",
        b" \xff\xd8\xff",
        b"BM" + bytes(60),
        b"\0\0\x01\0\x01\0" + bytes(60),
        b"%PDF-1.7",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"#EXTM3U\nfile:///etc/passwd",
        branded(b"heic", b"mif1", b"heic"),
        branded(b"qt  "),
        EBML + b"B\x82\x88matroskaB\x87\x81\x02",
        b"PK\x03\x04",
    ],
)
def test_everything_else_is_no_picture(data: bytes) -> None:
    assert sniff(data) is None


@given(st.binary(max_size=600))
def test_no_bytes_are_too_odd(data: bytes) -> None:
    assert sniff(data) is None or sniff(data) in KINDS.values()


def test_every_preview_that_other_tools_name_is_of_a_known_type() -> None:
    aliases = {"jpeg": "jpg"}
    named = [extension.removeprefix(".") for extension in PREVIEW_EXTENSIONS]
    assert {aliases.get(name, name) for name in named} == set(KINDS)


def test_the_table_is_in_order() -> None:
    kinds: Sequence[tuple[str, str, str, str | None, str | None]] = list(KINDS.values())
    for field in zip(*kinds, strict=True):
        given_values = [value for value in field if value is not None]
        assert len(set(given_values)) == len(given_values)
    for kind in KINDS.values():
        assert re.fullmatch(r"[a-z0-9]+", kind.extension)
        assert kind.media_type.startswith("video/" if kind.demuxer else "image/")
        assert not (kind.pillow and kind.demuxer)
