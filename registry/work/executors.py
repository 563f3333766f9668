"""Who carries batches out: a thread of this process for those who only ask others, or a child process.

Each carries out one batch at a time and holds nothing that would be missed when it ends.
"""

from __future__ import annotations

import importlib
import multiprocessing
import threading
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from registry.work.lines import Line

MOST_PIECES = 512
_STOP_SECONDS = 3.0
_DONE, _TOTAL, _FLAGS = 0, 1, 2


class Handed(Protocol):
    """A batch that was handed out: `future` gives the answer, or raises what its end was."""

    future: Future[str]

    def progress(self) -> tuple[int, int]:
        """Return how many steps of how many are done."""

    def drop(self, place: int) -> None:
        """Say that nobody wants the piece at a place of the batch any more."""


class Worker(Protocol):
    """Somebody who carries out one batch at a time; used by one thread."""

    def begin(self, spec: str) -> Handed:
        """Hand out a batch. The one before has ended."""

    def rest(self) -> None:
        """Let go of what takes room, for there was nothing to do for a while."""

    def close(self) -> None:
        """End at once, also in the middle of a batch; another one may be handed out later."""


class _Told:
    """Both ends of a line within one process."""

    def __init__(self) -> None:
        self._progress = (0, 0)
        self._dropped: frozenset[int] = frozenset()

    def step(self, done: int, total: int) -> None:
        self._progress = (done, total)

    def dropped(self) -> frozenset[int]:
        return self._dropped

    def progress(self) -> tuple[int, int]:
        return self._progress

    def drop(self, place: int) -> None:
        self._dropped |= {place}


class _InThread(_Told):
    def __init__(self, draw: Callable[[str, Line], str], spec: str) -> None:
        super().__init__()
        self.future: Future[str] = Future()
        self.future.set_running_or_notify_cancel()
        self._work = (draw, spec)
        # Nobody waits for it at the end of the program: whoever it asks may take long.
        threading.Thread(target=self._run, name="batch", daemon=True).start()

    def _run(self) -> None:
        draw, spec = self._work
        try:
            found = draw(spec, self)
        except BaseException as error:  # noqa: BLE001 - handed on, as an executor does
            self.future.set_exception(error)
        else:
            self.future.set_result(found)


class Thread:
    """A thread of this process for each batch, for work that waits for somebody else."""

    def __init__(self, draw: Callable[[str, Line], str]) -> None:
        self._draw = draw
        self._last: _InThread | None = None

    def begin(self, spec: str) -> Handed:
        """Hand out a batch."""
        self._last = _InThread(self._draw, spec)
        return self._last

    def rest(self) -> None:
        """Do nothing: a thread that waits takes no room."""

    def close(self) -> None:
        """Ask for the end of the batch and wait for it a moment."""
        if self._last is not None:
            for place in range(MOST_PIECES):
                self._last.drop(place)
            wait([self._last.future], _STOP_SECONDS)


class _Shared:
    """Both ends of a line between processes: numbers in shared memory, each written by one side."""

    def __init__(self, numbers: Any) -> None:
        self._numbers = numbers

    def step(self, done: int, total: int) -> None:
        self._numbers[_DONE], self._numbers[_TOTAL] = done, total

    def dropped(self) -> frozenset[int]:
        return frozenset(place for place, flag in enumerate(self._numbers[_FLAGS:]) if flag)

    def progress(self) -> tuple[int, int]:
        return self._numbers[_DONE], self._numbers[_TOTAL]

    def drop(self, place: int) -> None:
        self._numbers[_FLAGS + place] = 1

    def clear(self) -> None:
        self._numbers[:] = [0] * len(self._numbers)


class _ToChild:
    def __init__(self, line: _Shared, future: Future[str]) -> None:
        self.future = future
        self.progress = line.progress
        self.drop = line.drop


class Child:
    """A child process, spawned with its first batch.

    `module` names a module with `start(options)` and `draw(spec, line)`; only the child imports it. A child
    that dies gives BrokenProcessPool; the next batch starts another one.
    """

    def __init__(self, module: str, options: str) -> None:
        self._module = module
        self._options = options
        self._context = multiprocessing.get_context("spawn")
        self._line = _Shared(self._context.RawArray("q", _FLAGS + MOST_PIECES))
        self._pool: ProcessPoolExecutor | None = None
        self._last: Future[str] | None = None

    def begin(self, spec: str) -> Handed:
        """Hand out a batch."""
        self._line.clear()
        try:
            future = self._started().submit(_carry_out, spec)
        except BrokenProcessPool:
            self.rest()
            future = self._started().submit(_carry_out, spec)
        self._last = future
        return _ToChild(self._line, future)

    def rest(self) -> None:
        """End the child: all that it holds is free then, on the graphics card too."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """End the child, also in the middle of a batch: it is asked to stop, and given a moment for it."""
        if self._pool is not None and self._last is not None and not self._last.done():
            for place in range(MOST_PIECES):
                self._line.drop(place)
            if not wait([self._last], _STOP_SECONDS).done:
                _kill(list(self._pool._processes.values()))  # noqa: SLF001 - nothing public ends one that works
        self.rest()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1,
                mp_context=self._context,
                initializer=_begin_child,
                initargs=(self._line, self._module, self._options),
            )
        return self._pool


def _kill(processes: Iterable[Any]) -> None:
    for process in processes:
        process.terminate()


_line: _Shared | None = None
_draw: Callable[[str, Line], str] | None = None


def _begin_child(line: _Shared, module: str, options: str) -> None:
    global _line, _draw
    found = importlib.import_module(module)
    found.start(options)
    _line, _draw = line, found.draw


def _carry_out(spec: str) -> str:
    if _line is None or _draw is None:
        raise RuntimeError("the child was not started")
    return _draw(spec, _line)
