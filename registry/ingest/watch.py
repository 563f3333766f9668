"""Watch the roots of this machine and say what should be read again, in a thread of its own.

Events are hints, a rescan is the truth: each root is asked to be rescanned when its watching starts, when
events were or may have been lost, when it comes back, and now and then anyway. Roots on network file systems,
whose changes elsewhere no event tells of, get nothing but rescans. Walking and reading is left to whoever
takes the actions.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from registry.ingest.observe import LossNotice, Sign
from registry.ingest.watched import Lost, Report, Rhythm, Surroundings, Watched, WatchedRoot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from registry.ingest.settle import Action

MAX_INBOX = 100_000
# ReadDirectoryChangesW drops a full buffer of some hundred events without a word that reaches us.
_SILENT_LOSS = 300 if sys.platform == "win32" else MAX_INBOX


class Watcher:
    """Watches roots from `start` to `stop`.

    `on_action(root id, action)` and `on_report(root id, report)` are called in the watcher's thread; they
    must return soon and not raise.
    """

    def __init__(
        self,
        roots: Iterable[Watched],
        on_action: Callable[[int, Action | Lost], None],
        on_report: Callable[[int, Report], None],
        rhythm: Rhythm | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._on_action = on_action
        self._on_report = on_report
        self._rhythm = rhythm if rhythm is not None else Rhythm()
        self._surroundings = surroundings if surroundings is not None else Surroundings()
        self._roots: dict[int, WatchedRoot] = {}
        self._orders: deque[Callable[[float], None]] = deque()
        self._inbox: deque[tuple[int, Sign]] = deque()
        self._events_lost = threading.Event()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        for root in roots:
            self.add(root)

    def start(self) -> None:
        """Begin to watch; each root is asked to be rescanned at once."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """Stop watching and return whether that was done in time; no callback is called after it was."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def add(self, root: Watched) -> None:
        """Watch one more root, or one known by its id in a new way; from any thread."""
        self._order(lambda now: self._put(root, now))

    def remove(self, root_id: int) -> None:
        """Stop watching a root; from any thread."""
        self._order(lambda _now: self._take(root_id))

    def rescanned(self, root_id: int, seconds: float) -> None:
        """Take note that a full rescan of a root has ended and how long it took; from any thread."""
        self._order(lambda now: self._note(root_id, seconds, now))

    def _order(self, order: Callable[[float], None]) -> None:
        self._orders.append(order)
        self._wake.set()

    def _put(self, watched: Watched, now: float) -> None:
        self._take(watched.id)
        root = WatchedRoot(watched, self._rhythm, self._surroundings, self._tell)
        self._roots[watched.id] = root
        root.open(now)

    def _take(self, root_id: int) -> None:
        root = self._roots.pop(root_id, None)
        if root is not None:
            root.close()

    def _note(self, root_id: int, seconds: float, now: float) -> None:
        if root_id in self._roots:
            self._roots[root_id].rescanned(seconds, now)

    def _tell(self, root_id: int, sign: Sign) -> None:
        if len(self._inbox) < MAX_INBOX:
            self._inbox.append((root_id, sign))
        else:
            self._events_lost.set()
        self._wake.set()

    def _lose(self) -> None:
        self._events_lost.set()
        self._wake.set()

    def _run(self) -> None:
        notice = LossNotice(self._lose)
        notice.attach()
        try:
            while not self._stopping.is_set():
                self._wake.wait(self._pause())
                self._wake.clear()
                self._turn()
        finally:
            notice.detach()
            for root_id in list(self._roots):
                self._take(root_id)

    def _turn(self) -> None:
        while self._orders:
            self._orders.popleft()(time.monotonic())
        now = time.monotonic()
        self._hand_out(now)
        for root_id, root in self._roots.items():
            for item in root.turn(now):
                if self._stopping.is_set():
                    return
                if isinstance(item, Report):
                    self._on_report(root_id, item)
                else:
                    self._on_action(root_id, item)

    def _hand_out(self, now: float) -> None:
        everywhere = self._events_lost.is_set()
        if everywhere:
            self._events_lost.clear()
            self._inbox.clear()
        told: Counter[int] = Counter()
        while self._inbox:
            root_id, sign = self._inbox.popleft()
            told[root_id] += 1
            if root_id in self._roots:
                self._roots[root_id].take(sign, now)
        for root_id, root in self._roots.items():
            if everywhere or told[root_id] >= _SILENT_LOSS:
                root.events_lost(now)

    def _pause(self) -> float | None:
        if self._orders or self._inbox or self._events_lost.is_set():
            return 0.0
        due = min((root.next_due() for root in self._roots.values()), default=None)
        return None if due is None else max(0.0, min(due - time.monotonic(), threading.TIMEOUT_MAX))
