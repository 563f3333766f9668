"""The composition root: an open registry with real folders."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from registry.app import HASH, SCAN, Reading, open_registry, this_machine
from registry.background import Background
from registry.catalog.jobs import cancel_job, list_jobs
from registry.config import load_settings
from registry.errors import BadRequest, Cancelled, Conflict, NotFound
from registry.fingerprinting import Fingerprinting
from registry.hashing.reader import hash_file
from registry.ingest.derive import read_unless_known
from registry.ingest.settle import Rescan
from registry.searching import open_searching
from registry.syncing import Syncing
from tests.support.served import until
from tests.support.shelf import Counting, lora, open_shelf

if TYPE_CHECKING:
    from pathlib import Path

    from registry.app import Registry
    from registry.hashing.reader import HashedFile, QuickHead
    from registry.ingest.settle import Action
    from registry.ingest.watched import Lost

LIMIT = 20.0


class Gate:
    """Lets readers through once it is opened, and tells when the first one waits."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def look(self, path: str, known: bytes | None) -> QuickHead | None:
        """Read a header after the gate was opened."""
        self.reached.set()
        assert self.open.wait(LIMIT)
        return read_unless_known(path, known)

    def hash(self, path: str, **options: Any) -> HashedFile:
        """Hash a file after the gate was opened."""
        self.reached.set()
        assert self.open.wait(LIMIT)
        return hash_file(path, **options)


def test_a_machine_keeps_its_id(tmp_path: Path) -> None:
    first = this_machine(tmp_path)
    assert this_machine(tmp_path) == first
    assert len(first) == 32


def test_a_catalog_is_found_again(tmp_path: Path) -> None:
    with open_shelf(tmp_path) as shelf:
        lora(shelf.folder / "a.safetensors", 1)
        shelf.scan()
    with open_shelf(tmp_path) as shelf:
        assert shelf.states() == {"a.safetensors": "present"}
        assert [root.id for root in shelf.registry.mounted_roots()] == [shelf.root.id]


