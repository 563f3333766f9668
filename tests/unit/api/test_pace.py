"""Holding callers to so many calls in a while."""

from __future__ import annotations

from registry.api.pace import REMEMBERED, Pace


def test_so_many_calls_are_taken_in_any_second() -> None:
    pace = Pace(2, 1000)
    assert [pace.wait("a", now) for now in (0, 600, 900, 999)] == [0, 0, 100, 1]
    assert pace.wait("b", 999) == 0
    assert [pace.wait("a", now) for now in (1000, 1001, 1600)] == [0, 599, 0]


def test_calls_that_are_refused_do_not_count() -> None:
    pace = Pace(1, 1000)
    assert [pace.wait("a", now) for now in (0, 999, 1000)] == [0, 1, 0]


def test_a_clock_that_is_put_back_locks_nobody_out() -> None:
    pace = Pace(1, 1000)
    assert [pace.wait("a", now) for now in (10_000, 5, 6)] == [0, 0, 999]


def test_the_latest_callers_are_remembered() -> None:
    pace = Pace(1, 1000)
    for number in range(REMEMBERED + 1):
        assert pace.wait(str(number), 0) == 0
    assert (pace.wait("1", 0), pace.wait("0", 0)) == (1000, 0)
