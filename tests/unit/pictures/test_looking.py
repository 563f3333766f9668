"""Images and videos through one door."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from registry.errors import BadPicture
from registry.pictures.looking import look
from registry.pictures.picture import DEFAULTS, Picture
from registry.pictures.process import Decoder
from registry.pictures.sniff import KINDS
from tests.support.pictures import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(replace(DEFAULTS, size=1 << 20))
    yield decoder
    decoder.close()


def playing_ffmpeg(folder: Path, output: bytes) -> str:
    (folder / "output").write_bytes(output)
    tool = folder / "ffmpeg"
    tool.write_text(f'#!/bin/sh\nexec cat "{folder}/output"\n', encoding="utf-8")
    tool.chmod(0o755)
    return str(tool)


def test_an_image_is_what_its_bytes_say_whatever_it_is_called(decoder: Decoder) -> None:
    assert look(plain("JPEG"), decoder, None).kind == KINDS["jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for ffmpeg is a shell script")
def test_a_video_is_shown_by_its_first_frame(decoder: Decoder, tmp_path: Path) -> None:
    found = look(VIDEO, decoder, playing_ffmpeg(tmp_path, plain(size=(640, 360))), tmp_path)
    assert (found.kind, found.width, found.height) == (KINDS["mp4"], 640, 360)
    assert found.thumbnail is not None
    assert found.thumbnail[8:12] == b"WEBP"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for ffmpeg is a shell script")
@pytest.mark.parametrize("output", [b"<svg/>", plain()[:60], VIDEO])
def test_what_ffmpeg_gives_is_trusted_no_more_than_a_stranger(
    decoder: Decoder, tmp_path: Path, output: bytes
) -> None:
    with pytest.raises(BadPicture):
        look(VIDEO, decoder, playing_ffmpeg(tmp_path, output))


def test_without_ffmpeg_only_the_kind_of_a_video_is_known(decoder: Decoder) -> None:
    assert look(VIDEO, decoder, None) == Picture(KINDS["mp4"], None, None, None)


def test_what_is_too_long_is_refused_without_ffmpeg_too(decoder: Decoder) -> None:
    with pytest.raises(BadPicture, match="the MP4 video has 1,048,600 bytes, more than 1,048,576"):
        look(VIDEO + bytes(1 << 20), decoder, None)


@pytest.mark.parametrize("data", [b"", b"<html>", b"\xff\x0a"])
def test_what_is_no_picture_is_refused(decoder: Decoder, data: bytes) -> None:
    with pytest.raises(BadPicture):
        look(data, decoder, None)
