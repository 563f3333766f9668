"""Progress bars on a terminal, on standard error; nothing elsewhere."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from cli.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import ProgressColumn, TaskID

_SECONDS: Final = 0.2


class Bar:
    """One bar; moving it without a terminal does nothing."""

    def __init__(self, progress: Progress | None, text: str, total: float | None) -> None:
        self._progress = progress
        self._task: TaskID | None = progress.add_task(plain(text), total=total) if progress else None

    def move(self, done: float, total: float | None = None, text: str | None = None) -> None:
        """Set how far it is; `total` and `text` stay as they are unless given."""
        if self._progress is not None and self._task is not None:
            described = None if text is None else plain(text)
            self._progress.update(self._task, completed=done, total=total, description=described)


def size_of(path: str) -> int | None:
    """Return how long a bar for reading a file must be, unknown where the file cannot be looked at."""
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return None


class Bars:
    """The bars of one command."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    def add(self, text: str, total: float | None = None) -> Bar:
        """Add a bar under the others; without a `total` it only shows that something goes on."""
        return Bar(self._progress, text, total)

    @contextmanager
    def polled(self, look: Callable[[], None]) -> Iterator[None]:
        """Call `look` several times a second in another thread, and once more at the end."""
        if self._progress is None:
            yield
            return
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_SECONDS):
                look()

        thread = threading.Thread(target=watch, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            look()


@contextmanager
def bars(*, counting: str = "files") -> Iterator[Bars]:
    """Show bars that count `files` or `bytes` while the block runs, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield Bars(None)
        return
    counted: tuple[ProgressColumn, ...] = (
        (DownloadColumn(), TransferSpeedColumn()) if counting == "bytes" else (MofNCompleteColumn(),)
    )
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), *counted, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False, transient=True) as progress:
        yield Bars(progress)
