"""Ctrl-C during long work: the first asks it to stop in an orderly way, a second one breaks it off."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from registry.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


@contextmanager
def stopping_with(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop`, in a thread of its own, at the first Ctrl-C; what it cancels ends in KeyboardInterrupt."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.signal(signal.SIGINT, before)
        asked.set()
        # Not here: the thread that was interrupted may hold a lock that `stop` takes.
        threading.Thread(target=stop, name="stop", daemon=True).start()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    except Cancelled:
        if asked.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, before)
