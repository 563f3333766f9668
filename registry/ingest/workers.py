"""The child processes that read, parse and identify headers, so that the serving process stays quick."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from registry.child import become_child
from registry.errors import Cancelled, ReaderFailed, RegistryError
from registry.ingest.derive import Derived, Read, Task, derive_chunk, read_unless_known
from registry.views import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
_POLL_SECONDS = 0.2
_STARTS = 3
_DIED = Note(
    "reader-died",
    "The process that read this file stopped; the file may be hostile or the machine short of memory.",
)


class Pending(NamedTuple):
    """A chunk of files that is being looked at."""

    tasks: Sequence[Task]
    readers: int
    future: Future[list[Derived]]
    pool: ProcessPoolExecutor | None

    def done(self) -> bool:
        """Whether the answers are there."""
        return self.future.done()


class Deriver:
    """Looks at files in `workers` child processes that start with the first task and stay.

    With `workers` 0 it works in the calling thread. May be used by several threads. A file that kills its
    process becomes a problem; the other files of its chunk, and those of chunks that died with it, are looked
    at again. Raises RegistryError where one process after the other ends before it can look at anything.
    """

    def __init__(self, workers: int, read: Read = read_unless_known) -> None:
        self.workers = workers
        self._read = read
        self._pool: ProcessPoolExecutor | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._quarantine = threading.Lock()

    def submit(self, tasks: Sequence[Task], readers: int) -> Pending:
        """Start looking at one chunk of files with `readers` at once."""
        if not self.workers:
            done: Future[list[Derived]] = Future()
            done.set_result(derive_chunk(tasks, readers, self._read))
            return Pending(tasks, readers, done, None)
        while True:
            pool = self._started()
            try:
                with _deaf_to_interrupts():
                    future = pool.submit(derive_chunk, tasks, readers, self._read)
                return Pending(tasks, readers, future, pool)
            except BrokenProcessPool:
                self._drop(pool)
            except RuntimeError as error:  # closed by another thread meanwhile
                self._drop(pool)
                if self._closed:
                    raise Cancelled("the reading of headers was stopped") from error

    def answers(self, pending: Pending, cancelled: Callable[[], bool] = lambda: False) -> list[Derived]:
        """Return the answers of a chunk; raises Cancelled when `cancelled` says so while they are awaited."""
        while not wait([pending.future], _POLL_SECONDS).done:
            if cancelled():
                raise Cancelled("the reading of headers was stopped")
        try:
            return pending.future.result()
        except CancelledError as error:
            raise Cancelled("the reading of headers was stopped") from error
        except BrokenProcessPool:
            if pending.pool is not None:
                self._drop(pending.pool)
        found = self.alone(partial(_derived, self._read), pending.tasks, cancelled)
        return [
            Derived(task.key, None, _DIED) if isinstance(answer, ReaderFailed) else answer
            for task, answer in zip(pending.tasks, found, strict=True)
        ]

    def call(
        self, work: Callable[[Asked], Answer], asked: Asked, cancelled: Callable[[], bool] = lambda: False
    ) -> Answer:
        """Do other work in a child process, a function of a module and what it takes.

        Raises ReaderFailed if the process dies of it, Cancelled when `cancelled` says so meanwhile.
        """
        if not self.workers:
            return work(asked)
        pool = self._started()
        try:
            with _deaf_to_interrupts():
                future = pool.submit(work, asked)
        except RuntimeError as error:
            self._drop(pool)
            raise ReaderFailed("the process that reads had stopped") from error
        try:
            return _awaited(future, cancelled)
        except BrokenProcessPool as error:
            self._drop(pool)
            raise ReaderFailed("the process that read it stopped") from error

    def alone(
        self,
        work: Callable[[Asked], Answer],
        asked: Sequence[Asked],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Answer | ReaderFailed]:
        """Do work on suspects one after the other in a process of their own, which ends with the last.

        For what that process dies of the answer is ReaderFailed. Raises Cancelled, and RegistryError where
        one process after the other ends before it has begun.
        """
        answers: list[Answer | ReaderFailed] = []
        pool: ProcessPoolExecutor | None = None
        in_vain = 0
        with self._quarantine:
            try:
                while len(answers) < len(asked):
                    if self._closed:
                        raise Cancelled("the reading was stopped")
                    pool = pool or _pool(1)
                    begun = False
                    try:
                        with _deaf_to_interrupts():
                            _awaited(pool.submit(os.getpid), cancelled)
                        begun, in_vain = True, 0
                        answers.append(_awaited(pool.submit(work, asked[len(answers)]), cancelled))
                    except BrokenProcessPool:
                        pool.shutdown(wait=True, cancel_futures=True)
                        pool = None
                        if begun:
                            answers.append(ReaderFailed("the process that read it stopped"))
                        elif (in_vain := in_vain + 1) == _STARTS:
                            raise RegistryError(
                                "the processes that read headers end before they have begun",
                                remedy="look at what they say, or set workers to 0 to do without them"
                                " (LORAS_WORKERS=0)",
                            ) from None
            finally:
                if pool is not None:
                    pool.shutdown(wait=True, cancel_futures=True)
        return answers

    @staticmethod
    def forget(pending: Pending) -> None:
        """Leave a chunk alone whose answers nobody wants any more."""
        pending.future.cancel()

    def close(self) -> None:
        """Stop the child processes."""
        self._closed = True
        with self._lock:
            pool = self._pool
        if pool is not None:
            self._drop(pool)
        with self._quarantine:
            pass  # whoever looks at suspects has noticed

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._closed:
                raise Cancelled("the reading of headers was stopped")
            if self._pool is None:
                self._pool = _pool(self.workers)
            return self._pool

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        pool.shutdown(wait=True, cancel_futures=True)


def _awaited(future: Future[Answer], cancelled: Callable[[], bool]) -> Answer:
    """Return an answer; raises Cancelled when `cancelled` says so meanwhile, BrokenProcessPool."""
    while not wait([future], _POLL_SECONDS).done:
        if cancelled():
            future.cancel()
            raise Cancelled("the reading was stopped")
    try:
        return future.result()
    except CancelledError as error:
        raise Cancelled("the reading was stopped") from error


def _derived(read: Read, task: Task) -> Derived:
    return derive_chunk([task], 1, read)[0]


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: this process has threads and open databases.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=become_child)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Have processes that start meanwhile hold Ctrl-C back until `become_child` has them ignore it.

    They inherit the signal mask of the thread that starts them; this process hears the signal in another
    thread, or a moment later. Windows has no such mask.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
