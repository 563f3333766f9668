"""Files that moved, in one root and between roots, keep their rows."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.shelf import lora

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shelf import Shelf

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


def fill(shelf: Shelf, *names: str) -> dict[str, Path]:
    """Write, scan and hash some files."""
    paths = {name: lora(shelf.folder / f"{name}.safetensors", seed) for seed, name in enumerate(names, 1)}
    shelf.scan()
    shelf.hash()
    shelf.counting.clear()
    return paths


def ids(shelf: Shelf) -> dict[str, tuple[int, int]]:
    """Return the file id and lora id of each present file."""
    return {
        path.removesuffix(".safetensors"): (row["id"], row["lora_id"])
        for path, row in shelf.files().items()
        if row["state"] == "present"
    }


@pytest.mark.parametrize(("old", "new"), [("a", "z/a"), ("z/a", "a"), ("x/a", "x/b")])
def test_a_file_moved_in_its_root_keeps_everything(shelf: Shelf, old: str, new: str) -> None:
    paths = fill(shelf, old, "m")
    before = ids(shelf)
    target = shelf.folder / f"{new}.safetensors"
    target.parent.mkdir(exist_ok=True)
    paths[old].rename(target)

    counts = shelf.scan()

    assert (counts.moved, counts.new, counts.missing) == (1, 0, 0)
    assert ids(shelf) == {new: before[old], "m": before["m"]}
    assert shelf.hash() == 0
    assert shelf.scan().unchanged == 2


def test_a_folder_that_was_renamed_keeps_all_its_files(shelf: Shelf) -> None:
    fill(shelf, "d/1", "d/2", "d/e/3")
    before = ids(shelf)
    (shelf.folder / "d").rename(shelf.folder / "c")

    assert shelf.scan().moved == 3

    assert ids(shelf) == {f"c{name[1:]}": found for name, found in before.items()}


def test_a_file_moved_to_another_root_keeps_everything(shelf: Shelf, tmp_path: Path) -> None:
    paths = fill(shelf, "a", "b")
    other = tmp_path / "other"
    other.mkdir()
    second = shelf.add(other)
    before = ids(shelf)["a"]
    paths["a"].rename(other / "a.safetensors")

    assert shelf.scan(second).moved == 1
    assert shelf.scan().missing == 0

    assert ids(shelf)["other:a"] == before
    assert shelf.hash() == 0


def test_a_file_seen_missing_first_is_known_again_in_the_other_root(shelf: Shelf, tmp_path: Path) -> None:
    paths = fill(shelf, "a", "b")
    other = tmp_path / "other"
    other.mkdir()
    second = shelf.add(other)
    before = ids(shelf)["a"]
    paths["a"].rename(other / "a.safetensors")

    assert shelf.scan().missing == 1
    assert shelf.scan(second).moved == 1
    assert ids(shelf)["other:a"] == before


def test_a_copy_whose_original_is_gone_goes_on_as_it_and_is_hashed_again(shelf: Shelf) -> None:
    paths = fill(shelf, "a", "b")
    before = ids(shelf)
    shutil.copyfile(paths["a"], shelf.folder / "c.safetensors")
    paths["a"].unlink()

    assert shelf.scan().moved == 1

    assert ids(shelf)["c"] == before["a"]
    assert shelf.files()["c.safetensors"]["verified"] == 0
    shelf.hash()
    assert shelf.files()["c.safetensors"]["verified"] == 1
    assert ids(shelf)["c"] == before["a"]


@posix_only
def test_a_chain_of_renames_puts_each_lora_at_its_new_path(shelf: Shelf) -> None:
    paths = fill(shelf, "a", "b", "c")
    before = {name: found[1] for name, found in ids(shelf).items()}
    for old, new in (("c", "d"), ("b", "c"), ("a", "b")):
        (shelf.folder / f"{old}.safetensors").rename(shelf.folder / f"{new}.safetensors")
    assert not paths["a"].exists()

    shelf.scan()
    shelf.hash()

    after = {name: found[1] for name, found in ids(shelf).items()}
    assert after == {"b": before["a"], "c": before["b"], "d": before["c"]}


@posix_only
def test_two_files_that_were_swapped_are_two_loras_swapped(shelf: Shelf) -> None:
    paths = fill(shelf, "a", "b")
    before = {name: found[1] for name, found in ids(shelf).items()}
    between = paths["a"].rename(shelf.folder / "t")
    paths["b"].rename(paths["a"])
    between.rename(paths["b"])

    shelf.scan()
    shelf.hash()

    after = {name: found[1] for name, found in ids(shelf).items()}
    assert after == {"a": before["b"], "b": before["a"]}


@posix_only
def test_a_new_file_that_got_the_inode_of_a_deleted_one_is_not_taken_for_it(shelf: Shelf) -> None:
    path = fill(shelf, "a", "b")["a"]
    lost = shelf.files()["a.safetensors"]
    path.unlink()
    fresh = lora(shelf.folder / "c.safetensors", 9)
    with shelf.registry.catalog.write() as unit:  # as if the system had given it the same number
        inode, mtime_ns = fresh.stat().st_ino, lost["mtime_ns"]
        unit.conn.exec_driver_sql(f"UPDATE file SET inode = {inode} WHERE id = {lost['id']}")
    os.utime(fresh, ns=(mtime_ns, mtime_ns))
    assert fresh.stat().st_size == lost["size"]

    counts = shelf.scan()
    shelf.hash()

    assert (counts.new, counts.moved, counts.missing) == (1, 0, 1)
    assert shelf.files()["c.safetensors"]["identity"] != lost["identity"]


def test_files_of_a_root_that_is_away_are_not_taken_over_by_copies(shelf: Shelf, tmp_path: Path) -> None:
    paths = fill(shelf, "a", "b")
    before = ids(shelf)["a"]
    other = tmp_path / "other"
    other.mkdir()
    second = shelf.add(other)
    shutil.copyfile(paths["a"], other / "copy.safetensors")
    away = shelf.folder.rename(tmp_path / "away")
    shelf.folder.mkdir()
    shelf.scan()

    assert shelf.scan(second).new == 1

    assert ids(shelf)["other:copy"][1] == before[1]
    assert ids(shelf)["other:copy"][0] != before[0]
    shelf.folder.rmdir()
    away.rename(shelf.folder)
    assert shelf.scan().restored == 2
    assert ids(shelf)["a"] == before


def test_a_root_added_inside_another_takes_its_files_and_gives_them_back(shelf: Shelf) -> None:
    fill(shelf, "a", "in/b", "in/c/d")
    before = ids(shelf)
    inner = shelf.add(shelf.folder / "in", label="inner")

    assert shelf.scan(inner).moved == 2
    assert shelf.scan().missing == 0
    assert ids(shelf) == {"a": before["a"], "inner:b": before["in/b"], "inner:c/d": before["in/c/d"]}
    shelf.registry.remove_root(inner.id)
    assert shelf.scan().moved == 2
    assert ids(shelf) == before
    assert shelf.hash() == 0
    again = shelf.add(shelf.folder / "in")
    assert again.id == inner.id
    shelf.scan()
    shelf.scan(again)
    assert ids(shelf) == {"a": before["a"], "inner:b": before["in/b"], "inner:c/d": before["in/c/d"]}


def test_a_relocated_root_keeps_everything_and_is_verified_again_when_idle(
    shelf: Shelf, tmp_path: Path
) -> None:
    fill(shelf, "a", "d/b")
    before = ids(shelf)
    target = tmp_path / "new drive"
    shutil.copytree(shelf.folder, target)
    shutil.rmtree(shelf.folder)
    shelf.registry.relocate_root(shelf.root.id, str(target))

    counts = shelf.scan()

    assert (counts.unchanged, counts.missing, counts.new) == (2, 0, 0)
    assert shelf.counting.looked == []
    assert ids(shelf) == before
    assert shelf.hash() == 2
    assert ids(shelf) == before
    assert shelf.scan().unchanged == 2


def test_a_root_removed_and_added_again_has_its_files_and_loras_back(shelf: Shelf) -> None:
    fill(shelf, "a", "b")
    before = ids(shelf)
    folder = shelf.folder
    shelf.registry.remove_root(shelf.root.id)
    assert set(shelf.states().values()) == {"missing"}

    assert shelf.add(folder).id == shelf.root.id
    assert shelf.scan().restored == 2

    assert ids(shelf) == before
    assert shelf.hash() == 0
