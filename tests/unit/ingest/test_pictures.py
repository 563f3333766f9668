"""Pictures beside models and inside their headers become thumbnails once, and what is bad harms nothing."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.app import PICTURES
from registry.catalog.pictures import pictures_of
from registry.catalog.problems import list_problems
from registry.catalog.showing import known_of
from registry.errors import Cancelled, PicturesFull
from registry.ingest.pictures import Gallery, look_at_pictures
from registry.pictures.store import PictureStore
from registry.pictures.studio import Studio
from tests.support.files import write_safetensors
from tests.support.pictures import opened, plain
from tests.support.shelf import lora

if TYPE_CHECKING:
    from registry.catalog.pictures import PictureView
    from tests.support.shelf import Shelf

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


def look(shelf: Shelf, *, new: bool = False) -> tuple[int, int, int]:
    """Look at pictures and return how many were met, kept and bad."""
    told = shelf.registry.jobs.run(PICTURES, shelf.registry.machine_id, {"new": new})
    assert isinstance(told, dict)
    return told["met"], told["kept"], told["bad"]


def pictures(shelf: Shelf, name: str = "a") -> list[PictureView]:
    ids = {Path(file["path"]).stem: file["lora_id"] for file in shelf.files().values()}
    with shelf.registry.catalog.read() as conn:
        return pictures_of(conn, ids[name], known_of(conn, [ids[name]])[ids[name]])


def problems(shelf: Shelf) -> list[str]:
    with shelf.registry.catalog.read() as conn:
        return [one.text for one in list_problems(conn, slug="bad-picture")]


def test_what_lies_beside_a_model_is_looked_at_once(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    (shelf.folder / "a.preview.png").write_bytes(plain(size=(900, 600)))
    (shelf.folder / "a.webp").write_bytes(plain("WEBP", size=(30, 20)))
    (shelf.folder / "other.png").write_bytes(plain())
    shelf.scan()
    assert look(shelf) == (2, 2, 0)
    first, second = pictures(shelf)
    assert (first.name, first.source, first.width, first.height) == ("a.preview.png", "file", 900, 600)
    assert second.name == "a.webp"
    assert first.key is not None
    assert opened(shelf.registry.studio.store.thumbnail(first.key)).size == (450, 300)
    assert look(shelf) == (2, 0, 0)
    assert look(shelf, new=True) == (0, 0, 0)


def test_what_changed_is_looked_at_again_and_the_old_picture_goes(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    place = shelf.folder / "a.png"
    place.write_bytes(plain(size=(30, 20)))
    shelf.scan()
    look(shelf)
    (before,) = pictures(shelf)
    place.write_bytes(plain(size=(40, 20)))
    os.utime(place, ns=(1, 1))
    assert look(shelf, new=True) == (0, 0, 0)
    assert look(shelf) == (1, 1, 0)
    (after,) = pictures(shelf)
    assert (before.key, after.width) != (after.key, 30)
    assert before.key is not None
    assert not shelf.registry.studio.store.has(before.key)


def test_what_is_gone_is_forgotten_with_its_problem(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    good, bad = shelf.folder / "a.png", shelf.folder / "a.jpg"
    good.write_bytes(plain())
    bad.write_bytes(b"no picture")
    shelf.scan()
    assert look(shelf) == (2, 1, 1)
    (text,) = problems(shelf)
    assert text.startswith("a.jpg: ")
    (view,) = pictures(shelf)
    good.unlink()
    bad.unlink()
    shelf.scan()
    assert look(shelf) == (0, 0, 0)
    assert (pictures(shelf), problems(shelf)) == ([], [])
    assert view.key is not None
    assert not shelf.registry.studio.store.has(view.key)


def test_one_bad_picture_is_one_problem_and_not_looked_at_again(shelf: Shelf) -> None:
    for name in "ab":
        lora(shelf.folder / f"{name}.safetensors", ord(name))
        (shelf.folder / f"{name}.png").write_bytes(plain()[:60] if name == "a" else plain())
    shelf.scan()
    assert look(shelf) == (2, 1, 1)
    assert look(shelf) == (2, 0, 0)
    assert len(problems(shelf)) == 1
    (shelf.folder / "a.png").write_bytes(plain())
    assert look(shelf) == (2, 1, 0)
    assert problems(shelf) == []


def test_covers_of_headers_are_looked_at_once(shelf: Shelf) -> None:
    cover, broken = (base64.b64encode(data).decode() for data in (plain(size=(70, 50)), b"no picture"))
    write_safetensors(
        shelf.folder / "a.safetensors",
        {"x.lora_down.weight": ("F16", (4, 8), 1), "x.lora_up.weight": ("F16", (8, 4), 2)},
        {"ssmd_cover_images": f'["{cover}", "{broken}"]'},
    )
    shelf.scan()
    assert look(shelf) == (0, 1, 1)
    (view,) = pictures(shelf)
    assert (view.source, view.width) == ("header", 70)
    (text,) = problems(shelf)
    assert text.startswith("picture 2 in its header: ")
    assert look(shelf) == (0, 0, 0)


def test_thumbnails_that_were_deleted_are_made_again(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    (shelf.folder / "a.png").write_bytes(plain())
    shelf.scan()
    look(shelf)
    (view,) = pictures(shelf)
    assert view.key is not None
    shelf.registry.studio.store.remove([view.key])
    assert look(shelf) == (1, 1, 0)
    assert shelf.registry.studio.store.has(view.key)


@posix_only
def test_a_link_to_outside_of_all_roots_is_not_followed(shelf: Shelf, tmp_path: Path) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    outside = tmp_path / "outside.png"
    outside.write_bytes(plain())
    (shelf.folder / "a.png").symlink_to(outside)
    shelf.scan()
    assert look(shelf) == (1, 0, 1)
    assert pictures(shelf) == []
    (text,) = problems(shelf)
    assert "link" in text


@posix_only
def test_a_pipe_or_folder_in_the_place_of_a_picture_hangs_nobody(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    for name in ("a.png", "a.jpg"):
        (shelf.folder / name).write_bytes(plain())
    shelf.scan()
    for name in ("a.png", "a.jpg"):
        (shelf.folder / name).unlink()
    os.mkfifo(shelf.folder / "a.png")
    (shelf.folder / "a.jpg").mkdir()
    assert look(shelf) == (2, 0, 2)


def test_a_video_is_known_as_one_and_read_once(shelf: Shelf, tmp_path: Path) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    (shelf.folder / "a.mp4").write_bytes(VIDEO)
    shelf.scan()
    registry = shelf.registry
    studio = Studio(PictureStore(tmp_path / "pictures"))
    gallery = Gallery(registry.catalog, studio, registry.machine_id)
    roots = registry.mounted_roots()
    assert [look_at_pictures(gallery, roots, roots).kept for _ in range(2)] == [1, 0]
    studio.close()
    (view,) = pictures(shelf)
    assert (view.video, view.media_type, view.thumbnail) == (True, "video/mp4", False)


def test_a_look_that_was_stopped_goes_on_where_it_was(shelf: Shelf) -> None:
    for number in range(30):
        lora(shelf.folder / f"{number}.safetensors", number)
        (shelf.folder / f"{number}.png").write_bytes(plain(size=(10 + number, 10)))
    shelf.scan()
    registry = shelf.registry
    kept: list[int] = []

    def cancelled() -> bool:
        return bool(kept and kept[-1])

    gallery = Gallery(
        registry.catalog,
        registry.studio,
        registry.machine_id,
        lambda counts: kept.append(counts.kept),
        cancelled,
    )
    roots = registry.mounted_roots()
    with pytest.raises(Cancelled):
        look_at_pictures(gallery, roots, roots)
    assert 0 < kept[-1] < 30
    assert look(shelf) == (30, 30 - kept[-1], 0)


def test_a_store_that_is_full_ends_the_look(shelf: Shelf, tmp_path: Path) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    (shelf.folder / "a.png").write_bytes(plain())
    shelf.scan()
    registry = shelf.registry
    studio = Studio(PictureStore(tmp_path / "small", 10))
    roots = registry.mounted_roots()
    with pytest.raises(PicturesFull):
        look_at_pictures(Gallery(registry.catalog, studio, registry.machine_id), roots, roots)
    studio.close()
    assert look(shelf) == (1, 1, 0)
