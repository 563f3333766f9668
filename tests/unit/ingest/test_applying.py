"""What a watcher asks for, done in a real catalog."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from registry.ingest.applying import outermost
from registry.ingest.settle import Beside, Gone, Moved, Ready, Rescan
from tests.support.shelf import lora

if TYPE_CHECKING:
    from tests.support.shelf import Shelf

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


def test_a_ready_file_is_listed(shelf: Shelf) -> None:
    lora(shelf.folder / "d" / "a.safetensors", 1)
    (shelf.folder / "d" / "a.png").write_bytes(b"p")

    counts, folders = shelf.apply(Ready(b"d/a.safetensors"))

    assert (counts.new, folders) == (1, [])
    assert shelf.states() == {"d/a.safetensors": "present"}
    assert [row["name"] for row in shelf.query("SELECT name FROM companion")] == ["a.png"]
    assert shelf.scan().unchanged == 1


def test_a_file_that_is_gone_is_missing_and_back_when_it_is_ready_again(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    lora(shelf.folder / "b.safetensors", 2)
    shelf.scan()
    away = path.rename(shelf.folder.parent / "away")

    counts, folders = shelf.apply(Gone(b"a.safetensors"))
    assert (counts.missing, folders) == (1, [])
    assert shelf.states()["a.safetensors"] == "missing"
    away.rename(path)
    counts, _ = shelf.apply(Ready(b"a.safetensors"))
    assert counts.restored == 1


def test_a_file_that_is_there_after_all_is_not_missing(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()

    counts, _ = shelf.apply(Gone(b"a.safetensors"))

    assert counts.missing == 0


@pytest.mark.parametrize("paired", [True, False])
def test_a_moved_file_keeps_its_row_whether_or_not_the_two_events_were_paired(
    shelf: Shelf, *, paired: bool
) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    before = shelf.files()["a.safetensors"]["id"]
    path.rename(shelf.folder / "b.safetensors")
    old, new = b"a.safetensors", b"b.safetensors"

    counts, _ = shelf.apply(Moved(old, new)) if paired else shelf.apply(Gone(old), Ready(new))

    assert (counts.moved, counts.missing) == (1, 0)
    assert {name: row["id"] for name, row in shelf.files().items()} == {"b.safetensors": before}


def test_the_old_name_of_a_file_that_moved_and_changed_is_missing(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1).unlink()
    lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    (shelf.folder / "a.safetensors").rename(shelf.folder / "b.safetensors")
    lora(shelf.folder / "b.safetensors", 2)

    counts, _ = shelf.apply(Moved(b"a.safetensors", b"b.safetensors"))

    assert (counts.new, counts.missing) == (1, 1)


def test_when_all_is_gone_the_whole_root_is_to_be_scanned(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1).rename(shelf.folder / "b.safetensors")
    shelf.scan()
    (shelf.folder / "b.safetensors").unlink()

    counts, folders = shelf.apply(Gone(b"b.safetensors"))

    assert (counts.missing, folders) == (0, [b""])
    assert shelf.states() == {"b.safetensors": "present"}


def test_a_preview_that_comes_is_noted_without_reading_a_file(shelf: Shelf) -> None:
    lora(shelf.folder / "d" / "a.safetensors", 1)
    lora(shelf.folder / "d" / "e" / "b.safetensors", 2)
    shelf.scan()
    shelf.counting.clear()
    (shelf.folder / "d" / "a.preview.png").write_bytes(b"p")

    counts, folders = shelf.apply(Beside(b"d"))

    assert (counts.files, folders) == (1, [])
    assert [row["name"] for row in shelf.query("SELECT name FROM companion")] == ["a.preview.png"]
    assert shelf.counting.looked == []
    (shelf.folder / "d" / "a.preview.png").unlink()
    shelf.apply(Beside(b"d"))
    assert shelf.query("SELECT name FROM companion") == []


@posix_only
def test_what_is_no_plain_file_is_left_to_a_scan_of_its_folder(shelf: Shelf) -> None:
    (shelf.folder / "d").mkdir()
    (shelf.folder / "d" / "link.safetensors").symlink_to("nowhere")
    if sys.platform != "win32":
        os.mkfifo(shelf.folder / "d" / "pipe.safetensors")

    counts, folders = shelf.apply(Ready(b"d/link.safetensors"), Ready(b"d/pipe.safetensors"))

    assert (counts.files, folders) == (0, [b"d"])


def test_a_folder_in_the_place_of_a_file_makes_the_file_missing(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    path.unlink()
    path.mkdir()

    counts, _ = shelf.apply(Gone(b"a.safetensors"))

    assert counts.missing == 1


def test_a_damaged_file_is_listed_with_its_problem_until_it_is_whole(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    shelf.apply(Ready(b"a.safetensors"))
    assert shelf.problems() == {("truncated-data", "a.safetensors")}

    path.write_bytes(whole)
    shelf.apply(Ready(b"a.safetensors"))

    assert shelf.problems() == set()


def test_folders_to_scan_come_without_those_inside_them() -> None:
    assert outermost([b"a/b", b"a-b", b"a", b"c/d/e", b"c/d"]) == [b"a-b", b"a", b"c/d"]
    assert outermost([b"a", b"", b"b/c"]) == [b""]


def test_folders_are_handed_back(shelf: Shelf) -> None:
    assert shelf.apply(Rescan(b"x/y"), Rescan(b"x"))[1] == [b"x"]
