from __future__ import annotations

import signal
import threading

import pytest

from cli.interrupt import stopping_with
from registry.errors import Cancelled


def test_the_first_interrupt_asks_the_work_to_stop() -> None:
    stop = threading.Event()

    def work() -> None:
        signal.raise_signal(signal.SIGINT)
        if stop.wait(10):
            raise Cancelled("stopped")

    with pytest.raises(KeyboardInterrupt), stopping_with(stop.set):
        work()


def test_a_second_interrupt_breaks_the_work_off() -> None:
    def work() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), stopping_with(lambda: None):
        work()


def test_work_that_ended_all_the_same_is_kept() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping_with(lambda: None):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_being_cancelled_by_somebody_else_is_not_an_interrupt() -> None:
    with pytest.raises(Cancelled), stopping_with(lambda: None):
        raise Cancelled("by another process")
