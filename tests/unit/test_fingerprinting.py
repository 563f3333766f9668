"""Measuring a folder of real files, and finding what is like what."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from registry.catalog.fingerprints import count_due, fingerprint_of
from registry.catalog.lookup import resolve
from registry.errors import Cancelled, NotFound, ReaderFailed
from registry.fingerprinting import FINGERPRINT, Fingerprinting
from registry.ingest.fingerprints import Bench
from registry.ingest.measuring import MeasureTask, Weighed, measure
from registry.ingest.workers import Deriver
from registry.lora.fingerprint import VERSION
from tests.support.adapters import ENCODER, QUERY, cast, diff, lora, numbers, written
from tests.support.shelf import Shelf, later, open_shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.adapters import Arrays

BASE = lora(rows=320, columns=320, rank=8)


def moved(arrays: Arrays, share: float, seed: int) -> Arrays:
    return {
        name: array + np.float32(share) * array.std() * numbers(*array.shape, seed=seed, size=1.0)
        if array.ndim
        else array
        for name, array in arrays.items()
    }


def kin(folder: Path) -> None:
    """An adapter with relatives of every kind, and one that has nothing to do with it."""
    other = lora(rows=320, columns=320, rank=8, seed=50)
    written(folder / "base.safetensors", BASE)
    written(folder / "half.safetensors", cast(BASE, np.float16))
    written(folder / "weaker.safetensors", {**BASE, f"{QUERY}.alpha": np.full((), 0.5, np.float32)})
    written(folder / "epoch.safetensors", moved(BASE, 0.1, 7))
    written(folder / "other.safetensors", other)
    halves = [0.5 * each[f"{QUERY}.lora_up.weight"] for each in (BASE, other)]
    downs = [each[f"{QUERY}.lora_down.weight"] for each in (BASE, other)]
    both = {
        f"{QUERY}.lora_up.weight": np.concatenate(halves, axis=1),
        f"{QUERY}.lora_down.weight": np.concatenate(downs),
        f"{QUERY}.alpha": np.full((), 4, np.float32),
    }
    written(folder / "child.safetensors", both)


@contextmanager
def measured(place: Path, make: Callable[[Path], object]) -> Iterator[tuple[Shelf, Fingerprinting]]:
    """A shelf whose files are hashed and can be measured."""
    with open_shelf(place) as shelf:
        make(shelf.folder)
        shelf.scan()
        shelf.hash()
        fingerprinting = Fingerprinting(shelf.registry, lambda query: [id_of(shelf, query)])
        try:
            yield shelf, fingerprinting
        finally:
            fingerprinting.close()


def id_of(shelf: Shelf, name: str) -> int:
    with shelf.registry.catalog.read() as conn:
        return resolve(conn, name, shelf.registry.machine_id)


def left(shelf: Shelf) -> int:
    with shelf.registry.catalog.read() as conn:
        return count_due(conn, shelf.registry.machine_id, VERSION)


def test_all_are_measured_once_and_those_that_are_like_each_other_are_told(tmp_path: Path) -> None:
    with measured(tmp_path, kin) as (shelf, fingerprinting):
        assert fingerprinting.run() == {"measured": 6, "unsupported": 0, "unreadable": 0, "total": 6}
        assert fingerprinting.run()["total"] == 0
        assert fingerprinting.run(anew=True)["measured"] == 6
        assert fingerprinting.run("base", anew=True)["measured"] == 1

        found = fingerprinting.relatives(id_of(shelf, "base"))
        relations = {item.name: item.relation for item in found.items}
        assert relations == {
            "half": "other-precision",
            "weaker": "rescaled",
            "epoch": "near-epoch",
            "child": "family",
        }
        assert [item.cosine for item in found.items] == sorted((i.cosine for i in found.items), reverse=True)
        assert found.measured == 6
        assert not any(item.exact for item in found.items)

        child = fingerprinting.relatives(id_of(shelf, "child"))
        names = {item.id: item.name for item in child.items}
        assert len(child.parents) == 2
        assert "other" in [names[one] for one in child.parents]
        assert {item.name: item.relation for item in child.items}["other"] == "merge"


def test_exact_angles_are_those_of_the_files(tmp_path: Path) -> None:
    with measured(tmp_path, kin) as (shelf, fingerprinting):
        fingerprinting.run()
        found = fingerprinting.relatives(id_of(shelf, "base"), exact=True, limit=3)
        assert all(item.exact for item in found.items)
        assert found.items[0].cosine == pytest.approx(1.0, abs=1e-6)
        (shelf.folder / "half.safetensors").unlink()
        again = fingerprinting.relatives(id_of(shelf, "base"), exact=True, limit=3)
        assert {item.name: item.exact for item in again.items}["half"] is False


def test_parts_of_text_encoders_are_compared_beside(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        encoder = lora(ENCODER, rows=64, columns=64, rank=4)
        written(folder / "both.safetensors", {**BASE, **encoder})
        written(folder / "same.safetensors", cast({**BASE, **encoder}, np.float16))
        written(folder / "other.safetensors", {**BASE, **lora(ENCODER, rows=64, columns=64, seed=9)})
        written(folder / "without.safetensors", BASE)
        written(folder / "alone.safetensors", encoder)

    with measured(tmp_path, make) as (shelf, fingerprinting):
        fingerprinting.run()
        found = {item.name: item for item in fingerprinting.relatives(id_of(shelf, "both")).items}
        assert found["same"].relation == "other-precision"
        assert found["same"].te_cosine == pytest.approx(1.0, abs=1e-3)
        assert abs(found["other"].te_cosine or 1) < 0.3
        assert found["other"].relation == "unrelated"
        assert found["without"].te_cosine is None
        assert found["without"].relation == "family"
        assert fingerprinting.relatives(id_of(shelf, "alone")).items == ()


def test_what_cannot_be_measured_is_kept_as_that_and_not_tried_again(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        odd = {f"{QUERY}.lora_up.weight": numbers(12, 4, 3, 3), f"{QUERY}.lora_down.weight": numbers(4, 8)}
        written(folder / "odd.safetensors", odd)
        written(folder / "fine.safetensors", diff())

    with measured(tmp_path, make) as (shelf, fingerprinting):
        told = fingerprinting.run()
        assert (told["measured"], left(shelf)) == (2, 0)
        assert fingerprinting.fingerprint(id_of(shelf, "odd")).health == ("incomplete",)
        assert fingerprinting.fingerprint(id_of(shelf, "fine")).health == ("ok",)
        assert fingerprinting.relatives(id_of(shelf, "odd")).items == ()


def test_a_file_that_changed_or_went_is_left_for_another_time(tmp_path: Path) -> None:
    with measured(tmp_path, kin) as (shelf, fingerprinting):
        later(shelf.folder / "base.safetensors")
        (shelf.folder / "half.safetensors").unlink()
        told = fingerprinting.run()
        assert (told["measured"], told["unreadable"], left(shelf)) == (4, 2, 2)
        with pytest.raises(NotFound):
            fingerprinting.fingerprint(id_of(shelf, "half"))


def test_one_is_measured_when_somebody_looks_at_it(tmp_path: Path) -> None:
    with measured(tmp_path, kin) as (shelf, fingerprinting):
        found = fingerprinting.fingerprint(id_of(shelf, "base"))
        assert found.health == ("ok",)
        assert found.unet_norm > 0
        assert left(shelf) == 5
        assert fingerprinting.relatives(id_of(shelf, "half")).items[0].name == "base"


def test_it_is_done_when_nothing_else_is_to_be_done_and_only_if_wanted(tmp_path: Path) -> None:
    with measured(tmp_path, kin) as (shelf, fingerprinting):
        registry = shelf.registry
        registry.pause_hashing(paused=True)
        assert not fingerprinting.start_if_due()
        registry.pause_hashing(paused=False)
        registry.hashing.progress.files = 1
        assert not fingerprinting.start_if_due()
        registry.hashing.progress.files = 0
        assert fingerprinting.start_if_due()
        registry.jobs.stop()
        assert not fingerprinting.start_if_due()
        assert {job["kind"] for job in shelf.query("SELECT kind FROM job")} >= {FINGERPRINT}


def test_fingerprints_go_with_their_lora_and_sketches_follow(tmp_path: Path) -> None:
    with measured(tmp_path, kin) as (shelf, fingerprinting):
        fingerprinting.run()
        base, half = id_of(shelf, "base"), id_of(shelf, "half")
        assert fingerprinting.relatives(base).items[0].id == half
        with shelf.registry.catalog.write() as unit:
            unit.conn.exec_driver_sql(f"DELETE FROM fingerprint WHERE lora_id = {half}")
        names = [item.name for item in fingerprinting.relatives(base).items]
        assert "half" not in names
        written(shelf.folder / "again.safetensors", moved(BASE, 0.05, 3))
        shelf.scan()
        shelf.hash()
        fingerprinting.run()
        assert {"half", "again"} <= {item.name for item in fingerprinting.relatives(base).items}


def test_a_stop_keeps_what_was_measured(tmp_path: Path) -> None:
    with measured(tmp_path, kin) as (shelf, _):
        bench = Bench(shelf.registry.catalog, shelf.registry.machine_id, Deriver(0))
        bench.cancelled = lambda: bench.progress.measured == 2
        with pytest.raises(Cancelled):
            bench.run(shelf.registry.mounted_roots())
        assert left(shelf) == 4


class Dying(Deriver):
    """Child processes that die of every file of one name, and of others now and then."""

    def __init__(self, *, twice: bool) -> None:
        super().__init__(0)
        self._twice = twice

    def call(self, work: Any, asked: Any, cancelled: Any = None) -> Any:  # noqa: ARG002 - as it is there
        if "base" in str(asked.path):
            raise ReaderFailed("it died")
        return work(asked)

    def alone(self, work: Any, asked: Any, cancelled: Any = None) -> list[Any]:  # noqa: ARG002 - as above
        return [ReaderFailed("it died") if self._twice else work(each) for each in asked]


@pytest.mark.parametrize("twice", [False, True])
def test_a_file_that_kills_whoever_measures_it_is_told(tmp_path: Path, *, twice: bool) -> None:
    with measured(tmp_path, kin) as (shelf, _):
        bench = Bench(shelf.registry.catalog, shelf.registry.machine_id, Dying(twice=twice))
        done = bench.run(shelf.registry.mounted_roots())
        assert (done.measured, done.unsupported) == (6, int(twice))
        with shelf.registry.catalog.read() as conn:
            found = fingerprint_of(conn, id_of(shelf, "base"))
        assert found is not None
        assert found.health == (("unsupported",) if twice else ("ok",))
        assert ("hostile" in (found.problem or "")) is twice


class Failing(Deriver):
    """Child processes that fail over files of one name in a way that nobody thought of."""

    def call(self, work: Any, asked: Any, cancelled: Any = None) -> Any:  # noqa: ARG002 - as it is there
        if "base" in str(asked.path):
            raise ZeroDivisionError("nobody thought of that")
        return work(asked)


def test_a_failure_of_ours_over_one_file_is_told_and_ends_no_other(tmp_path: Path) -> None:
    with measured(tmp_path, kin) as (shelf, _):
        bench = Bench(shelf.registry.catalog, shelf.registry.machine_id, Failing(0))
        done = bench.run(shelf.registry.mounted_roots())
        assert (done.measured, done.unsupported) == (6, 1)
        with shelf.registry.catalog.read() as conn:
            found = fingerprint_of(conn, id_of(shelf, "base"))
        assert found is not None
        assert "ZeroDivisionError" in (found.problem or "")


def test_a_child_process_measures_as_this_one_does(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", BASE)
    stat = path.stat()
    task = MeasureTask(str(path), stat.st_size, stat.st_mtime_ns)
    deriver = Deriver(1)
    try:
        found: Weighed = deriver.call(measure, task)
    finally:
        deriver.close()
    assert found == measure(task)
    with pytest.raises(Cancelled, match="more than"):
        measure(task, seconds=-1)
