"""Slowing down those who guess: after some failures each further one doubles the wait, up to a minute.

Meanwhile only wrong tokens are refused: whoever brings one that is known is served.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

FREE_FAILURES = 3
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
REMEMBERED = 4096


class _Record(NamedTuple):
    failures: int
    until: float


class Throttle:
    """Failures by caller, the latest 4,096 of them; `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def wait(self, caller: str) -> float:
        """Return the seconds until a caller may try again, 0 if now."""
        with self._lock:
            record = self._records.get(caller)
            return max(0.0, record.until - self._clock()) if record else 0.0

    def failed(self, caller: str) -> None:
        """Count a failure."""
        with self._lock:
            failures = self._records.pop(caller, _Record(0, 0.0)).failures + 1
            wait = 0.0
            if failures > FREE_FAILURES:
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - FREE_FAILURES - 1, 20))
            self._records[caller] = _Record(failures, self._clock() + wait)
            if len(self._records) > REMEMBERED:
                self._records.popitem(last=False)

    def succeeded(self, caller: str) -> None:
        """Forget the failures of a caller."""
        with self._lock:
            self._records.pop(caller, None)
