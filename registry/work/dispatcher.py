"""Hands pieces of jobs out in batches: one dispatcher a catalog, to as many as carry batches out.

The rows of the catalog say what is to be done, and nothing else does: after a crash the pieces that ran are
taken again, and what comes of a piece is stored under its key, so that nothing is lost or done twice.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from registry.catalog import pieces
from registry.catalog.jobs import add_line
from registry.errors import Conflict, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from registry.catalog.engine import Catalog
    from registry.catalog.pieces import Place
    from registry.views import PieceView
    from registry.work.executors import Handed, Worker

log = logging.getLogger(__name__)
MOST_TRIES = 3
IDLE_SECONDS = 300.0
_TURN_SECONDS = 0.1
_LOOK_SECONDS = 1.0
BACK_OFF = (1.0, 5.0, 20.0)
"""Seconds after the first, the second and any further failure of a piece."""
DIED = "worker-died"


class Outcome(NamedTuple):
    """How a piece ended: `done` with a slug for what is odd about it, or `failed` with the error's."""

    state: str
    slug: str | None = None
    text: str | None = None


class Packed(NamedTuple):
    """A batch as whoever carries it out gets it, of these pieces; the others ended without it."""

    spec: str | None
    pieces: Sequence[PieceView]
    ended: Mapping[Place, Outcome]


class Received(NamedTuple):
    """What came of a batch, or who is `busy` so that it is to be tried again in `seconds`."""

    ended: Mapping[Place, Outcome]
    busy: str | None = None
    seconds: float = 0.0


class Trade(Protocol):
    """What a kind of job knows of its pieces."""

    kind: str

    def most(self) -> int:
        """Return how many pieces are done together at most."""

    def pack(self, batch_id: str, taken: Sequence[PieceView], soon: Sequence[PieceView]) -> Packed:
        """Make a batch of pieces; those that are there already, or cannot be, end with it.

        `soon` are those that the next batch is made of, as far as is known.
        """

    def receive(self, answer: str, taken: Sequence[PieceView], seconds: float) -> Received:
        """Store what came of a batch, each piece under its key: the same again changes nothing.

        `seconds` are how long it was under way.
        """


@dataclass(slots=True)
class _Running:
    """A batch under way."""

    id: str
    pieces: Sequence[PieceView]
    handed: Handed
    began: float
    stopped: set[Place] = field(default_factory=set)


@dataclass(slots=True)
class _Seat:
    """A worker and what it is at; `rested` says that it holds nothing."""

    worker: Worker
    running: _Running | None = None
    idle_since: float = 0.0
    rested: bool = True


