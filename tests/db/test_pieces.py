"""Jobs that are handed out in pieces, on every database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.catalog.alone import alone
from registry.catalog.engine import Catalog
from registry.catalog.jobs import add_line, cancel_job, delete_job, get_job, lines_of, list_jobs
from registry.catalog.pieces import (
    CANCELLED,
    DONE,
    FAILED,
    NewJob,
    NewPiece,
    Share,
    any_live,
    beat,
    counts,
    drop_pieces,
    end_piece,
    held,
    leave,
    orphans_back,
    peek,
    pieces_of,
    put_back,
    queue_job,
    retry_job,
    settle,
    stop_job,
    take,
)
from registry.errors import BadRequest, Conflict, NotFound

if TYPE_CHECKING:
    from registry.catalog.engine import Unit
    from tests.support.library import Clock

SHARE = Share("draw", "m")


def queued(unit: Unit, keys: str, *, fits: str = "a", kind: str = "draw", **options: object) -> int:
    pieces = [NewPiece(key, fits, {"n": key}) for key in keys]
    return queue_job(unit, NewJob(kind, f"{kind}{keys}{fits}", pieces, "letters", machine="m", **options))  # type: ignore[arg-type]


def taken(unit: Unit, most: int = 10, batch: str = "b") -> list[tuple[int, int]]:
    return [(piece.job_id, piece.place) for piece in take(unit, SHARE, most, "m:1:x", batch)]


def test_pieces_are_taken_by_priority_then_age_and_those_that_fit_together(catalog: Catalog) -> None:
    with catalog.write() as unit:
        old = queued(unit, "ab")
        other = queued(unit, "c", fits="b")
        young = queued(unit, "bd")
        queued(unit, "z", kind="cook")
        urgent = queued(unit, "e", fits="c", priority=3)
        assert [piece.key for piece in peek(unit.conn, SHARE, 10, unit.now)] == ["e"]
        assert taken(unit) == [(urgent, 0)]
        # `b` is asked for twice and done once.
        assert taken(unit, 2) == [(old, 0), (old, 1)]
        assert taken(unit) == [(other, 0)]
        assert taken(unit) == [(young, 1)]
        assert taken(unit) == []
    with catalog.read() as conn:
        assert get_job(conn, old).state == "running"
        assert [piece.spec for piece in pieces_of(conn, old)] == [{"n": "a"}, {"n": "b"}]
        assert [piece.place for piece in pieces_of(conn, old, after=0)] == [1]


def test_what_is_put_back_waits_its_time_and_is_tried_alone_after_two_failures(
    catalog: Catalog, clock: Clock
) -> None:
    with catalog.write() as unit:
        job_id = queued(unit, "ab")
        assert len(taken(unit)) == 2
        put_back(unit, [(job_id, 0)], "b", seconds=5, tried=True)
        assert taken(unit) == []
    clock.now += 5000
    with catalog.write() as unit:
        put_back(unit, [(job_id, 1)], "b")
        assert taken(unit) == [(job_id, 0), (job_id, 1)]
        put_back(unit, [(job_id, 0), (job_id, 1)], "b", tried=True)
        assert taken(unit) == [(job_id, 0)]


def test_a_job_ends_with_its_last_piece_and_says_what_came_of_them(catalog: Catalog) -> None:
    with catalog.write() as unit:
        good, bad = queued(unit, "abc"), queued(unit, "x")
        assert len(taken(unit)) == 4
        end_piece(unit, (good, 0), "b", DONE)
        end_piece(unit, (good, 1), "b", FAILED, slug="nan", error="odd \x00 name")
        beat(unit, SHARE)
        assert settle(unit, SHARE) == []
        assert get_job(unit.conn, good).done == 2
        end_piece(unit, (good, 2), "b", DONE, slug="flat")
        end_piece(unit, (bad, 0), "b", FAILED, slug="no-base", error="none")
        assert sorted(settle(unit, SHARE)) == [good, bad]
    with catalog.read() as conn:
        assert (get_job(conn, good).state, get_job(conn, good).result) == ("done", {"done": 2, "failed": 1})
        failed = get_job(conn, bad)
        assert (failed.state, failed.slug, failed.error) == ("failed", "no-base", "none")
        assert pieces_of(conn, good)[1].error == "odd ␀ name"
        assert not any_live(conn, SHARE)


def test_a_cancelled_job_gives_up_all_and_what_comes_later_changes_nothing(catalog: Catalog) -> None:
    with catalog.write() as unit:
        job_id = queued(unit, "abc")
        assert taken(unit, 2) == [(job_id, 0), (job_id, 1)]
        cancel_job(unit, job_id)
        assert held(unit.conn, [(job_id, 0), (job_id, 1)], "b") == set()
        drop_pieces(unit, SHARE)
        end_piece(unit, (job_id, 0), "b", DONE)
        put_back(unit, [(job_id, 1)], "b")
        settle(unit, SHARE)
        assert counts(unit.conn, [job_id]) == {job_id: {CANCELLED: 3}}
        assert get_job(unit.conn, job_id).state == "cancelled"
        assert retry_job(unit, job_id) == 3
        assert taken(unit, 1) == [(job_id, 0)]


def test_a_job_that_was_not_begun_is_cancelled_at_once(catalog: Catalog) -> None:
    with catalog.write() as unit:
        job_id = queued(unit, "ab")
        stop_job(unit, job_id)
        assert get_job(unit.conn, job_id).state == "cancelled"
        with pytest.raises(NotFound):
            stop_job(unit, job_id)


def test_what_a_dead_process_left_is_taken_again(catalog: Catalog) -> None:
    with catalog.write() as unit:
        job_id = queued(unit, "ab")
        assert len(taken(unit)) == 2
        assert orphans_back(unit, SHARE) == 2
        assert len(taken(unit)) == 2
        assert pieces_of(unit.conn, job_id)[0].attempts == 0


def test_a_job_has_an_end_of_its_time(catalog: Catalog, clock: Clock) -> None:
    with catalog.write() as unit:
        job_id = queued(unit, "abc", ends_at=clock.now + 10)
        assert taken(unit, 1) == [(job_id, 0)]
    clock.now += 10
    with catalog.write() as unit:
        assert taken(unit) == []
        drop_pieces(unit, SHARE)
        assert held(unit.conn, [(job_id, 0), (job_id, 1)], "b") == {(job_id, 0)}
        assert held(unit.conn, [(job_id, 0)], "another") == set()
        end_piece(unit, (job_id, 0), "b", DONE)
        settle(unit, SHARE)
        assert get_job(unit.conn, job_id).result == {"done": 1, "left": 2}
        retry_job(unit, job_id)
        assert len(taken(unit)) == 2


def test_lines_are_kept_up_to_a_number_and_go_with_their_job(catalog: Catalog) -> None:
    with catalog.write() as unit:
        job_id = queued(unit, "a")
        for number in range(210):
            add_line(unit, job_id, f"line {number}")
        with pytest.raises(Conflict):
            delete_job(unit, job_id)
        stop_job(unit, job_id)
        assert len(lines_of(unit.conn, job_id)) == 200
        delete_job(unit, job_id)
        assert list_jobs(unit.conn) == []
        with pytest.raises(NotFound):
            delete_job(unit, job_id)


def test_jobs_that_cannot_be_done_again_say_so(catalog: Catalog) -> None:
    with catalog.write() as unit:
        job_id = queued(unit, "a")
        with pytest.raises(Conflict):
            retry_job(unit, job_id)
        taken(unit)
        end_piece(unit, (job_id, 0), "b", DONE)
        settle(unit, SHARE)
        with pytest.raises(BadRequest):
            retry_job(unit, job_id)
        with pytest.raises(BadRequest):
            queued(unit, "")


def test_a_right_is_held_by_one_at_a_time(catalog: Catalog, database_url: str) -> None:
    other = Catalog(database_url)
    try:
        with alone(catalog, "drawing"):
            with pytest.raises(Conflict), alone(other, "drawing"):
                pass
            with alone(other, "singing"):
                pass
        with alone(other, "drawing"):
            pass
    finally:
        other.close()


def test_a_batch_that_was_given_up_ends_nothing_of_the_next_one(catalog: Catalog) -> None:
    with catalog.write() as unit:
        job_id = queued(unit, "a")
        assert taken(unit, batch="first") == [(job_id, 0)]
        leave(unit, [(job_id, 0)], "first")
        assert get_job(unit.conn, job_id).state == "queued"
        assert taken(unit, batch="second") == [(job_id, 0)]
        end_piece(unit, (job_id, 0), "first", FAILED)
        put_back(unit, [(job_id, 0)], "first", tried=True)
        assert pieces_of(unit.conn, job_id)[0].state == "running"
        end_piece(unit, (job_id, 0), "second", DONE)
        put_back(unit, [(job_id, 0)], "second")
        assert pieces_of(unit.conn, job_id)[0].state == "done"


def test_each_machine_takes_what_was_asked_for_there(catalog: Catalog) -> None:
    with catalog.write() as unit:
        here = queued(unit, "a")
        assert take(unit, Share("draw", "other"), 10, "other:1:x", "b") == []
        assert orphans_back(unit, Share("draw", "other")) == 0
        assert taken(unit) == [(here, 0)]
