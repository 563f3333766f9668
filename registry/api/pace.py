"""Holding callers to so many calls in a while."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Final

REMEMBERED: Final = 4096


class Pace:
    """At most `calls` in any `milliseconds`, for each of the latest 4,096 callers; used by many threads."""

    def __init__(self, calls: int, milliseconds: int) -> None:
        self._calls = calls
        self._milliseconds = milliseconds
        self._lock = threading.Lock()
        self._latest: OrderedDict[str, deque[int]] = OrderedDict()

    def wait(self, caller: str, now: int) -> int:
        """Return after how many milliseconds a call may be made again; 0 for now, and then it counts.

        A clock that was put back forgets what came after.
        """
        with self._lock:
            calls = self._latest.pop(caller, deque())
            self._latest[caller] = calls
            if len(self._latest) > REMEMBERED:
                self._latest.popitem(last=False)
            while calls and not 0 <= now - calls[0] < self._milliseconds:
                calls.popleft()
            if len(calls) >= self._calls:
                return self._milliseconds - (now - calls[0])
            calls.append(now)
            return 0
