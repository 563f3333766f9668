"""Batches on a real Dask cluster in processes of its own, whose workers and scheduler are killed."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from registry.catalog.alone import alone
from registry.catalog.engine import Catalog
from registry.catalog.jobs import lines_of
from registry.catalog.migrate import ensure_schema
from registry.catalog.pieces import stop_job
from registry.errors import BadRequest, CannotDraw, OutboundError
from registry.work.cluster import Cluster, Scheduler, seats
from registry.work.dispatcher import Dispatcher
from tests.support.work_cluster import FUNCTION, SLOW, cluster
from tests.support.work_doubling import LIMIT, Doubling, ended, job, queue, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.support.work_cluster import Processes

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are killed")


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with cluster(tmp_path_factory.mktemp("dask"), 2) as found:
        until(lambda: Scheduler(found.address).count() == 2)
        yield found


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(f"sqlite:///{(tmp_path / 'catalog.sqlite3').as_posix()}")
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    yield catalog
    catalog.close()


def dispatcher(catalog: Catalog, trade: Doubling, workers: Sequence[Cluster]) -> Dispatcher:
    found = Dispatcher(catalog, trade, workers, "m", partial(alone, catalog, "double"), back_off=(0.0,))
    catalog.on_commit(found.wake)
    return found


def done(dask: Processes, job: str) -> Counter[str]:
    """How often each number of a job was doubled anywhere."""
    found = (dask.folder / "done").read_text(encoding="ascii").split()
    return Counter(key for key in found if key.startswith(job))


def test_batches_are_carried_out_side_by_side(catalog: Catalog, dask: Processes) -> None:
    # One that another test killed may just be starting again.
    until(lambda: Scheduler(dask.address).count() == 2)
    workers = seats(dask.address, function=FUNCTION)
    assert len(workers) == 2
    jobs = [queue(catalog, [1, 2, 3], fits="p"), queue(catalog, [4, 5], fits="q")]
    trade = Doubling()
    with running(dispatcher(catalog, trade, workers)):
        until(lambda: ended(catalog, *jobs))
    assert trade.found == {"p1": 2, "p2": 4, "p3": 6, "q4": 8, "q5": 10}
    assert done(dask, "p") == Counter(["p1", "p2", "p3"])
    assert [job(catalog, each).state for each in jobs] == ["done", "done"]


def test_a_killed_worker_loses_and_doubles_nothing(catalog: Catalog, dask: Processes) -> None:
    slow = dask.folder / "kslow.slow"
    stuck, beside = queue(catalog, [SLOW], fits="k"), queue(catalog, [1, 2], fits="k")
    other = queue(catalog, [7, 8], fits="l")
    trade = Doubling()
    with running(dispatcher(catalog, trade, seats(dask.address, function=FUNCTION))):
        until(slow.exists)
        pid = int(slow.read_text(encoding="ascii"))
        slow.unlink()
        os.kill(pid, signal.SIGKILL)
        until(slow.exists)
        assert int(slow.read_text(encoding="ascii")) != pid
        with catalog.write() as unit:
            stop_job(unit, stuck)
        until(lambda: ended(catalog, stuck, beside, other))
    assert trade.found == {"k1": 2, "k2": 4, "l7": 14, "l8": 16}
    assert Counter(trade.received) == Counter(["k1", "k2", "l7", "l8"])
    assert [job(catalog, each).state for each in (stuck, beside, other)] == ["cancelled", "done", "done"]
    with catalog.read() as conn:
        assert "a batch of 3 failed: what carried it out stopped" in [
            line.text for line in lines_of(conn, beside)
        ]


def test_a_cancelled_piece_ends_and_those_beside_it_are_done(catalog: Catalog, dask: Processes) -> None:
    slow, quick = queue(catalog, [SLOW], fits="c"), queue(catalog, [1, 2], fits="c")
    trade = Doubling()
    handing = dispatcher(catalog, trade, seats(dask.address, function=FUNCTION))
    with running(handing):
        until((dask.folder / "cslow.slow").exists)
        with catalog.write() as unit:
            stop_job(unit, slow)
        until(lambda: ended(catalog, slow, quick))
    assert (job(catalog, slow).state, job(catalog, quick).state) == ("cancelled", "done")
    assert trade.found == {"c1": 2, "c2": 4}


def test_steps_are_told(catalog: Catalog, dask: Processes) -> None:
    job_id = queue(catalog, [1, 2, SLOW], fits="s")
    handing = dispatcher(catalog, Doubling(), seats(dask.address, function=FUNCTION))

    def told() -> list[object]:
        batches = handing.told()["batches"]
        assert isinstance(batches, list)
        return [(each["step"], each["steps"]) for each in batches]

    with running(handing):
        until(lambda: told() == [(2, 3)])
        with catalog.write() as unit:
            stop_job(unit, job_id)
        until(lambda: ended(catalog, job_id))


def test_a_batch_ends_on_its_worker_once_nobody_waits_for_it(catalog: Catalog, dask: Processes) -> None:
    queue(catalog, [SLOW], fits="g")
    with running(dispatcher(catalog, Doubling(), seats(dask.address, function=FUNCTION))):
        until((dask.folder / "gslow.slow").exists)
    until((dask.folder / "gslow.left").exists)


def test_a_lost_scheduler_is_waited_for(catalog: Catalog, tmp_path: Path) -> None:
    folder = tmp_path / "lost"
    folder.mkdir()
    with cluster(folder, 1) as dask:
        until(lambda: Scheduler(dask.address).count() == 1)
        (worker,) = seats(dask.address, function=FUNCTION, seconds=1.0)
        handed = worker.begin(f'[["x", "{SLOW}"]]')
        until((folder / "x.slow").exists)
        dask.kill_scheduler()
        assert isinstance(handed.future.exception(LIMIT), OutboundError)
        with pytest.raises(OutboundError, match="does not answer"):
            worker.begin("[]")
        job_id, trade = queue(catalog, [1]), Doubling()
        with running(dispatcher(catalog, trade, [worker])):
            dask.start_scheduler()
            dask.start_workers(1)
            until(lambda: ended(catalog, job_id))
    assert trade.found == {"a1": 2}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://192.0.2.1:8786", "without encryption"),
        ("tcp://scheduler.example:8786", "without encryption"),
        ("ucx://127.0.0.1:8786", "no address"),
        ("127.0.0.1:8786", "no address"),
        ("tls://scheduler.example", "no address"),
        ("tls://scheduler.example:8786", "three files"),
    ],
)
def test_a_scheduler_is_reached_with_certificates_or_within_this_machine(address: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said) as refused:
        Scheduler(address)
    assert refused.value.remedy


def test_certificates_have_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no certificate"):
        Scheduler("tls://scheduler.example:8786", f"{tmp_path}/ca.pem,{tmp_path}/cert.pem,{tmp_path}/key.pem")


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(CannotDraw) as refused:
        Scheduler("tcp://127.0.0.1:8786")
    assert "lora-registry[dask]" in refused.value.remedy


def test_where_nobody_answers_there_is_one_seat() -> None:
    assert len(seats("tcp://127.0.0.1:1", function=FUNCTION, seconds=0.5)) == 1
