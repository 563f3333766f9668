"""Following how far jobs are, as the stream of events does, among very many that have ended."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from registry.api.events import Told
from registry.catalog.jobs import beat_job, delete_job, finish_job, newest_job, start_job
from registry.catalog.pieces import NewJob, NewPiece, queue_job, retry_job, stop_job
from registry.formats.packing import pack_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from registry.catalog.engine import Catalog, Unit

ENDED = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
INSERT INTO job
(kind, key, state, spec, priority, attempts, cancel, done, created_at, finished_at, webhook_tries)
SELECT 'render', CAST(i AS TEXT), 'done', :spec, 0, 1, 0, 1, 1, 2, 0 FROM n
"""


def end_many(catalog: Catalog, count: int) -> None:
    """Let there be many jobs that have ended."""
    with catalog.write() as unit:
        unit.conn.execute(text(ENDED), {"count": count, "spec": pack_json(None)})


def start(unit: Unit, key: str) -> int:
    return start_job(unit, "scan", key, "m:1:x")


def queue(unit: Unit, key: str) -> int:
    return queue_job(unit, NewJob("render", key, [NewPiece(key, "a", 1)], "a picture", machine="m"))


def told(catalog: Catalog, stream: Told) -> list[tuple[int, str, int]]:
    with catalog.read() as conn:
        return [(each.id, each.state, each.done) for each in stream.look(conn)]


def test_a_stream_begins_with_what_goes_on_however_old_it_is(catalog: Catalog) -> None:
    with catalog.write() as unit:
        old = start(unit, "old")
    end_many(catalog, 100)
    with catalog.write() as unit:
        waiting = queue(unit, "w")
    stream = Told()
    assert told(catalog, stream) == [(old, "running", 0), (waiting, "queued", 0)]
    assert told(catalog, stream) == []
    with catalog.write() as unit:
        beat_job(unit, old, 5, None)
    assert told(catalog, stream) == [(old, "running", 5)]
    with catalog.write() as unit:
        beat_job(unit, old, 5, 9)
    assert told(catalog, stream) == [(old, "running", 5)]
    with catalog.write() as unit:
        finish_job(unit, old, "done")
        stop_job(unit, waiting)
    assert told(catalog, stream) == [(old, "done", 5), (waiting, "cancelled", 1)]
    assert told(catalog, stream) == []


def test_a_job_that_begins_and_ends_between_two_looks_is_told_of_once(catalog: Catalog) -> None:
    stream = Told()
    assert told(catalog, stream) == []
    with catalog.write() as unit:
        short = start(unit, "short")
        finish_job(unit, short, "failed", error="so short")
    assert told(catalog, stream) == [(short, "failed", 0)]
    assert told(catalog, stream) == []


def test_a_job_that_is_done_again_is_told_of_again_and_one_that_is_forgotten_is_not(catalog: Catalog) -> None:
    with catalog.write() as unit:
        again, gone = queue(unit, "again"), start(unit, "gone")
        stop_job(unit, again)
    stream = Told()
    assert told(catalog, stream) == [(gone, "running", 0)]
    with catalog.write() as unit:
        retry_job(unit, again)
        finish_job(unit, gone, "done")
        delete_job(unit, gone)
    assert told(catalog, stream) == [(again, "queued", 0)]


def test_of_very_many_that_go_on_those_that_run_are_followed(catalog: Catalog) -> None:
    with catalog.write() as unit:
        waiting = [queue(unit, f"w{number}") for number in range(4)]
        running = start(unit, "r")
    stream = Told(most=3)
    begun = [*waiting[:2], running]
    assert [job for job, _, _ in told(catalog, stream)] == begun
    with catalog.write() as unit:
        finish_job(unit, running, "done")
        finish_job(unit, waiting[0], "done")
    # What is beyond them is told of when its turn comes.
    assert [job for job, _, _ in told(catalog, stream)] == [waiting[0], *waiting[2:], running]
    assert told(catalog, stream) == []


def test_what_was_told_of_as_going_on_is_told_of_when_it_ends_also_behind_very_many(catalog: Catalog) -> None:
    stream = Told(most=3)
    told(catalog, stream)
    with catalog.write() as unit:
        waiting = [queue(unit, f"w{number}") for number in range(6)]
    seen = told(catalog, stream) + told(catalog, stream) + told(catalog, stream)
    assert sorted(seen) == [(job, "queued", 0) for job in waiting]
    with catalog.write() as unit:
        for job in waiting[3:]:
            stop_job(unit, job)
    assert told(catalog, stream) == [(job, "cancelled", 1) for job in waiting[3:]]
    assert told(catalog, stream) == []


def test_of_very_many_new_ones_each_is_told_of_in_its_turn(catalog: Catalog) -> None:
    stream = Told(most=3)
    told(catalog, stream)
    assert not stream.full
    with catalog.write() as unit:
        first = start(unit, "first")
    end_many(catalog, 7)
    with catalog.write() as unit:
        last = start(unit, "last")
    looks: list[list[int]] = []
    while not looks or stream.full:
        looks.append([job for job, _, _ in told(catalog, stream)])
    assert max(map(len, looks)) <= 2 * 3
    assert sorted(job for look in looks for job in look) == list(range(first, last + 1))


@contextmanager
def asked(conn: Connection) -> Iterator[list[tuple[str, Any]]]:
    """Note which questions a database is asked."""
    found: list[tuple[str, Any]] = []

    def note(_conn: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        found.append((statement, values))

    event.listen(conn, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(conn, "before_cursor_execute", note)


@pytest.mark.parametrize("analysed", [False, True])
def test_what_has_ended_is_not_looked_through(catalog: Catalog, *, analysed: bool) -> None:
    if not catalog.sqlite and not analysed:
        pytest.skip("PostgreSQL plans by its statistics")
    with catalog.write() as unit:
        old = [start(unit, f"old {number}") for number in range(3)]
    end_many(catalog, 20_000)
    if analysed:
        with catalog.bare() as conn:
            conn.exec_driver_sql("ANALYZE")
            conn.commit()
    stream = Told()
    assert [job for job, _, _ in told(catalog, stream)] == old
    with catalog.write() as unit:
        finish_job(unit, old[0], "done")
    with catalog.read() as conn:
        with asked(conn) as questions:
            assert newest_job(conn) == old[-1] + 20_000
            assert [each.id for each in stream.look(conn)] == old[:1]
        plans = [_plan(catalog, conn, *question) for question in questions]
    assert len(plans) == 4
    assert [plan for plan in plans if "SCAN" in plan or "Seq Scan" in plan] == []


def _plan(catalog: Catalog, conn: Connection, statement: str, values: Any) -> str:
    explain = "EXPLAIN QUERY PLAN" if catalog.sqlite else "EXPLAIN"
    rows = conn.exec_driver_sql(f"{explain} {statement}", values).all()
    return f"{statement}\n" + "\n".join(str(row[-1]) for row in rows)
