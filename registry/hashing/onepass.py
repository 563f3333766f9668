"""Read a file once, in reused buffers, and hand each block to all digests."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from registry.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.hashing.digests import Computation

    Lane = Sequence[Computation]
    ReadInto = Callable[[memoryview], int]

BLOCK = 1024 * 1024
"""Bytes read at once: small enough to stay in the processor's cache, large enough to be worth a thread."""


class Watcher:
    """What a caller wants to hear and say while a file is read; every part may be missing."""

    def __init__(
        self,
        progress: Callable[[int], None] | None = None,
        limit: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self._progress = progress
        self._limit = limit
        self._cancelled = cancelled

    def before_block(self) -> None:
        """Raise Cancelled if somebody asked for it."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("hashing was cancelled")

    def after_block(self, reached: int, length: int) -> None:
        """Report that `length` more bytes were read, `reached` in all."""
        if self._progress is not None:
            self._progress(reached)
        if self._limit is not None:
            self._limit(length)


def feed(head: bytes, read_into: ReadInto, size: int, lanes: Sequence[Lane], watcher: Watcher) -> int:
    """Feed the first `size` bytes of a file and return how many came; fewer if the file became shorter.

    `head` was read already, `read_into` fills a buffer with what follows. `lanes` run side by side in threads
    of their own while the next block is read; a single lane runs in the calling thread.
    """
    if len(lanes) == 1:
        return _feed_one(_blocks(head, read_into, size, 1), lanes[0], watcher)
    return _feed_all(_blocks(head, read_into, size, 2), lanes, watcher)


def _feed_one(blocks: Iterator[memoryview], lane: Lane, watcher: Watcher) -> int:
    at = 0
    watcher.before_block()
    for block in blocks:
        watcher.before_block()
        _update(lane, at, block)
        at += len(block)
        watcher.after_block(at, len(block))
    return at


def _feed_all(blocks: Iterator[memoryview], lanes: Sequence[Lane], watcher: Watcher) -> int:
    at = 0
    watcher.before_block()
    with ThreadPoolExecutor(len(lanes), thread_name_prefix="digest") as pool:
        running: list[Future[None]] = []
        for block in blocks:
            for future in running:
                future.result()
            watcher.before_block()
            running = [pool.submit(_update, lane, at, block) for lane in lanes]
            at += len(block)
            watcher.after_block(at, len(block))
        for future in running:
            future.result()
    return at


def _update(lane: Lane, at: int, block: memoryview) -> None:
    for computation in lane:
        computation.feed(at, block)


def _blocks(head: bytes, read_into: ReadInto, size: int, buffers: int) -> Iterator[memoryview]:
    """Yield the file in blocks; each stays valid until `buffers` more were asked for."""
    start = memoryview(head)[:size]
    for at in range(0, len(start), BLOCK):
        yield start[at : at + BLOCK]
    left = size - len(start)
    views = [memoryview(bytearray(min(BLOCK, left))) for _ in range(buffers)] if left else []
    turn = 0
    while left > 0 and (count := read_into(views[turn][:left])):
        yield views[turn][:count]
        left -= count
        turn = (turn + 1) % buffers
