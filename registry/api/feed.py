"""Waking those who wait for changes: at once for commits of this process, within a second for others'."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from registry.catalog.changes import generation
from registry.errors import CatalogError

if TYPE_CHECKING:
    from registry.catalog.engine import Catalog

POLL_SECONDS = 1.0


class Feed:
    """Counts the moments at which something may have changed and lets coroutines wait for the next one.

    `notify` and `close` may be called from any thread; a closed feed wakes everybody for good. `followers`
    are the streams that are open now, counted by who opens them.
    """

    def __init__(self, catalog: Catalog, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._catalog = catalog
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._ticket = 0
        self._closed = False
        self.followers = 0
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        catalog.on_commit(self.notify)

    @property
    def ticket(self) -> int:
        """The count of moments so far: take it before looking at the catalog, wait beyond it after."""
        return self._ticket

    @property
    def closed(self) -> bool:
        """Whether the server is going down and streams must end."""
        return self._closed

    def notify(self) -> None:
        """Say that something may have changed."""
        with self._lock:
            self._ticket += 1
            for event, loop in self._waiting.items():
                # A loop that was closed has nobody left to wake.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """Wake everybody and let nobody wait again."""
        self._closed = True
        self.notify()

    async def wait_beyond(self, ticket: int, seconds: float) -> bool:
        """Wait until something may have changed since `ticket` was taken; False if `seconds` went by."""
        event = asyncio.Event()
        with self._lock:
            if self._ticket != ticket or self._closed:
                return True
            self._waiting[event] = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._waiting.pop(event, None)
        return True

    async def watch_others(self) -> None:
        """Notice the commits of other processes, until cancelled; looks only while somebody waits."""
        seen: int | None = None
        while not self._closed:
            await asyncio.sleep(self._poll_seconds)
            if not self._waiting:
                seen = None
                continue
            with contextlib.suppress(CatalogError):
                current = await run_in_threadpool(self._generation)
                if current != seen:
                    seen = current
                    self.notify()

    def _generation(self) -> int:
        with self._catalog.read() as conn:
            return generation(conn)
