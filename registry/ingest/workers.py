"""The child processes that read, parse and identify headers, so that the serving process stays quick."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from registry.hashing.reader import read_quick
from registry.ingest.derive import Derived, Task, derive_chunk
from registry.views import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.hashing.reader import QuickHead

CHUNK = 64
_DIED = Note(
    "reader-died",
    "The process that read this file stopped; the file may be hostile or the machine short of memory.",
)


class Deriver:
    """Looks at files in `workers` child processes that start with the first task and stay.

    With `workers` 0 it works in the calling thread. A file that kills its process becomes a problem, and the
    other files of its chunk are looked at again.
    """

    def __init__(self, workers: int, read: Callable[[str], QuickHead] = read_quick) -> None:
        self.workers = workers
        self._read = read
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def submit(self, tasks: Sequence[Task], readers: int) -> Future[list[Derived]]:
        """Start looking at one chunk of files with `readers` at once."""
        if not self.workers:
            done: Future[list[Derived]] = Future()
            done.set_result(derive_chunk(tasks, readers, self._read))
            return done
        try:
            return self._started().submit(derive_chunk, list(tasks), readers, self._read)
        except BrokenProcessPool:
            self._drop()
            return self._started().submit(derive_chunk, list(tasks), readers, self._read)

    def result(self, future: Future[list[Derived]], tasks: Sequence[Task], readers: int) -> list[Derived]:
        """Return the answers of a chunk; looks at the files one by one if its process died."""
        try:
            return future.result()
        except BrokenProcessPool:
            self._drop()
        if len(tasks) == 1:
            return [Derived(tasks[0].key, None, _DIED)]
        answers = []
        for task in tasks:
            answers += self.result(self.submit([task], readers), [task], readers)
        return answers

    def close(self) -> None:
        """Stop the child processes."""
        self._drop()

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                # Spawned, not forked: this process has threads and open databases.
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_prepare)
            return self._pool

    def _drop(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _prepare() -> None:
    """Leave Ctrl-C to the parent, which stops its children itself, and collect garbage less often.

    A header makes thousands of objects that all go at once; looking for cycles among them is in vain.
    """
    gc.set_threshold(200_000, 20, 20)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