class Dispatcher:
    """Hands out the pieces of one kind of job to workers, from one thread.

    `alone` holds the right to do so for a catalog while its block runs, and raises Conflict where somebody
    else has it. `allowed` is asked before each batch.
    """

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        catalog: Catalog,
        trade: Trade,
        workers: Sequence[Worker],
        machine_id: str,
        alone: Callable[[], AbstractContextManager[None]],
        *,
        back_off: Sequence[float] = BACK_OFF,
        allowed: Callable[[], bool] = lambda: True,
        on_turn: Callable[[], object] = lambda: None,
    ) -> None:
        self._catalog = catalog
        self._trade = trade
        self._kinds = (trade.kind,)
        self._seats = [_Seat(worker) for worker in workers]
        self._alone = alone
        self._back_off = back_off
        self._allowed = allowed
        self._on_turn = on_turn
        self._owner = f"{machine_id}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._woken = threading.Event()
        self._looked = 0.0
        self._again_at = 0.0
        self.waits_for: str | None = None

    def wake(self) -> None:
        """Say that there may be something to do; may be called from any thread."""
        self._woken.set()

    def run(self, stop: Callable[[], bool]) -> None:
        """Hand out until `stop` says so; what is carried out then is given up and waits for the next one.

        Raises Conflict where another process hands out the pieces of this catalog.
        """
        with self._alone():
            try:
                with self._catalog.write() as unit:
                    pieces.orphans_back(unit, self._kinds)
                while not stop():
                    self._turn()
                    if self._woken.wait(_TURN_SECONDS if self.is_busy() else _LOOK_SECONDS):
                        self._woken.clear()
                        self._looked = 0.0
            finally:
                self._close()

    def run_when_free(self, stop: Callable[[], bool], *, seconds: float = 1.0) -> None:
        """Do what `run` does, once nobody else does it."""
        while not stop():
            try:
                self.run(stop)
            except Conflict:
                self._woken.wait(seconds)
                self._woken.clear()
            except RegistryError as error:
                # The catalog may be away just now: it is tried again for as long as the program runs.
                log.warning("handing out pictures was interrupted: %s", error)
                self._woken.wait(seconds)
                self._woken.clear()

    def is_busy(self) -> bool:
        """Whether a batch is under way."""
        return any(seat.running is not None for seat in self._seats)

    def told(self) -> dict[str, object]:
        """Tell what is under way, as the status has it."""
        batches = []
        for seat in self._seats:
            running = seat.running
            if running is None:
                continue
            done, total = running.handed.progress()
            jobs = sorted({piece.job_id for piece in running.pieces})
            batches.append({"jobs": jobs, "pieces": len(running.pieces), "step": done, "steps": total})
        state = "working" if batches else "waiting" if self.waits_for else "idle"
        return {"state": state, "batches": batches, "waits_for": self.waits_for}

    def _turn(self) -> None:
        for seat in self._seats:
            if seat.running is not None and seat.running.handed.future.done():
                self._receive(seat, seat.running)
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._look()
        for seat in self._seats:
            if seat.running is None and now >= self._again_at:
                self._give(seat)
            if seat.running is None and not seat.rested and now - seat.idle_since > IDLE_SECONDS:
                seat.worker.rest()
                seat.rested = True
        self._on_turn()

    def _look(self) -> None:
        """See what was cancelled or has no time left, and say how far things are."""
        with self._catalog.read() as conn:
            if not pieces.any_waiting(conn, self._kinds):
                return
        with self._catalog.write() as unit:
            dropped = set(pieces.drop_pieces(unit, self._kinds))
            pieces.beat(unit, self._kinds)
            pieces.settle(unit, self._kinds)
        for seat in self._seats:
            if seat.running is not None:
                _drop(seat.running, dropped)

    def _give(self, seat: _Seat) -> None:
        """Hand a worker what is to be done next, if there is anything."""
        while True:
            with self._catalog.read() as conn:
                if not pieces.any_waiting(conn, self._kinds):
                    return
            if not self._allowed():
                return
            with self._catalog.write() as unit:
                taken = pieces.take(unit, self._kinds, self._trade.most(), self._owner)
                soon = pieces.peek(unit, self._kinds, self._trade.most())
            if not taken:
                return
            batch_id = uuid.uuid4().hex
            packed = self._trade.pack(batch_id, taken, soon)
            self._end(packed.ended)
            if packed.spec is not None:
                handed = seat.worker.begin(packed.spec)
                seat.running = _Running(batch_id, packed.pieces, handed, time.monotonic())
                seat.rested = False
                return

    def _receive(self, seat: _Seat, running: _Running) -> None:
        seat.running, seat.idle_since = None, time.monotonic()
        error = running.handed.future.exception()
        if error is not None:
            self._failed(running, error)
            return
        try:
            answer, seconds = running.handed.future.result(), time.monotonic() - running.began
            received = self._trade.receive(answer, running.pieces, seconds)
        except RegistryError as failure:
            self._failed(running, failure)
            return
        self.waits_for = received.busy
        if received.busy is not None:
            self._again_at = time.monotonic() + received.seconds
            with self._catalog.write() as unit:
                pieces.put_back(unit, [(piece.job_id, piece.place) for piece in running.pieces])
            return
        missing = {
            (piece.job_id, piece.place): Outcome(pieces.FAILED, DIED, "nothing came of it")
            for piece in running.pieces
        }
        self._end({**missing, **received.ended})

    def _failed(self, running: _Running, error: BaseException) -> None:
        """Put a batch back whose worker ended or failed; what was tried often enough has failed."""
        died = isinstance(error, BrokenProcessPool)
        said = "the process that drew it stopped" if died else str(error) or type(error).__name__
        if not died and not isinstance(error, RegistryError):
            log.error("a batch failed", exc_info=error)
        over = [piece for piece in running.pieces if piece.attempts + 1 >= MOST_TRIES]
        again = [piece for piece in running.pieces if piece.attempts + 1 < MOST_TRIES]
        slug = error.slug if isinstance(error, RegistryError) else DIED
        with self._catalog.write() as unit:
            for piece in again:
                seconds = self._back_off[min(piece.attempts, len(self._back_off) - 1)]
                pieces.put_back(unit, [(piece.job_id, piece.place)], seconds=seconds, tried=True)
            for job_id in sorted({piece.job_id for piece in running.pieces}):
                add_line(unit, job_id, f"a batch of {len(running.pieces)} failed: {said}")
        self._end({(piece.job_id, piece.place): Outcome(pieces.FAILED, slug, said) for piece in over})

    def _end(self, ended: Mapping[Place, Outcome]) -> None:
        if not ended:
            return
        with self._catalog.write() as unit:
            for place, outcome in ended.items():
                pieces.end_piece(unit, place, outcome.state, slug=outcome.slug, error=outcome.text)
                if outcome.state == pieces.FAILED:
                    add_line(unit, place[0], f"piece {place[1]} failed: {outcome.text or outcome.slug}")
            pieces.beat(unit, self._kinds)
            pieces.settle(unit, self._kinds)

    def _close(self) -> None:
        given_up: list[Place] = []
        for seat in self._seats:
            running, seat.running = seat.running, None
            seat.worker.close()
            if running is not None:
                given_up += [(piece.job_id, piece.place) for piece in running.pieces]
        if given_up:
            with self._catalog.write() as unit:
                pieces.put_back(unit, given_up)


def _drop(running: _Running, dropped: set[Place]) -> None:
    """Tell a worker which pieces of its batch nobody wants any more."""
    for number, piece in enumerate(running.pieces):
        place = (piece.job_id, piece.place)
        if place in dropped and place not in running.stopped:
            running.stopped.add(place)
            running.handed.drop(number)
