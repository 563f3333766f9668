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
from registry.errors import CatalogError, Conflict, OutboundError, RegistryError

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
_AWAY_SECONDS = 5.0
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

    def receive(self, answer: str, taken: Sequence[PieceView], seconds: float | None) -> Received:
        """Store what came of a batch, each piece under its key: the same again changes nothing.

        `seconds` are how long it was under way, `None` where the worker began with it and had to start.
        """


@dataclass(slots=True)
class _Running:
    """A batch under way."""

    id: str
    pieces: Sequence[PieceView]
    handed: Handed
    began: float
    cold: bool
    stopped: set[Place] = field(default_factory=set)


@dataclass(slots=True)
class _Seat:
    """A worker and what it is at; `waits_for` says who is busy so that it is asked again at `again_at`."""

    worker: Worker
    running: _Running | None = None
    idle_since: float = 0.0
    rested: bool = True
    again_at: float = 0.0
    waits_for: str | None = None


class Dispatcher:
    """Hands out the pieces of one kind of job, asked for on one machine, to workers, from one thread.

    `alone` holds the right to do so while its block runs, raises Conflict where somebody else has it, and
    gives what tells whether it is held still. `back_off` are seconds after the first failure of a piece, the
    second and so on.
    """

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        catalog: Catalog,
        trade: Trade,
        workers: Sequence[Worker],
        machine_id: str,
        alone: Callable[[], AbstractContextManager[Callable[[], bool]]],
        *,
        back_off: Sequence[float] = BACK_OFF,
    ) -> None:
        self._catalog = catalog
        self._trade = trade
        self._share = pieces.Share(trade.kind, machine_id)
        self._seats = [_Seat(worker) for worker in workers]
        self._alone = alone
        self._back_off = back_off
        self._owner = f"{machine_id}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._woken = threading.Event()
        self._thread: int | None = None
        self._looked = 0.0

    def wake(self) -> None:
        """Say that there may be something to do; may be called from any thread."""
        # What it wrote itself tells it nothing.
        if threading.get_ident() != self._thread:
            self._woken.set()

    def run(self, stop: Callable[[], bool]) -> None:
        """Hand out until `stop` says so; what is carried out then is given up and waits for the next one.

        Raises Conflict where another process hands these out, now or from now on.
        """
        with self._alone() as held:
            self._thread = threading.get_ident()
            try:
                with self._catalog.write() as unit:
                    pieces.orphans_back(unit, self._share)
                while not stop():
                    self._turn(held)
                    self._woken.wait(_TURN_SECONDS if self.is_busy() else _LOOK_SECONDS)
                    self._woken.clear()
            finally:
                self._close()
                self._thread = None

    def run_when_free(self, stop: Callable[[], bool], *, seconds: float = 1.0) -> None:
        """Do what `run` does, once nobody else does it."""
        while not stop():
            try:
                self.run(stop)
            except Conflict:
                self._rest(seconds)
            except RegistryError as error:
                # The catalog may be away just now: it is tried again for as long as the program runs.
                log.warning("handing out was interrupted: %s", error)
                self._rest(seconds)
            except Exception:  # the edge of a thread that has to go on
                log.exception("handing out was interrupted")
                self._rest(seconds)

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
        waits_for = next((seat.waits_for for seat in self._seats if seat.waits_for is not None), None)
        state = "working" if batches else "waiting" if waits_for else "idle"
        return {"state": state, "batches": batches, "waits_for": waits_for}

    def _rest(self, seconds: float) -> None:
        self._woken.wait(seconds)
        self._woken.clear()

    def _turn(self, held: Callable[[], bool]) -> None:
        for seat in self._seats:
            if seat.running is not None and seat.running.handed.future.done():
                self._receive(seat, seat.running)
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            if not held():
                raise Conflict("the right to hand out was lost with the connection to the database")
            self._look()
        for seat in self._seats:
            if seat.running is None and now >= seat.again_at:
                self._give(seat)
            if seat.running is None and not seat.rested and now - seat.idle_since > IDLE_SECONDS:
                seat.worker.rest()
                seat.rested = True

    def _look(self) -> None:
        """See what was cancelled or has no time left, and say that jobs are held."""
        with self._catalog.read() as conn:
            if not pieces.any_live(conn, self._share):
                for seat in self._seats:
                    seat.waits_for = None
                return
        with self._catalog.write() as unit:
            pieces.drop_pieces(unit, self._share)
            pieces.beat(unit, self._share)
            pieces.settle(unit, self._share)
        for seat in self._seats:
            if seat.running is not None:
                self._drop(seat.running)

    def _drop(self, running: _Running) -> None:
        """Tell a worker which pieces of its batch nobody wants any more."""
        with self._catalog.read() as conn:
            held = pieces.held(conn, _places(running.pieces), running.id)
        for number, place in enumerate(_places(running.pieces)):
            if place not in held and place not in running.stopped:
                running.stopped.add(place)
                running.handed.drop(number)

    def _give(self, seat: _Seat) -> None:
        """Hand a worker what is to be done next, if there is anything."""
        while True:
            with self._catalog.read() as conn:
                if not pieces.any_live(conn, self._share):
                    return
            batch_id, most = uuid.uuid4().hex, self._trade.most()
            with self._catalog.write() as unit:
                taken = pieces.take(unit, self._share, most, self._owner, batch_id)
            if not taken:
                return
            with self._catalog.read() as conn:
                soon = pieces.peek(conn, self._share, most, self._catalog.clock())
            try:
                packed = self._trade.pack(batch_id, taken, soon)
            except CatalogError:
                raise
            except Exception as error:  # noqa: BLE001 - the edge where jobs are carried out: these pieces fail
                self._failed(batch_id, taken, error)
                continue
            self._end(batch_id, packed.ended)
            if packed.spec is not None:
                self._hand(seat, batch_id, packed.spec, packed.pieces)
                return

    def _hand(self, seat: _Seat, batch_id: str, spec: str, taken: Sequence[PieceView]) -> None:
        try:
            handed = seat.worker.begin(spec)
        except OutboundError as error:
            self._wait(seat, str(error), _AWAY_SECONDS, batch_id, taken)
            return
        seat.running = _Running(batch_id, taken, handed, time.monotonic(), seat.rested)
        seat.rested = False

    def _wait(
        self, seat: _Seat, said: str, seconds: float, batch_id: str, taken: Sequence[PieceView]
    ) -> None:
        """Put pieces back that nobody could begin with, and ask that worker nothing for a while."""
        seat.waits_for, seat.again_at = said, time.monotonic() + seconds
        with self._catalog.write() as unit:
            pieces.put_back(unit, _places(taken), batch_id)

    def _receive(self, seat: _Seat, running: _Running) -> None:
        seat.running, seat.idle_since = None, time.monotonic()
        error = running.handed.future.exception()
        if isinstance(error, OutboundError):
            # Whoever carries out is away: that is no fault of a piece.
            self._wait(seat, str(error), _AWAY_SECONDS, running.id, running.pieces)
            return
        if error is not None:
            self._failed(running.id, running.pieces, error)
            return
        answer = running.handed.future.result()
        seconds = None if running.cold else time.monotonic() - running.began
        try:
            received = self._trade.receive(answer, running.pieces, seconds)
        except CatalogError:
            raise
        except Exception as failure:  # noqa: BLE001 - the edge where jobs are carried out: these pieces fail
            self._failed(running.id, running.pieces, failure)
            return
        if received.busy is not None:
            self._wait(seat, received.busy, received.seconds, running.id, running.pieces)
            return
        seat.waits_for = None
        self._end(running.id, received.ended)
        missing = [piece for piece in running.pieces if (piece.job_id, piece.place) not in received.ended]
        if missing:
            self._failed(running.id, missing, RegistryError("nothing came of it"))

    def _failed(self, batch_id: str, taken: Sequence[PieceView], error: BaseException) -> None:
        """Put a batch back whose worker ended or failed; what was tried often enough has failed."""
        died = isinstance(error, BrokenProcessPool)
        said = "what carried it out stopped" if died else str(error) or type(error).__name__
        if not died and not isinstance(error, RegistryError):
            log.error("a batch failed", exc_info=error)
        over = [piece for piece in taken if piece.attempts + 1 >= MOST_TRIES]
        slug = error.slug if isinstance(error, RegistryError) else DIED
        with self._catalog.write() as unit:
            for piece in taken:
                if piece.attempts + 1 < MOST_TRIES:
                    seconds = self._back_off[min(piece.attempts, len(self._back_off) - 1)]
                    place = (piece.job_id, piece.place)
                    pieces.put_back(unit, [place], batch_id, seconds=seconds, tried=True)
            for job_id in sorted({piece.job_id for piece in taken}):
                add_line(unit, job_id, f"a batch of {len(taken)} failed: {said}")
        self._end(batch_id, {place: Outcome(pieces.FAILED, slug, said) for place in _places(over)})

    def _end(self, batch_id: str, ended: Mapping[Place, Outcome]) -> None:
        if not ended:
            return
        with self._catalog.write() as unit:
            for place, outcome in ended.items():
                pieces.end_piece(unit, place, batch_id, outcome.state, slug=outcome.slug, error=outcome.text)
                if outcome.state == pieces.FAILED:
                    add_line(unit, place[0], f"piece {place[1]} failed: {outcome.text or outcome.slug}")
            pieces.settle(unit, self._share)

    def _close(self) -> None:
        for seat in self._seats:
            running, seat.running = seat.running, None
            seat.waits_for, seat.again_at, seat.rested = None, 0.0, True
            seat.worker.close()
            if running is not None:
                with self._catalog.write() as unit:
                    pieces.leave(unit, _places(running.pieces), running.id)


def _places(taken: Sequence[PieceView]) -> list[Place]:
    return [(piece.job_id, piece.place) for piece in taken]
