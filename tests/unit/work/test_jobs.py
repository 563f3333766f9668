"""Jobs with real rows, in threads of this process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from registry.catalog.engine import Catalog
from registry.catalog.jobs import cancel_job, get_job, list_jobs, start_job
from registry.catalog.migrate import ensure_schema
from registry.errors import BadRequest, Cancelled, CatalogFull, Conflict
from registry.work.jobs import JobContext, Jobs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.views import JobView

LIMIT = 20.0


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(f"sqlite:///{(tmp_path / 'catalog.sqlite3').as_posix()}", busy_seconds=0.2)
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    yield catalog
    catalog.close()


@pytest.fixture
def jobs(catalog: Catalog) -> Iterator[Jobs]:
    jobs = Jobs(catalog, "m1")
    yield jobs
    jobs.stop()
    assert jobs.live() == []


def job(catalog: Catalog, job_id: int) -> JobView:
    with catalog.read() as conn:
        return get_job(conn, job_id)


def until_cancelled(context: JobContext) -> None:
    ended = threading.Event()
    while not ended.wait(0.01):
        if context.cancelled():
            raise Cancelled("stopped")


def test_a_job_leaves_its_result_and_progress_in_its_row(catalog: Catalog, jobs: Jobs) -> None:
    def body(context: JobContext) -> object:
        context.report(3, 7)
        return {"found": context.key}

    jobs.register("count", body)
    assert jobs.run("count", "x") == {"found": "x"}
    found = job(catalog, 1)
    assert (found.state, found.done, found.total, found.result) == ("done", 3, 7, {"found": "x"})


def test_an_unknown_kind_is_a_bad_request(jobs: Jobs) -> None:
    with pytest.raises(BadRequest):
        jobs.run("dance", "x")


def test_a_failure_is_raised_and_kept_in_the_row(catalog: Catalog, jobs: Jobs) -> None:
    def body(_context: JobContext) -> object:
        raise ZeroDivisionError("by zero")

    jobs.register("divide", body)
    with pytest.raises(ZeroDivisionError):
        jobs.run("divide", "x")
    assert (job(catalog, 1).state, job(catalog, 1).error) == ("failed", "by zero")


def test_the_same_job_runs_once_at_a_time_and_the_second_is_told_who_holds_it(jobs: Jobs) -> None:
    jobs.register("wait", until_cancelled, lambda key: f"the wait for {key}")
    first = jobs.start("wait", "x")
    said = f"^the wait for x is running already, in process {os.getpid()} on the machine m1$"
    with pytest.raises(Conflict, match=said) as refused:
        jobs.start("wait", "x")
    assert f"/api/v1/jobs/{first}/cancel" in refused.value.remedy
    jobs.start("wait", "y")
    assert len(jobs.live()) == 2


def test_of_several_jobs_none_is_started_where_one_cannot_be(catalog: Catalog, jobs: Jobs) -> None:
    jobs.register("wait", until_cancelled)
    first = jobs.start("wait", "b")
    with pytest.raises(Conflict, match="wait b is running already"):
        jobs.start_all("wait", ["a", "b", "c"])
    with catalog.read() as conn:
        assert [one.id for one in list_jobs(conn)] == [first]
    assert len(jobs.start_all("wait", ["a", "c"])) == 2
    assert sorted(context.key for context in jobs.live()) == ["a", "b", "c"]


def test_a_cancelled_job_stops_by_its_row_alone(catalog: Catalog, jobs: Jobs) -> None:
    ended = threading.Event()

    def body(context: JobContext) -> None:
        try:
            until_cancelled(context)
        finally:
            ended.set()

    jobs.register("wait", body)
    job_id = jobs.start("wait", "x")
    with catalog.write() as unit:
        cancel_job(unit, job_id)
    assert ended.wait(LIMIT)
    jobs.stop()
    assert job(catalog, job_id).state == "cancelled"


def test_stopping_ends_all_jobs_and_starts_no_more(catalog: Catalog, jobs: Jobs) -> None:
    jobs.register("wait", until_cancelled)
    ids = [jobs.start("wait", key) for key in "abc"]
    jobs.stop()
    assert {job(catalog, job_id).state for job_id in ids} == {"cancelled"}
    with pytest.raises(Cancelled):
        jobs.start("wait", "d")


@pytest.mark.parametrize(
    "owner", ["m1:999999999:abc", f"m1:{os.getpid()}:earlier"], ids=["gone", "an earlier start"]
)
def test_a_job_of_a_process_that_is_gone_is_taken_over(catalog: Catalog, jobs: Jobs, owner: str) -> None:
    if owner.startswith("m1:999999999") and os.name == "nt":
        pytest.skip("there only the heartbeat tells")
    with catalog.write() as unit:
        old = start_job(unit, "count", "x", owner)
    jobs.register("count", lambda _context: 1)

    assert jobs.run("count", "x") == 1

    assert job(catalog, old).state == "interrupted"


def test_a_job_of_another_machine_is_left_alone_while_its_heart_beats(catalog: Catalog, jobs: Jobs) -> None:
    with catalog.write() as unit:
        start_job(unit, "count", "x", "m2:1:abc")
    jobs.register("count", lambda _context: 1)
    with pytest.raises(Conflict):
        jobs.run("count", "x")


def test_a_job_that_was_taken_over_stops_and_leaves_the_row_alone(catalog: Catalog, jobs: Jobs) -> None:
    ended = threading.Event()

    def body(context: JobContext) -> None:
        with catalog.write() as unit:
            unit.conn.exec_driver_sql("UPDATE job SET state = 'interrupted', error = 'taken over'")
        try:
            until_cancelled(context)
        finally:
            ended.set()

    jobs.register("wait", body)
    job_id = jobs.start("wait", "x")
    assert ended.wait(LIMIT)
    jobs.stop()
    assert (job(catalog, job_id).state, job(catalog, job_id).error) == ("interrupted", "taken over")


def test_an_end_that_could_not_be_stored_is_stored_before_the_next_job(catalog: Catalog, jobs: Jobs) -> None:
    def limit_pages(count: int) -> None:
        with catalog.bare() as conn:
            conn.exec_driver_sql(f"PRAGMA max_page_count = {count}")

    def body(_context: JobContext) -> object:
        limit_pages(1)
        # More than the row has room for, on a disk that is full.
        return "x" * 100_000

    jobs.register("grow", body)
    jobs.register("count", lambda _context: 1)
    jobs.run("grow", "x")
    assert job(catalog, 1).state == "running"
    with pytest.raises(CatalogFull):
        jobs.run("count", "x")
    limit_pages(1_000_000)

    assert jobs.run("count", "x") == 1

    assert job(catalog, 1).state == "done"


def test_a_key_press_in_the_calling_thread_ends_the_job_as_cancelled(catalog: Catalog, jobs: Jobs) -> None:
    def body(_context: JobContext) -> object:
        raise KeyboardInterrupt

    jobs.register("wait", body)
    with pytest.raises(KeyboardInterrupt):
        jobs.run("wait", "x")
    assert job(catalog, 1).state == "cancelled"
