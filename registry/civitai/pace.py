"""How fast a service is asked: as fast as it likes, and much slower once it says that this is too fast."""

from __future__ import annotations

import datetime as dt
import threading
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_SECONDS: Final = 0.25
LEAST_SECONDS: Final = 0.1
MOST_SECONDS: Final = 30.0
LONGEST_WAIT: Final = 300.0
"""Whatever a service asks for, a run waits no longer than that at once."""
_FASTER: Final = 0.95


class Pace:
    """The time between two requests to one service, shared by all threads that ask it."""

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], object]) -> None:
        self.seconds = FIRST_SECONDS
        self._clock = clock
        self._sleep = sleep
        self._turn = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Wait for the next turn."""
        with self._turn:
            now = self._clock()
            pause = self._next - now
            self._next = max(now, self._next) + self.seconds
        if pause > 0:
            self._sleep(pause)

    def went_well(self) -> None:
        """Go a little faster from now on."""
        with self._turn:
            self.seconds = max(LEAST_SECONDS, self.seconds * _FASTER)

    def too_fast(self) -> None:
        """Go half as fast from now on."""
        with self._turn:
            self.seconds = min(MOST_SECONDS, self.seconds * 2)


def asked_to_wait(retry_after: str | None, now: dt.datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, section 10.2.3), `None` for none."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=dt.UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT)


def backed_off(attempt: int, chance: float) -> float:
    """Return how long to wait after so many failed attempts; `chance` in [0, 1) keeps clients apart."""
    return min(MOST_SECONDS, 2.0**attempt) * (0.5 + chance / 2)
