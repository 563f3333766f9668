"""When and how fast hashing may read: a speed limit shared by all readers, and hours of the day."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_NAP = 0.25


class Throttle:
    """Keeps all readers together under a number of bytes a second; 0 is no limit."""

    def __init__(
        self,
        bytes_per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    def __call__(self, count: int, stopped: Callable[[], bool] = lambda: False) -> None:
        """Wait until `count` more bytes may be read, or `stopped` says that nobody wants them any more."""
        if self._rate <= 0:
            return
        with self._lock:
            now = self._clock()
            self._free_at = until = max(self._free_at, now) + count / self._rate
        while (left := until - self._clock()) > 0 and not stopped():
            self._sleep(min(left, _NAP))


def within_hours(hours: tuple[int, int] | None, hour: int) -> bool:
    """Whether an hour of the day lies in `hours`: from, inclusive, to, exclusive; may pass midnight."""
    if hours is None or hours[0] == hours[1]:
        return True
    start, end = hours
    return start <= hour < end if start < end else hour >= start or hour < end
