"""Scans of real folders into a real catalog."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from registry.catalog.roots import get_root
from registry.errors import Cancelled
from registry.ingest.scanning import scan_root
from tests.support.files import header_bytes, write_safetensors
from tests.support.shelf import Counting, later, lora, open_shelf, renew_inode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shelf import Shelf

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


def test_a_first_scan_lists_everything_before_anything_is_hashed(shelf: Shelf) -> None:
    for number in range(3):
        lora(shelf.folder / "style" / f"a{number}.safetensors", number)

    counts = shelf.scan()

    assert (counts.files, counts.new, counts.problems) == (3, 3, 0)
    assert shelf.states() == {f"style/a{number}.safetensors": "present" for number in range(3)}
    assert {row["identity"].partition(":")[0] for row in shelf.files().values()} == {"new"}
    assert shelf.counting.hashed == []


def test_a_second_scan_reads_nothing(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    (shelf.folder / "a.png").write_bytes(b"picture")
    shelf.scan()
    shelf.counting.clear()
    generation = shelf.query("SELECT max(seq) AS seq FROM change")

    counts = shelf.scan()

    assert (counts.files, counts.unchanged, counts.new, counts.changed) == (1, 1, 0, 0)
    assert shelf.counting.looked == []
    assert shelf.query("SELECT max(seq) AS seq FROM change") == generation


def test_hashing_gives_a_lora_its_lasting_identity_and_keeps_its_id(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    before = shelf.files()["a.safetensors"]

    assert shelf.hash() == 1

    after = shelf.files()["a.safetensors"]
    assert after["lora_id"] == before["lora_id"]
    assert after["identity"].startswith("data:")
    assert (after["hash_state"], after["verified"]) == ("done", 1)


def test_a_slow_copy_becomes_one_lora_that_replaces_nothing(shelf: Shelf) -> None:
    whole = lora(shelf.folder.parent / "whole.safetensors", 1, size=512).read_bytes()
    target = shelf.folder / "a.safetensors"
    for part in (0, 5, 600, len(whole) - 100):
        target.write_bytes(whole[:part])
        later(target, part)
        shelf.scan()
        shelf.hash()
    assert [slug for slug, _ in shelf.problems()] == ["truncated-data"]
    target.write_bytes(whole)

    shelf.scan()
    shelf.hash()

    (row,) = shelf.files().values()
    assert row["identity"].startswith("data:")
    assert row["replaces_id"] is None
    assert list(shelf.loras()) == [row["lora_id"]]
    assert shelf.problems() == set()


def test_a_file_renamed_over_another_takes_its_place(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    shelf.hash()
    old = shelf.files()["a.safetensors"]
    lora(shelf.folder / "a.safetensors.part", 2).replace(shelf.folder / "a.safetensors")

    assert shelf.scan().changed == 1

    new = shelf.files()["a.safetensors"]
    assert (new["id"], new["replaces_id"]) == (old["id"], old["lora_id"])
    shelf.hash()
    new = shelf.files()["a.safetensors"]
    assert new["identity"] != old["identity"]
    assert new["replaces_id"] == old["lora_id"]
    assert shelf.loras()[old["lora_id"]]["identity"] == old["identity"]


def test_weights_written_over_in_place_leave_the_old_lora(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    shelf.hash()
    old = shelf.files()["a.safetensors"]
    lora(path, 2)
    later(path)

    shelf.scan()
    shelf.hash()

    new = shelf.files()["a.safetensors"]
    assert new["replaces_id"] == old["lora_id"]
    assert shelf.loras()[old["lora_id"]]["files"] == 0


def test_weights_that_differ_in_the_middle_alone_are_told_apart_by_hashing(shelf: Shelf) -> None:
    path = shelf.folder / "a.safetensors"
    tail = bytes(70_000)
    write_safetensors(path, {"x": ("U8", (70_100,), bytes(100) + tail)})
    shelf.scan()
    shelf.hash()
    old = shelf.files()["a.safetensors"]
    write_safetensors(path, {"x": ("U8", (70_100,), b"\1" * 100 + tail)})
    later(path)

    shelf.scan()
    assert shelf.files()["a.safetensors"]["lora_id"] == old["lora_id"]
    shelf.hash()

    new = shelf.files()["a.safetensors"]
    assert new["lora_id"] != old["lora_id"]
    assert new["replaces_id"] == old["lora_id"]


def test_a_header_rewritten_in_place_keeps_the_lora_and_changes_the_file_hash(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1, note="first draft")
    shelf.scan()
    shelf.hash()
    old = shelf.files()["a.safetensors"]
    sha256 = shelf.query("SELECT value FROM digest WHERE kind = 'sha256'")
    size = path.stat().st_size
    raw = path.read_bytes().replace(b"first draft", b"final draft")
    path.write_bytes(raw)
    later(path)
    assert path.stat().st_size == size

    assert shelf.scan().changed == 1
    assert shelf.files()["a.safetensors"]["lora_id"] == old["lora_id"]
    shelf.hash()

    new = shelf.files()["a.safetensors"]
    assert (new["lora_id"], new["identity"], new["replaces_id"]) == (old["lora_id"], old["identity"], None)
    assert shelf.query("SELECT value FROM digest WHERE kind = 'sha256'") != sha256


def test_a_file_replaced_by_one_with_an_older_time_is_noticed(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    shelf.hash()
    other = lora(shelf.folder.parent / "other.safetensors", 2)
    os.utime(other, ns=(10**18, 10**18))
    other.replace(path)

    assert shelf.scan().changed == 1


def test_a_deleted_file_stays_as_missing_and_comes_back_as_itself(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    lora(shelf.folder / "b.safetensors", 2)
    shelf.scan()
    shelf.hash()
    before = shelf.files()["a.safetensors"]
    away = path.rename(shelf.folder.parent / "away.safetensors")

    assert shelf.scan().missing == 1
    assert shelf.states()["a.safetensors"] == "missing"
    shelf.counting.clear()
    away.rename(path)
    assert shelf.scan().restored == 1

    after = shelf.files()["a.safetensors"]
    assert (after["id"], after["lora_id"], after["state"]) == (before["id"], before["lora_id"], "present")
    assert shelf.hash() == 0


def test_a_root_that_is_emptied_at_once_is_unreachable_and_comes_back(shelf: Shelf) -> None:
    for number in range(3):
        lora(shelf.folder / "d" / f"{number}.safetensors", number)
    shelf.scan()
    shelf.hash()
    before = shelf.files()
    (shelf.folder / "d").rename(shelf.folder.parent / "unmounted")
    (shelf.folder / ".hidden").write_bytes(b"")

    counts = shelf.scan()

    assert (counts.unreachable, counts.missing) == (True, 0)
    assert set(shelf.states().values()) == {"unreachable"}
    assert {slug for slug, _ in shelf.problems()} == {"root-unreachable"}
    assert shelf.scan().unreachable
    (shelf.folder.parent / "unmounted").rename(shelf.folder / "d")
    shelf.counting.clear()
    assert shelf.scan().restored == 3
    assert set(shelf.states().values()) == {"present"}
    assert shelf.problems() == set()
    assert shelf.counting.looked == []
    assert [row["id"] for row in shelf.files().values()] == [row["id"] for row in before.values()]


def test_a_root_that_is_gone_is_unreachable_and_comes_back(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    away = shelf.folder.rename(shelf.folder.parent / "away")

    assert shelf.scan().unreachable
    assert shelf.states() == {"a.safetensors": "unreachable"}
    assert shelf.registry.root(shelf.root.id).state == "unreachable"
    away.rename(shelf.folder)
    assert shelf.scan().restored == 1
    assert shelf.registry.root(shelf.root.id).state == "ok"


def test_a_file_deleted_while_its_root_was_away_is_missing_afterwards(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    lora(shelf.folder / "b.safetensors", 2)
    shelf.scan()
    away = shelf.folder.rename(shelf.folder.parent / "away")
    shelf.scan()
    (away / "a.safetensors").unlink()
    away.rename(shelf.folder)

    shelf.scan()

    assert shelf.states() == {"a.safetensors": "missing", "b.safetensors": "present"}


@posix_only
def test_new_inodes_alone_cost_no_data_and_are_ignored_from_then_on(shelf: Shelf) -> None:
    paths = [lora(shelf.folder / f"{number}.safetensors", number) for number in range(4)]
    paths.append(shelf.folder / "broken.safetensors")
    paths[-1].write_bytes(b"no header at all, but some bytes")
    shelf.scan()
    shelf.hash()
    before = {path: (row["id"], row["lora_id"], row["verified"]) for path, row in shelf.files().items()}
    for path in paths:
        renew_inode(path)
    shelf.counting.clear()

    counts = shelf.scan()

    assert (counts.changed, counts.new, counts.missing) == (0, 0, 0)
    assert shelf.counting.read == ["broken.safetensors"]
    assert shelf.registry.root(shelf.root.id).ignore_inode
    assert shelf.hash() == 0
    for path in paths:
        renew_inode(path)
    shelf.counting.clear()
    assert shelf.scan().unchanged == 5
    assert shelf.counting.looked == []
    assert {
        path: (row["id"], row["lora_id"], row["verified"]) for path, row in shelf.files().items()
    } == before


@posix_only
def test_one_new_inode_among_many_files_is_no_reason_to_ignore_them(shelf: Shelf) -> None:
    paths = [lora(shelf.folder / f"{number}.safetensors", number) for number in range(4)]
    shelf.scan()
    renew_inode(paths[0])

    shelf.scan()

    assert not shelf.registry.root(shelf.root.id).ignore_inode


@posix_only
def test_an_older_version_of_the_rules_is_read_again_even_if_only_the_inode_changed(tmp_path: Path) -> None:
    with open_shelf(tmp_path) as shelf:
        path = lora(shelf.folder / "a.safetensors", 1)
        shelf.scan()
    renew_inode(path)
    with open_shelf(tmp_path, counting=Counting(derived_version=2)) as shelf:
        shelf.scan()
        assert shelf.files()["a.safetensors"]["derived_version"] == 2
        assert shelf.query("SELECT derived_version FROM header") == [{"derived_version": 2}]


def test_better_rules_read_headers_again_and_hash_nothing(tmp_path: Path) -> None:
    with open_shelf(tmp_path) as shelf:
        for number in range(3):
            lora(shelf.folder / f"{number}.safetensors", number)
        (shelf.folder / "broken.safetensors").write_bytes(b"not a model")
        shelf.scan()
        shelf.hash()
        before = shelf.files()
    with open_shelf(tmp_path, counting=Counting(derived_version=2)) as shelf:
        counts = shelf.scan()
        assert counts.changed == 0
        assert len(shelf.counting.looked) == 4
        assert shelf.hash() == 0
        assert shelf.files() == {path: {**row, "derived_version": 2} for path, row in before.items()}
        shelf.counting.clear()
        assert shelf.scan().unchanged == 4
        assert shelf.counting.looked == []


@posix_only
def test_hard_links_share_their_lora_and_its_hashes(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    shelf.hash()
    (shelf.folder / "b.safetensors").hardlink_to(path)

    shelf.scan()

    rows = shelf.files()
    assert rows["a.safetensors"]["lora_id"] == rows["b.safetensors"]["lora_id"]
    assert rows["b.safetensors"]["hash_state"] == "done"
    assert shelf.hash() == 0


def test_a_copy_shows_the_known_lora_at_once_but_not_verified(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    shelf.hash()
    shutil.copy(path, shelf.folder / "b.safetensors")

    assert shelf.scan().new == 1

    rows = shelf.files()
    assert rows["b.safetensors"]["lora_id"] == rows["a.safetensors"]["lora_id"]
    assert (rows["b.safetensors"]["verified"], rows["b.safetensors"]["hash_state"]) == (0, "pending")
    shelf.hash()
    assert shelf.files()["b.safetensors"]["verified"] == 1
    assert len(shelf.loras()) == 1


def test_copies_met_together_become_one_lora_by_hashing(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    shutil.copy(path, shelf.folder / "b.safetensors")
    shelf.scan()
    shelf.hash()

    rows = shelf.files()
    assert rows["a.safetensors"]["lora_id"] == rows["b.safetensors"]["lora_id"]
    assert len(shelf.loras()) == 1
    assert len(shelf.query("SELECT * FROM lora_redirect")) == 1


def test_empty_files_and_empty_data_sections_never_merge(shelf: Shelf) -> None:
    (shelf.folder / "a.safetensors").write_bytes(b"")
    (shelf.folder / "b.safetensors").write_bytes(b"")
    (shelf.folder / "c.safetensors").write_bytes(header_bytes({}, {"x": "1"}))
    (shelf.folder / "d.safetensors").write_bytes(header_bytes({}, {"x": "2"}))
    shelf.scan()
    shelf.hash()
    (shelf.folder / "e.safetensors").write_bytes(b"")
    shelf.scan()
    shelf.hash()

    rows = shelf.files()
    assert len({row["lora_id"] for row in rows.values()}) == 5
    assert {row["hash_state"] for row in rows.values()} == {"done"}
    assert all(row["replaces_id"] is None for row in rows.values())


def test_pickles_are_listed_only_where_the_root_asks_and_never_parsed(shelf: Shelf) -> None:
    header = lora(shelf.folder / "a.safetensors", 1).read_bytes()
    # A header is there, but nothing of it is read.
    (shelf.folder / "b.pt").write_bytes(header)
    (shelf.folder / "c.ckpt").write_bytes(b"\x80\x02}q\x00.")
    assert shelf.scan().files == 1
    with shelf.registry.catalog.write() as unit:
        unit.conn.exec_driver_sql(f"UPDATE root SET pickles = 1 WHERE id = {shelf.root.id}")

    assert shelf.scan().new == 2
    shelf.hash()

    rows = shelf.files()
    assert (rows["b.pt"]["header_id"], rows["b.pt"]["cause"]) == (None, None)
    assert rows["b.pt"]["lora_id"] != rows["a.safetensors"]["lora_id"]
    assert rows["c.ckpt"]["identity"].startswith("file:")
    assert shelf.problems() == set()


def test_a_root_that_lost_all_of_many_files_at_once_is_unreachable_though_something_else_is_there(
    shelf: Shelf,
) -> None:
    for number in range(10):
        lora(shelf.folder / "style" / f"a{number}.safetensors", number)
    shelf.scan()
    (shelf.folder / "style").rename(shelf.folder.parent / "unmounted")
    (shelf.folder / "readme.txt").write_text("mount the drive here")

    assert shelf.scan().unreachable
    assert set(shelf.states().values()) == {"unreachable"}
    (shelf.folder.parent / "unmounted").rename(shelf.folder / "style")
    assert shelf.scan().restored == 10
    assert set(shelf.states().values()) == {"present"}


def test_a_few_files_that_were_cleared_away_are_missing(shelf: Shelf) -> None:
    for number in range(9):
        lora(shelf.folder / "style" / f"a{number}.safetensors", number)
    (shelf.folder / "readme.txt").write_text("about these")
    shelf.scan()
    shutil.rmtree(shelf.folder / "style")

    assert shelf.scan().missing == 9
    assert set(shelf.states().values()) == {"missing"}


def test_companions_come_and_go(shelf: Shelf) -> None:
    lora(shelf.folder / "d" / "a.safetensors", 1)
    shelf.scan()
    (shelf.folder / "d" / "a.png").write_bytes(b"p")
    (shelf.folder / "d" / "a.civitai.info").write_bytes(b"{}")
    shelf.counting.clear()

    assert shelf.scan().unchanged == 1
    names = "SELECT name FROM companion ORDER BY name"
    assert [row["name"] for row in shelf.query(names)] == ["a.civitai.info", "a.png"]
    (shelf.folder / "d" / "a.png").unlink()
    shelf.scan()
    assert [row["name"] for row in shelf.query(names)] == ["a.civitai.info"]
    (shelf.folder / "d" / "a.civitai.info").unlink()
    shelf.scan()
    assert shelf.query(names) == []
    assert shelf.counting.looked == []


@posix_only
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_a_problem_and_its_files_stay(shelf: Shelf) -> None:
    lora(shelf.folder / "locked" / "a.safetensors", 1)
    lora(shelf.folder / "open" / "b.safetensors", 2)
    shelf.scan()
    (shelf.folder / "locked").chmod(0)
    try:
        assert shelf.scan().missing == 0
    finally:
        (shelf.folder / "locked").chmod(0o700)
    assert shelf.states()["locked/a.safetensors"] == "present"
    assert shelf.problems() == {("unreadable-folder", "locked")}
    shelf.scan()
    assert shelf.problems() == set()


@posix_only
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_a_problem_until_it_can_be_read(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    lora(shelf.folder / "b.safetensors", 2)
    path.chmod(0)

    shelf.scan()
    assert shelf.problems() == {("unreadable-file", "a.safetensors")}
    assert list(shelf.states()) == ["b.safetensors"]
    path.chmod(0o600)
    assert shelf.scan().new == 1
    assert shelf.problems() == set()


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names there are always text")
def test_names_of_all_kinds_are_kept_byte_for_byte(shelf: Shelf) -> None:
    names = [
        b"new\nline",
        b"not \xff utf-8",
        "仙侠水墨".encode(),
        "emoji 🎨".encode(),
        "re\u0301sume\u0301".encode(),
        b"tab\tand\x1b[31mred",
        b"a" * 200,
    ]
    raw = lora(shelf.folder.parent / "x.safetensors", 1).read_bytes()
    for number, name in enumerate(names):
        place = os.fsencode(shelf.folder) + b"/" + name + b".safetensors"
        with open(place, "wb") as file:  # noqa: PTH123 - the name is bytes
            file.write(raw + bytes(number))

    assert shelf.scan().new == len(names)
    shelf.hash()

    stored = {row["path_raw"] for row in shelf.files().values()}
    assert stored == {name + b".safetensors" for name in names}
    assert {row["hash_state"] for row in shelf.files().values()} == {"done"}
    assert shelf.scan().unchanged == len(names)


def test_files_that_share_a_name_are_a_problem_until_one_is_renamed(shelf: Shelf) -> None:
    lora(shelf.folder / "x" / "same.safetensors", 1)
    other = lora(shelf.folder / "y" / "same.safetensors", 2)
    shelf.scan()
    assert {slug for slug, _ in shelf.problems()} == {"name-collision"}
    assert len(shelf.problems()) == 2

    other.rename(other.with_name("other.safetensors"))
    shelf.scan()

    assert shelf.problems() == set()


def test_a_scan_of_one_folder_leaves_the_rest_alone(shelf: Shelf) -> None:
    lora(shelf.folder / "a" / "1.safetensors", 1)
    lora(shelf.folder / "a-b" / "2.safetensors", 2)
    lora(shelf.folder / "b" / "3.safetensors", 3)
    shelf.scan()
    for name in ("a/1", "a-b/2", "b/3"):
        (shelf.folder / f"{name}.safetensors").unlink()
    registry = shelf.registry
    engine = registry.engine(lambda: False, lambda _counts: None)

    assert scan_root(engine, registry.root(shelf.root.id), registry.roots(), under=b"a").missing == 1

    assert shelf.states() == {
        "a/1.safetensors": "missing",
        "a-b/2.safetensors": "present",
        "b/3.safetensors": "present",
    }


def test_a_scan_that_is_stopped_leaves_nobody_missing_and_the_next_one_goes_on(shelf: Shelf) -> None:
    for number in range(600):
        (shelf.folder / f"{number:03}.safetensors").write_bytes(header_bytes({}, {"n": str(number)}))
    registry = shelf.registry
    written: list[int] = []

    def stop_soon() -> bool:
        return bool(written) and written[-1] >= 256

    engine = registry.engine(stop_soon, lambda counts: written.append(counts.new))
    with registry.catalog.read() as conn:
        root = get_root(conn, shelf.root.id, registry.machine_id)
    with pytest.raises(Cancelled):
        scan_root(engine, root, registry.roots())
    listed = len(shelf.files())
    assert 0 < listed < 600
    shelf.counting.clear()

    counts = shelf.scan()

    assert (counts.new, counts.unchanged) == (600 - listed, listed)
    assert len(shelf.counting.looked) == 600 - listed


def test_a_file_of_a_time_that_no_calendar_has_is_listed_like_others(shelf: Shelf) -> None:
    odd = lora(shelf.folder / "a.safetensors", 1)
    lora(shelf.folder / "b.safetensors", 2)
    os.utime(odd, (2**34, 2**34))
    if odd.stat().st_mtime < 2**33:
        pytest.skip("this file system keeps no such time")

    shelf.scan()
    shelf.hash()
    again = shelf.scan()

    assert {path: row["hash_state"] for path, row in shelf.files().items()} == {
        "a.safetensors": "done",
        "b.safetensors": "done",
    }
    assert (again.unchanged, again.changed) == (2, 0)