def test_only_folders_become_roots(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with open_shelf(tmp_path) as shelf:
        with pytest.raises(NotFound):
            shelf.registry.add_root(str(tmp_path / "nowhere"))
        with pytest.raises(BadRequest):
            shelf.registry.add_root(str(tmp_path / "file"))
        with pytest.raises(NotFound):
            shelf.registry.relocate_root(shelf.root.id, str(tmp_path / "nowhere"))
        assert shelf.registry.add_root(f"{shelf.folder}/").id == shelf.root.id


def test_a_second_scan_of_a_root_is_told_who_scans_it(tmp_path: Path) -> None:
    gate = Gate()
    settings = load_settings(data_dir=tmp_path / "data", workers=0, machine="here")
    folder = lora(tmp_path / "loras" / "a.safetensors", 1).parent
    with open_registry(settings, reading=Reading(gate.look)) as registry:
        root = registry.add_root(str(folder))
        (job_id,) = registry.start_scans(None)
        assert gate.reached.wait(LIMIT)
        with pytest.raises(Conflict) as refused:
            registry.scan(root.id)
        assert str(refused.value) == (
            f"the scan of loras ({folder}) is running already, in process {os.getpid()} on the machine here"
        )
        assert f"/api/v1/jobs/{job_id}/cancel" in refused.value.remedy
        assert registry.scans[root.id].root.id == root.id
        gate.open.set()
        assert registry.scan_when_free(root.id).files == 1
        assert registry.scans == {}


def test_a_scan_that_is_cancelled_stops_and_the_next_one_completes(tmp_path: Path) -> None:
    gate = Gate()
    settings = load_settings(data_dir=tmp_path / "data", workers=0)
    folder = tmp_path / "loras"
    for number in range(100):
        lora(folder / f"{number}.safetensors", number)
    with open_registry(settings, reading=Reading(gate.look)) as registry:
        root = registry.add_root(str(folder))
        (job_id,) = registry.start_scans([root.id])
        assert gate.reached.wait(LIMIT)
        with registry.catalog.write() as unit:
            cancel_job(unit, job_id)
        (job,) = registry.jobs.live()
        while not job.cancelled():
            gate.open.wait(0.01)
        gate.open.set()
        registry.jobs.stop()
        with registry.catalog.read() as conn:
            assert [(one.kind, one.state) for one in list_jobs(conn)] == [(SCAN, "cancelled")]
    with open_registry(settings) as registry:
        assert registry.scan(root.id).files == 100
        assert registry.root(root.id).files is None
        assert [each.files for each in registry.counted(registry.roots())] == [100]


def test_a_scan_says_how_many_files_it_expects_from_the_one_before(tmp_path: Path) -> None:
    with open_shelf(tmp_path) as shelf:
        for number in range(3):
            lora(shelf.folder / f"{number}.safetensors", number)
        shelf.scan()
        lora(shelf.folder / "3.safetensors", 3).rename(shelf.folder / "2.safetensors")
        (shelf.folder / "1.safetensors").unlink()
        shelf.scan()
        with shelf.registry.catalog.read() as conn:
            assert [(job.done, job.total) for job in list_jobs(conn)] == [(2, 3), (3, None)]


def test_several_scans_are_started_together_or_not_at_all(tmp_path: Path) -> None:
    gate = Gate()
    settings = load_settings(data_dir=tmp_path / "data", workers=0)
    with open_registry(settings, reading=Reading(gate.look)) as registry:
        first, second = (
            registry.add_root(str(lora(tmp_path / name / f"{name}.safetensors", seed).parent)).id
            for seed, name in enumerate(("first", "second"))
        )
        (job_id,) = registry.start_scans([second, second])
        assert gate.reached.wait(LIMIT)
        with pytest.raises(Conflict, match="the scan of second"):
            registry.start_scans(None)
        with pytest.raises(NotFound):
            registry.start_scans([first, 99])
        with registry.catalog.read() as conn:
            assert [job.id for job in list_jobs(conn)] == [job_id]
        gate.open.set()
        assert registry.scan_when_free(second).files == 1
        assert len(registry.start_scans(None)) == 2


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_root_that_is_removed_while_it_is_scanned_leaves_nothing_behind(
    tmp_path: Path, *, cancelled: bool
) -> None:
    gate = Gate()
    settings = load_settings(data_dir=tmp_path / "data", workers=0)
    folder = tmp_path / "loras"
    for number in range(100):
        lora(folder / f"{number}.safetensors", number)
    with open_registry(settings, reading=Reading(gate.look)) as registry:
        root = registry.add_root(str(folder))
        registry.start_scans(None)
        assert gate.reached.wait(LIMIT)
        registry.remove_root(root.id)
        (job,) = registry.jobs.live()
        if cancelled:
            job.cancel()
        gate.open.set()
        until(lambda: not registry.jobs.live())
        with registry.catalog.read() as conn:
            states = conn.exec_driver_sql("SELECT DISTINCT state FROM file").scalars().all()
            assert {*states} <= {"missing"}
            assert [one.state for one in list_jobs(conn)] == ["cancelled" if cancelled else "done"]
        assert registry.add_root(str(folder)).id == root.id
        assert registry.scan(root.id).files == 100


def test_opening_a_catalog_waits_for_no_writer(tmp_path: Path) -> None:
    with open_shelf(tmp_path) as shelf:
        lora(shelf.folder / "a.safetensors", 1)
        shelf.scan()
        with shelf.registry.catalog.write(), open_registry(shelf.registry.settings) as other:
            assert [root.id for root in other.mounted_roots()] == [shelf.root.id]
            assert [root.machine for root in other.roots()] == [shelf.registry.settings.machine]


def test_a_new_name_of_the_machine_is_known_after_its_next_scan(tmp_path: Path) -> None:
    with open_shelf(tmp_path) as shelf:
        assert shelf.root.machine != "box"
    settings = load_settings(data_dir=tmp_path / "data", workers=0, machine="box")
    with open_registry(settings) as registry:
        registry.scan(shelf.root.id)
        assert registry.root(shelf.root.id).machine == "box"


def test_a_root_whose_folder_is_away_can_be_named_and_is_then_unreachable(tmp_path: Path) -> None:
    with open_shelf(tmp_path) as shelf:
        lora(shelf.folder / "a.safetensors", 1)
        shelf.scan()
        shelf.folder.rename(tmp_path / "away")
        again = shelf.registry.add_root(str(shelf.folder))
        assert again.id == shelf.root.id
        assert shelf.registry.scan(again.id).unreachable
        with pytest.raises(NotFound):
            shelf.registry.add_root(str(tmp_path / "never"))


class Observed(Background):
    """A background that remembers which roots it was told to look at."""

    def __init__(self, registry: Registry) -> None:
        self.told: list[tuple[int, object]] = []
        super().__init__(
            registry,
            open_searching(registry),
            Syncing(registry, lambda _query: []),
            Fingerprinting(registry, lambda _query: []),
            watch=False,
        )

    def _tell(self, root_id: int, action: Action | Lost) -> None:
        self.told.append((root_id, action))


def test_roots_are_looked_at_again_for_what_matters_and_for_nothing_else(tmp_path: Path) -> None:
    with open_shelf(tmp_path) as shelf:
        registry, root_id = shelf.registry, shelf.root.id
        background = Observed(registry)

        def told() -> list[int]:
            background.reconcile()
            ids = [root for root, action in background.told if action == Rescan(b"")]
            background.told.clear()
            return ids

        assert told() == [root_id]
        lora(shelf.folder / "a.safetensors", 1)
        shelf.scan()
        registry.change_root(root_id, label="other", position=7, ignore_inode=True)
        assert told() == []
        registry.change_root(root_id, pickles=True)
        assert told() == [root_id]
        registry.change_root(root_id, poll="always")
        assert told() == [root_id]
        inner = shelf.folder / "inner"
        inner.mkdir()
        nested = registry.add_root(str(inner)).id
        assert told() == [root_id, nested]
        registry.remove_root(nested)
        assert told() == [root_id]
        registry.remove_root(root_id)
        registry.add_root(str(shelf.folder))
        assert told() == [root_id]
        assert told() == []


def test_hashing_that_is_cancelled_goes_on_where_it_was(tmp_path: Path) -> None:
    gate = Gate()
    settings = load_settings(data_dir=tmp_path / "data", workers=0, hash_readers=1)
    folder = tmp_path / "loras"
    for number in range(5):
        lora(folder / f"{number}.safetensors", number)
    with open_registry(settings, reading=Reading(hasher=gate.hash)) as registry:
        registry.scan(registry.add_root(str(folder)).id)
        registry.jobs.start(HASH, registry.machine_id, {"wait": False})
        assert gate.reached.wait(LIMIT)
        with pytest.raises(Conflict):
            registry.hash_all()
        (job,) = registry.jobs.live()
        job.cancel()
        gate.open.set()
        registry.jobs.stop()
        with pytest.raises(Cancelled):
            registry.hash_all()
    counting = Counting()
    with open_registry(settings, reading=counting.reading()) as registry:
        registry.hash_all()
        with registry.catalog.read() as conn:
            states = conn.exec_driver_sql("SELECT DISTINCT hash_state FROM file").scalars().all()
    assert states == ["done"]
    assert len(counting.hashed) == len(set(counting.hashed)) <= 5


def test_a_pause_lasts_until_it_is_ended(tmp_path: Path) -> None:
    with open_shelf(tmp_path) as shelf:
        shelf.registry.pause_hashing(paused=True)
    with open_shelf(tmp_path) as shelf:
        assert shelf.registry.hashing_paused()
        shelf.registry.pause_hashing(paused=False)
        assert not shelf.registry.hashing_paused()


def test_child_processes_give_the_same_catalog_as_none(tmp_path: Path) -> None:
    found = []
    for workers in (0, 2):
        place = tmp_path / str(workers)
        place.mkdir()
        for number in range(5):
            lora(place / "loras" / f"{number}.safetensors", number)
        (place / "loras" / "broken.safetensors").write_bytes(b"<html>")
        settings = load_settings(data_dir=place / "data", workers=workers)
        with open_registry(settings) as registry:
            assert registry.scan(registry.add_root(str(place / "loras")).id).new == 6
            with registry.catalog.read() as conn:
                rows = conn.exec_driver_sql(
                    "SELECT file.path, quick_key, tail, data_size, cause, digest, architecture, tags, a1111 "
                    "FROM file LEFT JOIN header ON header.id = file.header_id ORDER BY path"
                ).all()
            found.append(rows)
    assert found[0] == found[1]


@pytest.mark.data
def test_every_malformed_file_has_a_problem_with_its_cause_and_the_valid_ones_none(
    tmp_path: Path, data_dir: Path
) -> None:
    cases = json.loads((data_dir / "malformed" / "manifest.json").read_text(encoding="utf-8"))["cases"]
    refused = {case["file"] for case in cases if not case["measured_safetensors_py"].startswith("ok")}
    with open_shelf(tmp_path) as shelf:
        root = shelf.add(data_dir / "malformed", label="malformed")
        assert shelf.scan(root).files == len(cases)
        shelf.hash()
        causes = {
            row["path"]: row["cause"]
            for row in shelf.query(f"SELECT path, cause FROM file WHERE root_id = {root.id}")
        }
        assert shelf.problems() == {(causes[name], name) for name in refused}
        assert {name for name, cause in causes.items() if cause is not None} == refused
