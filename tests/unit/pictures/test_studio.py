"""From bytes to a picture that is kept."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from registry.errors import BadPicture, Cancelled, PicturesFull
from registry.pictures.store import PictureStore
from registry.pictures.studio import Studio
from tests.support.pictures import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(PictureStore(tmp_path / "pictures"))
    yield studio
    studio.close()


def test_a_picture_is_kept_under_the_hash_of_its_bytes(studio: Studio) -> None:
    data = plain("JPEG", size=(900, 300))
    kept = studio.keep(data)
    assert kept.key == hashlib.sha256(data).hexdigest()
    assert (kept.media_type, kept.width, kept.height, kept.size) == ("image/jpeg", 900, 300, len(data))
    assert kept.thumbnail == len(studio.store.thumbnail(kept.key) or b"")
    assert (kept.original, studio.store.original(kept.key)) == (False, None)


def test_its_bytes_are_kept_if_somebody_wants_them(studio: Studio) -> None:
    kept = studio.keep(plain(), original=True)
    found = studio.store.original(kept.key)
    assert kept.original
    assert found is not None
    assert found.path.read_bytes() == plain()


def test_of_a_video_nothing_is_kept_without_ffmpeg(studio: Studio) -> None:
    kept = studio.keep(VIDEO)
    assert (kept.media_type, kept.thumbnail, kept.width) == ("video/mp4", None, None)
    assert not studio.store.has(kept.key)


def test_what_is_no_picture_is_refused(studio: Studio) -> None:
    with pytest.raises(BadPicture):
        studio.keep(b"<svg/>")


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    studio = Studio(PictureStore(tmp_path / "small", 10))
    with pytest.raises(PicturesFull):
        studio.keep(plain())
    studio.close()


def test_nothing_is_kept_once_it_is_closed(studio: Studio) -> None:
    studio.close()
    with pytest.raises(Cancelled):
        studio.keep(plain())
