"""A trade of doubling numbers, and how tests wait for jobs of it."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from registry.catalog.jobs import get_job
from registry.catalog.pieces import DONE, NewJob, NewPiece, queue_job
from registry.work.dispatcher import Outcome, Packed, Received

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.catalog.engine import Catalog
    from registry.views import JobView, PieceView
    from registry.work.dispatcher import Dispatcher

LIMIT = 60.0


class Doubling:
    """What came of it lies in a dict, by key; `received` says how often each came.

    `batches` are the numbers that were handed out together, `ahead` how many pieces were next each time. An
    answer of `{"busy": why}` says that nobody has time.
    """

    kind = "double"

    def __init__(self, most: int = 4) -> None:
        self.found: dict[str, int] = {}
        self.received: list[str] = []
        self.batches: list[list[object]] = []
        self.ahead: list[int] = []
        self._most = most

    def most(self) -> int:
        """Return how many numbers are doubled together."""
        return self._most

    def pack(self, batch_id: str, taken: Sequence[PieceView], soon: Sequence[PieceView]) -> Packed:
        """Make a batch of what is not there yet."""
        assert batch_id
        self.ahead.append(len(soon))
        left = [piece for piece in taken if piece.key not in self.found]
        ended = {(piece.job_id, piece.place): Outcome(DONE) for piece in taken if piece not in left}
        if not left:
            return Packed(None, left, ended)
        self.batches.append([piece.spec for piece in left])
        return Packed(json.dumps([[piece.key, piece.spec] for piece in left]), left, ended)

    def receive(self, answer: str, taken: Sequence[PieceView], seconds: float | None) -> Received:
        """Keep what came."""
        assert seconds is None or seconds >= 0
        told = json.loads(answer)
        if "busy" in told:
            return Received({}, told["busy"], 0.0)
        self.received += told
        self.found |= told
        return Received(
            {(piece.job_id, piece.place): Outcome(DONE) for piece in taken if piece.key in self.found}
        )


def queue(catalog: Catalog, numbers: Sequence[object], fits: str = "a", **options: object) -> int:
    """Queue a job that doubles numbers, and return its id; `options` are those of a job."""
    pieces = [NewPiece(f"{fits}{number}", fits, number) for number in numbers]
    with catalog.write() as unit:
        return queue_job(unit, NewJob("double", "k", pieces, "numbers", machine="m", **options))  # type: ignore[arg-type] # the names are the test's own


def job(catalog: Catalog, job_id: int) -> JobView:
    """Return a job as it is now."""
    with catalog.read() as conn:
        return get_job(conn, job_id)


def ended(catalog: Catalog, *jobs: int) -> bool:
    """Whether all of the jobs have ended."""
    return all(job(catalog, each).finished_at is not None for each in jobs)


@contextmanager
def running(handing: Dispatcher) -> Iterator[None]:
    """Hand out in a thread for the length of the block."""
    stop = threading.Event()
    thread = threading.Thread(target=handing.run_when_free, args=(stop.is_set,), kwargs={"seconds": 0.1})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        handing.wake()
        thread.join(LIMIT)
        assert not thread.is_alive()


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that is to come."""
    deadline, again = time.monotonic() + LIMIT, threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        again.wait(0.02)
