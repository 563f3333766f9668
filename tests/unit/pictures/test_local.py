"""Which picture of a folder or a header stands for a model."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from registry.errors import BadPicture, UnreadableFile
from registry.pictures.local import MAX_TRIED, local_picture, previews
from registry.pictures.looking import look
from registry.pictures.process import Decoder
from registry.pictures.reading import read_picture
from tests.support.pictures import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from registry.pictures.picture import Picture

VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


@pytest.fixture(scope="module")
def seen() -> Iterator[Callable[[bytes], Picture]]:
    decoder = Decoder()
    yield lambda data: look(data, decoder, None)
    decoder.close()


def header(*covers: bytes) -> dict[str, str]:
    return {"ssmd_cover_images": json.dumps([base64.b64encode(cover).decode() for cover in covers])}


def read_in(folder: Path) -> Callable[[str], bytes]:
    return lambda name: read_picture(str(folder / name), 1 << 20)


def test_the_names_of_a_folder_are_ranked_for_each_model() -> None:
    models = ["a.safetensors", "a.preview.safetensors", "b.safetensors", "c.safetensors"]
    names = [
        "a.preview.png",
        "a.mp4",
        "a.json",
        "a.jpeg",
        "a.png",
        "b.webp",
        "b.preview.webp",
        "c.json",
        "d.png",
    ]
    assert previews(names, models) == {
        "a.safetensors": ("a.png", "a.jpeg", "a.mp4"),
        "a.preview.safetensors": ("a.preview.png",),
        "b.safetensors": ("b.webp", "b.preview.webp"),
    }


def test_the_best_file_is_taken_whatever_its_extension(
    tmp_path: Path, seen: Callable[[bytes], Picture]
) -> None:
    (tmp_path / "a.png").write_bytes(plain("JPEG", (90, 60)))
    (tmp_path / "b.png").write_bytes(plain())

    found, refused = local_picture(["a.png", "b.png"], header(plain()), read_in(tmp_path), seen)

    assert found is not None
    assert (found.source, found.picture.kind.name, found.picture.width) == ("a.png", "JPEG", 90)
    assert found.original == (tmp_path / "a.png").read_bytes()
    assert refused == ()


def test_bad_files_are_named_and_passed_over(tmp_path: Path, seen: Callable[[bytes], Picture]) -> None:
    (tmp_path / "a.png").write_bytes(plain()[:60])
    (tmp_path / "b.png").write_bytes(b"<svg/>")
    (tmp_path / "c.png").mkdir()
    (tmp_path / "e.png").write_bytes(plain())
    names = [f"{letter}.png" for letter in "abcde"]

    found, refused = local_picture(names, {}, read_in(tmp_path), seen)

    assert found is not None
    assert found.source == "e.png"
    assert [source for source, _ in refused] == ["a.png", "b.png", "c.png", "d.png"]
    assert all(why for _, why in refused)


def test_without_a_file_the_header_is_looked_into(tmp_path: Path, seen: Callable[[bytes], Picture]) -> None:
    found, refused = local_picture(
        ["gone.png"], header(b"no picture", plain(size=(30, 20))), read_in(tmp_path), seen
    )
    assert found is not None
    assert (found.source, found.picture.width) == ("header", 30)
    assert [source for source, _ in refused] == ["gone.png", "header"]


def test_a_video_that_nobody_could_look_into_stands_in_for_want_of_better(
    tmp_path: Path, seen: Callable[[bytes], Picture]
) -> None:
    (tmp_path / "a.mp4").write_bytes(VIDEO)

    alone = local_picture(["a.mp4"], {}, read_in(tmp_path), seen).found
    beside = local_picture(["a.mp4"], header(plain()), read_in(tmp_path), seen).found

    assert alone is not None
    assert (alone.source, alone.picture.kind.name, alone.picture.thumbnail) == ("a.mp4", "MP4", None)
    assert beside is not None
    assert beside.source == "header"


def test_of_very_many_files_only_the_best_are_tried() -> None:
    asked: list[str] = []

    def read(name: str) -> bytes:
        asked.append(name)
        raise UnreadableFile("gone")

    def never(data: bytes) -> Picture:
        raise BadPicture(str(len(data)))

    found, refused = local_picture(map(str, range(1000)), {}, read, never)
    assert found is None
    assert asked == [source for source, _ in refused] == [str(at) for at in range(MAX_TRIED)]
