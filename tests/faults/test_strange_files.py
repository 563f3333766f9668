"""Things in a library that only look like models, met by a scan with child processes."""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from registry.app import Reading, open_registry
from registry.config import load_settings
from registry.ingest.derive import read_unless_known
from tests.support.shelf import lora, open_shelf

if TYPE_CHECKING:
    from pathlib import Path

    from registry.hashing.reader import QuickHead

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file kinds")


def dies_on_deadly_files(path: str, known: bytes | None) -> QuickHead | None:
    """Read like the product, but end the process at files that are called deadly."""
    if "deadly" in path:
        os._exit(9)
    return read_unless_known(path, known)


def fails_at_awkward_files(path: str, known: bytes | None) -> QuickHead | None:
    """Read like the product, but fail at files that are called awkward as a bug would."""
    if "awkward" in path:
        raise MemoryError
    return read_unless_known(path, known)


def test_pipes_sockets_and_folders_named_like_models_are_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_shelf(tmp_path) as shelf, socket.socket(socket.AF_UNIX) as listener:
        lora(shelf.folder / "a.safetensors", 1)
        lora(shelf.folder / "folder.safetensors" / "b.safetensors", 2)
        os.mkfifo(shelf.folder / "pipe.safetensors")
        monkeypatch.chdir(shelf.folder)  # the system limits the names of sockets to about a hundred bytes
        listener.bind("socket.safetensors")
        (shelf.folder / "loop.safetensors").symlink_to("loop.safetensors")
        (shelf.folder / "nowhere.safetensors").symlink_to("gone")

        counts = shelf.scan()
        shelf.hash()

        assert (counts.files, counts.problems) == (2, 5)
        assert shelf.problems() == {
            ("not-a-regular-file", "pipe.safetensors"),
            ("not-a-regular-file", "socket.safetensors"),
            ("not-a-regular-file", "folder.safetensors"),
            ("broken-symlink", "loop.safetensors"),
            ("broken-symlink", "nowhere.safetensors"),
        }
        assert set(shelf.states()) == {"a.safetensors", "folder.safetensors/b.safetensors"}


def test_a_file_that_becomes_a_pipe_is_missing_and_nobody_waits_for_it(tmp_path: Path) -> None:
    with open_shelf(tmp_path) as shelf:
        lora(shelf.folder / "a.safetensors", 1)
        path = lora(shelf.folder / "b.safetensors", 2)
        shelf.scan()
        path.unlink()
        os.mkfifo(path)

        shelf.hash()
        assert shelf.scan().missing == 1

        assert shelf.files()["a.safetensors"]["hash_state"] == "done"
        assert shelf.states()["b.safetensors"] == "missing"


def test_links_that_lead_out_are_followed_only_where_the_root_allows_it(tmp_path: Path) -> None:
    outside = lora(tmp_path / "outside" / "x.safetensors", 1)
    with open_shelf(tmp_path) as shelf:
        (shelf.folder / "x.safetensors").symlink_to(outside)
        (shelf.folder / "all").symlink_to(outside.parent)
        (shelf.folder / "x.png").symlink_to("/etc/hostname")

        assert shelf.scan().files == 0
        assert {slug for slug, _ in shelf.problems()} == {"symlink-outside"}
        with shelf.registry.catalog.write() as unit:
            unit.conn.exec_driver_sql("UPDATE root SET follow_out = 1")
        assert shelf.scan().files == 2
        shelf.hash()
        rows = shelf.files()
        assert set(rows) == {"x.safetensors", "all/x.safetensors"}
        assert len({row["lora_id"] for row in rows.values()}) == 1


def test_a_file_that_kills_its_reader_is_a_problem_and_all_others_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "loras"
    for number in range(70):
        lora(folder / f"{number:02}.safetensors", number)
    lora(folder / "33-deadly.safetensors", 99)
    settings = load_settings(data_dir=tmp_path / "data", workers=2)
    with open_registry(settings, reading=Reading(dies_on_deadly_files)) as registry:
        counts = registry.scan(registry.add_root(str(folder)).id)
        assert (counts.files, counts.new, counts.problems) == (71, 70, 1)
        with registry.catalog.read() as conn:
            problems = conn.exec_driver_sql("SELECT slug, path FROM problem").all()
    assert problems == [("reader-died", "33-deadly.safetensors")]


def test_a_file_we_fail_at_is_a_problem_until_we_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "loras"
    for name in ("a", "awkward", "z"):
        lora(folder / f"{name}.safetensors", 1)
    settings = load_settings(data_dir=tmp_path / "data", workers=2)
    with open_registry(settings, reading=Reading(fails_at_awkward_files)) as registry:
        counts = registry.scan(registry.add_root(str(folder)).id)
        assert (counts.files, counts.new, counts.problems) == (3, 2, 1)
        with registry.catalog.read() as conn:
            problems = conn.exec_driver_sql("SELECT slug, path FROM problem").all()
    assert problems == [("reader-failed", "awkward.safetensors")]
    with open_registry(settings) as registry:
        (root,) = registry.mounted_roots()
        assert registry.scan(root.id).new == 1
        with registry.catalog.read() as conn:
            assert conn.exec_driver_sql("SELECT slug, path FROM problem").all() == []


def test_a_root_that_goes_away_in_the_middle_of_a_scan_loses_no_file(tmp_path: Path) -> None:
    with open_shelf(tmp_path) as shelf:
        for number in range(40):
            lora(shelf.folder / f"{number % 8}" / f"{number:02}.safetensors", number)
        shelf.scan()
        (shelf.folder / "9").mkdir()
        for number in range(40, 80):
            lora(shelf.folder / f"{number % 8}" / f"{number:02}.safetensors", number)
        away = tmp_path / "away"
        once = threading.Lock()
        look = shelf.counting.look

    def pull_the_plug(path: str, known: bytes | None) -> QuickHead | None:
        if path.endswith("72.safetensors") and once.acquire(blocking=False):
            (tmp_path / "loras").rename(away)
        return look(path, known)

    settings = load_settings(data_dir=tmp_path / "data", workers=0)
    with open_registry(settings, reading=Reading(pull_the_plug)) as registry:
        (root,) = registry.mounted_roots()
        assert registry.scan(root.id).unreachable
        with registry.catalog.read() as conn:
            states = conn.exec_driver_sql("SELECT DISTINCT state FROM file").scalars().all()
        assert states == ["unreachable"]
        away.rename(tmp_path / "loras")
        assert registry.scan(root.id).files == 80
        with registry.catalog.read() as conn:
            states = conn.exec_driver_sql("SELECT state, count(*) FROM file GROUP BY 1").all()
            assert states == [("present", 80)]
            assert conn.exec_driver_sql("SELECT slug, path FROM problem").all() == []
