from __future__ import annotations

import pytest

from registry.ingest.throttle import Throttle, within_hours


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


def test_reading_takes_as_long_as_the_limit_says() -> None:
    time = Time()
    throttle = Throttle(1000, time, time.sleep)
    for _ in range(4):
        throttle(500)
    assert time.now == pytest.approx(102.0)


def test_time_that_passed_unused_is_not_saved_up() -> None:
    time = Time()
    throttle = Throttle(1000, time, time.sleep)
    time.now += 60
    throttle(500)
    throttle(500)
    assert time.now == pytest.approx(161.0)


def test_without_a_limit_nobody_waits() -> None:
    time = Time()
    Throttle(0, time, time.sleep)(10**12)
    assert time.naps == []


def test_a_long_wait_ends_soon_when_nobody_wants_the_bytes() -> None:
    time = Time()
    throttle = Throttle(1, time, time.sleep)
    throttle(3600, lambda: time.now > 101)
    assert time.now < 102


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ((22, 7), (22, 23, 0, 6), (7, 12, 21)),
        ((9, 17), (9, 16), (8, 17, 23)),
        ((0, 24), (0, 12, 23), ()),
        ((5, 5), (0, 5, 23), ()),
        (None, (0, 12, 23), ()),
    ],
)
def test_hours_may_pass_midnight(
    hours: tuple[int, int] | None, inside: tuple[int, ...], outside: tuple[int, ...]
) -> None:
    assert all(within_hours(hours, hour) for hour in inside)
    assert not any(within_hours(hours, hour) for hour in outside)
