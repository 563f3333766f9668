"""Handing out pieces of jobs to a real child process, with real rows."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from registry.catalog.alone import alone
from registry.catalog.engine import Catalog
from registry.catalog.jobs import lines_of
from registry.catalog.migrate import ensure_schema
from registry.catalog.pieces import NewJob, NewPiece, pieces_of, queue_job, retry_job, stop_job
from registry.errors import Conflict
from registry.work.dispatcher import DIED, Dispatcher, Packed
from registry.work.executors import Child, Thread
from tests.support import work_child
from tests.support.work_doubling import LIMIT, Doubling, ended, job, queue, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from registry.views import PieceView
    from registry.work.executors import Worker
    from registry.work.lines import Line


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(f"sqlite:///{(tmp_path / 'catalog.sqlite3').as_posix()}")
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    yield catalog
    catalog.close()


def states(catalog: Catalog, job_id: int) -> list[tuple[str, str | None]]:
    with catalog.read() as conn:
        return [(piece.state, piece.slug) for piece in pieces_of(conn, job_id)]


def child(folder: Path) -> Child:
    return Child("tests.support.work_child", json.dumps({"folder": str(folder)}))


def dispatcher(catalog: Catalog, trade: Doubling, worker: Worker) -> Dispatcher:
    found = Dispatcher(catalog, trade, [worker], "m", partial(alone, catalog, "double"), back_off=(0.0,))
    catalog.on_commit(found.wake)
    return found


def test_pieces_of_several_jobs_that_fit_are_done_together_and_each_once(
    catalog: Catalog, tmp_path: Path
) -> None:
    first = queue(catalog, [1, 2, 3])
    other = queue(catalog, [7], fits="b")
    second = queue(catalog, [3, 4])
    urgent = queue(catalog, [9], fits="c", priority=5)
    trade = Doubling()
    with running(dispatcher(catalog, trade, child(tmp_path))):
        until(lambda: ended(catalog, first, other, second, urgent))
    # The second 3 is the same work as the first: it ends without being done again.
    assert trade.batches == [[9], [1, 2, 3, 4], [7]]
    assert trade.found == {"a1": 2, "a2": 4, "a3": 6, "a4": 8, "b7": 14, "c9": 18}
    assert Counter((tmp_path / "done").read_text().split()) == Counter(trade.found.keys())
    found = job(catalog, second)
    assert (found.state, found.done, found.total, found.result) == ("done", 2, 2, {"done": 2})
    # What is next then: the two that are left of these, and the other.
    assert trade.ahead[0] == 4
    assert job(catalog, other).done == 1


def test_what_kills_its_process_is_found_and_fails_alone(catalog: Catalog, tmp_path: Path) -> None:
    job_id = queue(catalog, [1, work_child.DEADLY, 2])
    trade = Doubling()
    with running(dispatcher(catalog, trade, child(tmp_path))):
        until(lambda: ended(catalog, job_id))
    assert states(catalog, job_id) == [("done", None), ("failed", DIED), ("done", None)]
    assert trade.found == {"a1": 2, "a2": 4}
    assert job(catalog, job_id).state == "done"
    with catalog.read() as conn:
        assert [line.text for line in lines_of(conn, job_id)][-1].startswith("piece 1 failed")


def test_a_child_that_is_killed_once_costs_nothing(catalog: Catalog, tmp_path: Path) -> None:
    job_id = queue(catalog, [1, work_child.SLOW, 2])
    trade = Doubling()
    with running(dispatcher(catalog, trade, child(tmp_path))):
        until((tmp_path / "slow").exists)
        pid = int((tmp_path / "slow").read_text())
        (tmp_path / "slow").unlink()
        os.kill(pid, signal.SIGKILL)
        until((tmp_path / "slow").exists)
        with catalog.write() as unit:
            stop_job(unit, job_id)
        until(lambda: ended(catalog, job_id))
    assert job(catalog, job_id).state == "cancelled"


def test_a_cancelled_job_leaves_its_batch_and_the_others_go_on(catalog: Catalog, tmp_path: Path) -> None:
    slow, quick = queue(catalog, [work_child.SLOW]), queue(catalog, [1, 2])
    trade = Doubling()
    with running(dispatcher(catalog, trade, child(tmp_path))):
        until((tmp_path / "slow").exists)
        with catalog.write() as unit:
            stop_job(unit, slow)
        until(lambda: ended(catalog, slow, quick))
    assert states(catalog, slow) == [("cancelled", None)]
    assert job(catalog, slow).state == "cancelled"
    assert trade.batches == [[work_child.SLOW, 1, 2]]
    assert trade.found == {"a1": 2, "a2": 4}


def test_a_dispatcher_that_stops_in_the_middle_leaves_all_to_the_next_one(
    catalog: Catalog, tmp_path: Path
) -> None:
    job_id = queue(catalog, [1, work_child.SLOW, 2])
    with running(dispatcher(catalog, Doubling(), child(tmp_path))):
        until((tmp_path / "slow").exists)
    assert {state for state, _ in states(catalog, job_id)} == {"waiting"}
    assert job(catalog, job_id).state == "queued"
    trade = Doubling()
    with running(dispatcher(catalog, trade, child(tmp_path))):
        until((tmp_path / "slow").exists)
        with catalog.write() as unit:
            stop_job(unit, job_id)
        until(lambda: ended(catalog, job_id))
    # What a killed dispatcher left running is taken up in the same way.
    with catalog.write() as unit:
        assert retry_job(unit, job_id) == 3


def test_two_dispatchers_do_not_hand_out_at_once(catalog: Catalog, tmp_path: Path) -> None:
    queue(catalog, [work_child.SLOW])
    first = dispatcher(catalog, Doubling(), child(tmp_path))
    with running(first):
        until((tmp_path / "slow").exists)
        with pytest.raises(Conflict):
            dispatcher(catalog, Doubling(), child(tmp_path)).run(lambda: False)


def test_what_was_cancelled_can_be_done_again(catalog: Catalog, tmp_path: Path) -> None:
    job_id = queue(catalog, [1, 2])
    with catalog.write() as unit:
        stop_job(unit, job_id)
    found = job(catalog, job_id)
    assert (found.state, found.result) == ("cancelled", {"cancelled": 2})
    with catalog.write() as unit:
        retry_job(unit, job_id)
    trade = Doubling()
    with running(dispatcher(catalog, trade, child(tmp_path))):
        until(lambda: ended(catalog, job_id))
    assert trade.found == {"a1": 2, "a2": 4}


def test_what_has_no_time_left_is_left(catalog: Catalog, tmp_path: Path) -> None:
    past = catalog.clock() - 1
    job_id = queue(catalog, [1, 2], ends_at=past)
    with running(dispatcher(catalog, Doubling(), child(tmp_path))):
        until(lambda: ended(catalog, job_id))
    assert (job(catalog, job_id).state, job(catalog, job_id).result) == ("done", {"left": 2})


def test_whoever_is_busy_is_asked_again_and_nothing_is_counted_against_a_piece(catalog: Catalog) -> None:
    job_id = queue(catalog, [3])
    answers = iter([{"busy": "somebody is at it"}] * 5)

    def draw(spec: str, line: Line) -> str:
        del line
        ((key, number),) = json.loads(spec)
        return json.dumps(next(answers, {key: number * 2}))

    trade = Doubling()
    handing = dispatcher(catalog, trade, Thread(draw))
    with running(handing):
        until(lambda: ended(catalog, job_id))
        assert handing.told()["waits_for"] is None
    assert trade.found == {"a3": 6}
    assert len(trade.batches) == 6


def test_a_batch_that_fails_again_and_again_is_given_up(catalog: Catalog) -> None:
    job_id = queue(catalog, [3])

    def draw(_spec: str, _line: Line) -> str:
        raise ZeroDivisionError("by zero")

    with running(dispatcher(catalog, Doubling(), Thread(draw))):
        until(lambda: ended(catalog, job_id))
    found = job(catalog, job_id)
    assert (found.state, found.error, found.slug) == ("failed", "by zero", DIED)


def test_a_trade_that_fails_costs_its_pieces_and_nobody_else(catalog: Catalog) -> None:
    class Odd(Doubling):
        def pack(self, batch_id: str, taken: Sequence[PieceView], soon: Sequence[PieceView]) -> Packed:
            if any(piece.spec == "odd" for piece in taken):
                raise TypeError("this version does not know that")
            return super().pack(batch_id, taken, soon)

    odd, good = queue(catalog, ["odd"], fits="odd", priority=3), queue(catalog, [3])
    with running(dispatcher(catalog, Odd(), Thread(doubled))):
        until(lambda: ended(catalog, odd, good))
    assert (job(catalog, odd).state, job(catalog, odd).error) == ("failed", "this version does not know that")
    assert job(catalog, good).state == "done"


def doubled(spec: str, _line: Line) -> str:
    return json.dumps({key: 2 * number for key, number in json.loads(spec)})


def test_what_was_cancelled_and_asked_for_again_is_not_ended_by_the_batch_before(catalog: Catalog) -> None:
    job_id = queue(catalog, [1, 2])
    begun, go_on = threading.Event(), threading.Event()

    def slow(spec: str, line: Line) -> str:
        if begun.is_set():
            return doubled(spec, line)
        begun.set()
        assert go_on.wait(LIMIT)
        return json.dumps({})

    trade = Doubling()
    handing = Dispatcher(
        catalog, trade, [Thread(slow), Thread(slow)], "m", partial(alone, catalog, "double"), back_off=(0.0,)
    )
    with running(handing):
        assert begun.wait(LIMIT)
        with catalog.write() as unit:
            stop_job(unit, job_id)
        until(lambda: ended(catalog, job_id))
        with catalog.write() as unit:
            retry_job(unit, job_id)
        until(lambda: ended(catalog, job_id))
        go_on.set()
        until(lambda: not handing.is_busy())
    assert states(catalog, job_id) == [("done", None), ("done", None)]
    assert job(catalog, job_id).result == {"done": 2}


def test_a_running_job_hears_of_its_end_also_when_another_is_cancelled_with_it(
    catalog: Catalog, tmp_path: Path
) -> None:
    slow = queue(catalog, [work_child.SLOW])
    with running(dispatcher(catalog, Doubling(), child(tmp_path))):
        until((tmp_path / "slow").exists)
        waiting = queue(catalog, [1])
        with catalog.write() as unit:
            stop_job(unit, slow)
            stop_job(unit, waiting)
        until(lambda: ended(catalog, slow, waiting))
        # The worker is free for others again.
        other = queue(catalog, [5])
        until(lambda: ended(catalog, other))
    assert job(catalog, other).state == "done"


def test_waiting_for_a_worker_writes_little(catalog: Catalog) -> None:
    queue(catalog, [3])
    commits, go_on = Counter[str](), threading.Event()
    catalog.on_commit(lambda: commits.update(["commit"]))

    def slow(spec: str, line: Line) -> str:
        assert go_on.wait(LIMIT)
        return doubled(spec, line)

    handing = dispatcher(catalog, Doubling(), Thread(slow))
    with running(handing):
        until(handing.is_busy)
        before = commits["commit"]
        threading.Event().wait(1.0)
        assert commits["commit"] - before <= 4
        go_on.set()


def test_only_what_was_asked_for_on_this_machine_is_handed_out(catalog: Catalog) -> None:
    with catalog.write() as unit:
        pieces = [NewPiece("k", "a", 1)]
        other = queue_job(unit, NewJob("double", "k", pieces, "numbers", machine="elsewhere"))
    here = queue(catalog, [2])
    trade = Doubling()
    with running(dispatcher(catalog, trade, Thread(doubled))):
        until(lambda: ended(catalog, here))
    assert job(catalog, other).state == "queued"
    assert trade.found == {"a2": 4}
