"""How much guessing is slowed."""

from __future__ import annotations

from registry.api.throttle import FREE_FAILURES, LONGEST_WAIT, REMEMBERED, Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_wait_doubles_from_the_fourth_failure_up_to_a_minute() -> None:
    throttle = Throttle(Clock())
    waits = []
    for _ in range(FREE_FAILURES + 9):
        throttle.failed("a")
        waits.append(throttle.wait("a"))
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, LONGEST_WAIT, LONGEST_WAIT, LONGEST_WAIT]


def test_the_wait_is_over_when_its_time_is_and_a_success_forgets_all() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(5):
        throttle.failed("a")
    clock.now = 1.5
    assert throttle.wait("a") == 0.5
    clock.now = 2.0
    assert throttle.wait("a") == 0
    throttle.succeeded("a")
    throttle.failed("a")
    assert throttle.wait("a") == 0


def test_callers_do_not_slow_each_other_and_only_the_latest_are_remembered() -> None:
    throttle = Throttle(Clock())
    for _ in range(4):
        throttle.failed("first")
    assert (throttle.wait("first"), throttle.wait("second")) == (1, 0)
    for number in range(REMEMBERED):
        throttle.failed(str(number))
    assert throttle.wait("first") == 0
