"""What is kept for the next time: as much as fits into some bytes, the least recently used let go first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

V = TypeVar("V")


class Held(Generic[V]):
    """Things by a key, of `room` bytes together; may be used by several threads.

    What was put last stays even if it alone is larger. `let_go` is told of each that is not kept any longer.
    """

    def __init__(self, room: int, let_go: Callable[[V], object] = lambda _: None) -> None:
        self.room = room
        self._let_go = let_go
        self._held: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._lock = threading.RLock()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Hashable) -> V | None:
        """Return what has a key, and take it as used."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            self._held.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        """Keep something of so many bytes."""
        with self._lock:
            self.forget(lambda each: each == key)
            self.make_room(size)
            self._held[key] = value, size

    def make_room(self, size: int) -> None:
        """Let go of what is in the way of so many bytes."""
        with self._lock:
            while self._held and sum(each for _, each in self._held.values()) + size > self.room:
                _, (value, _) = self._held.popitem(last=False)
                self._let_go(value)

    def forget(self, wanted: Callable[[Hashable], bool] = lambda _: True) -> None:
        """Let go of all whose key is wanted."""
        with self._lock:
            for key in [key for key in self._held if wanted(key)]:
                value, _ = self._held.pop(key)
                self._let_go(value)
