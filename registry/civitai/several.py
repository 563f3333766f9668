"""Asking several questions at a time, in a few threads that share one pace."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from registry.errors import Offline, OutboundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

K = TypeVar("K")
T = TypeVar("T")
THREADS: Final = 4


class Failed(NamedTuple):
    """Why a question has no answer."""

    error: OutboundError


def one_by_one(
    ask: Callable[[K], T], questions: Iterable[K], threads: int = THREADS
) -> Iterator[tuple[K, T | Failed]]:
    """Yield each question with its answer, in their order; no more are begun than the threads can carry.

    Who stops listening stops the asking: what was not begun is not asked. Raises Offline, Cancelled.
    """
    left = iter(questions)
    waiting: deque[tuple[K, Future[T]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="civitai") as pool:
        try:
            while True:
                for question in islice(left, threads - len(waiting)):
                    waiting.append((question, pool.submit(ask, question)))
                if not waiting:
                    return
                question, future = waiting.popleft()
                try:
                    yield question, future.result()
                except Offline:
                    raise
                except OutboundError as error:
                    yield question, Failed(error)
        finally:
            for _, future in waiting:
                future.cancel()
