"""The line of a batch that is carried out by a worker of Dask: the end that is there, and what both agree on.

Steps go out as events of the scheduler, which keeps the last of them only; what was dropped is a variable
there, looked at a few times a second beside the work.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from registry.errors import CannotDraw
from registry.work.executors import MOST_PIECES

if TYPE_CHECKING:
    from types import TracebackType

log = logging.getLogger(__name__)
TOPIC: Final = "loras-steps"
_EVERY: Final = 0.2
_PREFIX: Final = "loras"
_SECONDS: Final = 5.0
_ALL: Final = frozenset(range(MOST_PIECES))


def key_of(channel: str, name: str) -> str:
    """Return the key of a task; a channel is what one connection to the scheduler is known by."""
    return f"{_PREFIX}-{channel}-{name}"


def dropped_name(channel: str) -> str:
    """Return the name of the variable with the dropped places of each batch, by the keys of their tasks."""
    return f"{_PREFIX}-dropped-{channel}"


def library() -> Any:
    """Return the library, which is in an extra; CannotDraw without it."""
    try:
        import distributed  # noqa: PLC0415 - loaded by those alone who name a scheduler: it takes a second
    except ModuleNotFoundError as error:
        raise CannotDraw(
            f"drawing on a Dask cluster needs {error.name}, which is not installed",
            remedy="pip install 'lora-registry[dask]'",
        ) from None
    return distributed


class TaskLine:
    """The line of the task that this thread of a Dask worker carries out, for the length of a block."""

    def __init__(self) -> None:
        dask = library()
        self._worker: Any = dask.get_worker()
        self._key: str = self._worker.get_current_task()
        channel = self._key.split("-")[1]
        self._variable: Any = dask.Variable(dropped_name(channel), client=dask.get_client())
        self._steps = self._told = (0, 0)
        self._dropped: frozenset[int] = frozenset()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="line", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def step(self, done: int, total: int) -> None:
        """Say how many steps of how many are done."""
        self._steps = (done, total)

    def dropped(self) -> frozenset[int]:
        """Return the places that nobody wants any more: all, once nobody waits for the task itself."""
        task = self._worker.state.tasks.get(self._key)
        return _ALL if task is None or task.state == "cancelled" else self._dropped

    def _keep(self) -> None:
        while not self._over.wait(_EVERY):
            steps = self._steps
            if steps != self._told:
                self._told = steps
                message = {"key": self._key, "done": steps[0], "total": steps[1]}
                self._worker.log_event(TOPIC, message)
            try:
                self._dropped = frozenset(self._variable.get(timeout=_SECONDS).get(self._key, ()))
            except OSError as error:
                # Without a scheduler nobody waits for the task, and it is cancelled soon.
                log.info("what was dropped cannot be asked for: %s", error)
