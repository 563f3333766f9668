"""Jobs that are handed out in pieces: queued, taken in batches, put back, ended, counted.

A piece that runs while nobody hands anything out is taken again: nothing of it is lost, for what comes of a
piece is known by its key.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, exists, func, or_, select, tuple_, update

from registry.catalog.jobs import JOB, LIVE, PIECE, cancel_job, finish_job, get_job
from registry.catalog.keys import in_chunks
from registry.errors import BadRequest, Conflict
from registry.formats.packing import clean_text, pack_json, unpack_json
from registry.views import PieceView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from registry.catalog.engine import Unit

WAITING, RUNNING, DONE, FAILED, CANCELLED, LEFT = (
    "waiting", "running", "done", "failed", "cancelled", "left",
)  # fmt: skip
ALONE: Final = 2
"""A piece that was tried so often is tried alone: it may be what ends those who carry it out."""
_MAX_ERROR = 2000
_AT_ONCE = 1000

Place = tuple[int, int]
"""A piece by its job and its place there."""


@dataclass(frozen=True, slots=True)
class NewPiece:
    """A piece that is asked for; `spec` is JSON."""

    key: str
    fits: str
    spec: object


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is asked for in pieces, which are looked at once.

    `machine` is the one that does it, `ends_at` when what is left is left, in milliseconds, `webhook` an
    address that is told of the end.
    """

    kind: str
    key: str
    pieces: Iterable[NewPiece]
    called: str
    spec: object = None
    machine: str = ""
    priority: int = 0
    ends_at: int | None = None
    webhook: str | None = None


class Share(NamedTuple):
    """The jobs that one process hands out: those of a kind that were asked for on its machine.

    Files and base models are where they were asked for.
    """

    kind: str
    machine: str

    def live(self) -> tuple[ColumnElement[bool], ...]:
        """Return what is true of those that are not finished."""
        return (
            JOB.c.state.in_(LIVE),
            JOB.c.kind == self.kind,
            JOB.c.machine == self.machine,
            JOB.c.total > 0,
        )


def queue_job(unit: Unit, job: NewJob) -> int:
    """Store a job and its pieces to be handed out, and return its id; BadRequest where there are none."""
    (job_id,) = unit.allocate("job", 1)
    row = {
        "id": job_id,
        "kind": job.kind,
        "key": job.key,
        "machine": job.machine,
        "called": clean_text(job.called),
        "state": "queued",
        "spec": pack_json(job.spec),
        "priority": job.priority,
        "attempts": 0,
        "cancel": 0,
        "done": 0,
        "total": 0,
        "created_at": unit.now,
        "actor": unit.actor,
        "ends_at": job.ends_at,
        "webhook": job.webhook,
        "webhook_tries": 0,
    }
    unit.insert(JOB, [row])
    total, pieces = 0, iter(job.pieces)
    while some := list(islice(pieces, _AT_ONCE)):
        unit.insert(PIECE, [_row(job_id, place, piece) for place, piece in enumerate(some, total)])
        total += len(some)
    if not total:
        raise BadRequest("there is nothing to do")
    unit.conn.execute(update(JOB).where(JOB.c.id == job_id).values(total=total))
    return job_id


def _row(job_id: int, place: int, piece: NewPiece) -> dict[str, object]:
    return {
        "job_id": job_id,
        "place": place,
        "key": piece.key,
        "fits": piece.fits,
        "state": WAITING,
        "spec": pack_json(piece.spec),
        "attempts": 0,
    }


def take(unit: Unit, share: Share, most: int, owner: str, batch: str) -> list[PieceView]:
    """Take pieces that can be done together, those of the highest priority and oldest job first.

    None has the key of another or of one that runs. They and their jobs are `running` from now on, in this
    batch and held by `owner`.
    """
    taken = _together(unit.conn, share, most, unit.now)
    if not taken:
        return []
    places = [(row.job_id, row.place) for row in taken]
    for part in in_chunks(places):
        where = tuple_(PIECE.c.job_id, PIECE.c.place).in_(part)
        unit.conn.execute(update(PIECE).where(where).values(state=RUNNING, batch=batch))
    started = {"started_at": func.coalesce(JOB.c.started_at, unit.now)}
    unit.conn.execute(
        update(JOB)
        .where(JOB.c.id.in_(sorted({job_id for job_id, _ in places})))
        .values({"state": "running", "owner": owner, "heartbeat": unit.now} | started)
    )
    return [_view(row) for row in taken]


def peek(conn: Connection, share: Share, most: int, now: int) -> list[PieceView]:
    """Return what would be taken next."""
    return [_view(row) for row in _together(conn, share, most, now)]


def _together(conn: Connection, share: Share, most: int, now: int) -> list[Row[Any]]:
    """Return waiting pieces of one batch, looking at no more rows than are needed."""
    jobs = conn.execute(_wanted(share, now).order_by(JOB.c.priority.desc(), JOB.c.id)).scalars().all()
    running = set(conn.execute(select(PIECE.c.key).where(PIECE.c.state == RUNNING)).scalars())
    first = next((row for job in jobs if (row := _first(conn, job, running, now)) is not None), None)
    if first is None or first.attempts >= ALONE or most == 1:
        return [] if first is None else [first]
    found: dict[str, Row[Any]] = {}
    for job in jobs:
        alike = _due(job, now).where(PIECE.c.fits == first.fits, PIECE.c.attempts < ALONE)
        for row in conn.execute(alike.limit(most + len(running))):
            if row.key not in running:
                found.setdefault(row.key, row)
        if len(found) >= most:
            break
    return list(found.values())[:most]


def _wanted(share: Share, now: int) -> Select[Any]:
    return select(JOB.c.id).where(
        *share.live(), JOB.c.cancel == 0, or_(JOB.c.ends_at.is_(None), JOB.c.ends_at > now)
    )


def _first(conn: Connection, job: int, running: set[str], now: int) -> Row[Any] | None:
    rows = conn.execute(_due(job, now).limit(1 + len(running)))
    return next((row for row in rows if row.key not in running), None)


def _due(job: int, now: int) -> Select[Any]:
    return (
        select(PIECE)
        .where(
            PIECE.c.state == WAITING,
            PIECE.c.job_id == job,
            or_(PIECE.c.not_before.is_(None), PIECE.c.not_before <= now),
        )
        .order_by(PIECE.c.place)
    )


def end_piece(  # noqa: PLR0913 - which, how and why
    unit: Unit, place: Place, batch: str, state: str, *, slug: str | None = None, error: str | None = None
) -> None:
    """End a piece that runs in a batch; one that was given up or handed out again meanwhile stays so."""
    said = None if error is None else clean_text(error[:_MAX_ERROR])
    ended = {"state": state, "slug": slug, "error": said, "not_before": None}
    number = unit.conn.execute(update(PIECE).where(_held(place, batch)).values(ended)).rowcount
    _count(unit, {place[0]: number})


def put_back(
    unit: Unit, places: Sequence[Place], batch: str, *, seconds: float = 0.0, tried: bool = False
) -> None:
    """Let pieces that run in a batch wait again, some time at least; `tried` counts it as an attempt."""
    values: dict[str, Any] = {"state": WAITING, "not_before": unit.now + int(seconds * 1000)}
    if tried:
        values["attempts"] = PIECE.c.attempts + 1
    for place in places:
        unit.conn.execute(update(PIECE).where(_held(place, batch)).values(values))


def held(conn: Connection, places: Sequence[Place], batch: str) -> set[Place]:
    """Return those of the pieces that still run in a batch, of jobs that nobody wants to end."""
    found: set[Place] = set()
    for part in in_chunks(places):
        query = (
            select(PIECE.c.job_id, PIECE.c.place)
            .join(JOB, JOB.c.id == PIECE.c.job_id)
            .where(tuple_(PIECE.c.job_id, PIECE.c.place).in_(part), PIECE.c.state == RUNNING)
            .where(PIECE.c.batch == batch, JOB.c.cancel == 0)
        )
        found.update((row.job_id, row.place) for row in conn.execute(query))
    return found


def leave(unit: Unit, places: Sequence[Place], batch: str) -> None:
    """Let pieces and their jobs wait for the next who hands them out."""
    put_back(unit, places, batch)
    jobs = sorted({job_id for job_id, _ in places})
    where = and_(JOB.c.id.in_(jobs), JOB.c.state == "running")
    unit.conn.execute(update(JOB).where(where).values(state="queued", heartbeat=None))


def orphans_back(unit: Unit, share: Share) -> int:
    """Let all pieces wait again that run while nobody carries them out, and return how many there are."""
    where = and_(PIECE.c.state == RUNNING, PIECE.c.job_id.in_(select(JOB.c.id).where(*share.live())))
    return unit.conn.execute(update(PIECE).where(where).values(state=WAITING)).rowcount


def drop_pieces(unit: Unit, share: Share) -> None:
    """Give up what was cancelled, and what waits and has no time left."""
    cancelled = unit.conn.execute(select(JOB.c.id).where(JOB.c.cancel == 1, *share.live())).scalars().all()
    for job_id in cancelled:
        _drop(unit, job_id, (WAITING, RUNNING), CANCELLED)
    over = unit.conn.execute(select(JOB.c.id).where(JOB.c.ends_at <= unit.now, *share.live()))
    for job_id in over.scalars().all():
        _drop(unit, job_id, (WAITING,), LEFT)


def _drop(unit: Unit, job_id: int, states: Sequence[str], state: str) -> None:
    where = and_(PIECE.c.job_id == job_id, PIECE.c.state.in_(states))
    _count(unit, {job_id: unit.conn.execute(update(PIECE).where(where).values(state=state)).rowcount})


def _count(unit: Unit, ended: Mapping[int, int]) -> None:
    for job_id, number in ended.items():
        if number:
            unit.conn.execute(update(JOB).where(JOB.c.id == job_id).values(done=JOB.c.done + number))


def stop_job(unit: Unit, job_id: int) -> None:
    """Ask a job to stop; one that was not begun ends at once. NotFound if none of that id is to be done."""
    cancel_job(unit, job_id)
    if get_job(unit.conn, job_id).state == "queued":
        _drop(unit, job_id, (WAITING, RUNNING), CANCELLED)
        _end(unit, job_id, cancelled=True)


def beat(unit: Unit, share: Share) -> None:
    """Say that the running jobs of a share are held."""
    where = and_(*share.live(), JOB.c.state == "running")
    unit.conn.execute(update(JOB).where(where).values(heartbeat=unit.now))


def settle(unit: Unit, share: Share) -> list[int]:
    """End the jobs of a share that have no piece left to do, and return their ids."""
    left = exists().where(PIECE.c.job_id == JOB.c.id, PIECE.c.state.in_((WAITING, RUNNING)))
    query = select(JOB.c.id, JOB.c.cancel).where(*share.live(), ~left)
    rows = unit.conn.execute(query).all()
    for row in rows:
        _end(unit, row.id, cancelled=bool(row.cancel))
    return [row.id for row in rows]


def _end(unit: Unit, job_id: int, *, cancelled: bool) -> None:
    states = counts(unit.conn, [job_id])[job_id]
    if cancelled or states.keys() == {CANCELLED}:
        finish_job(unit, job_id, "cancelled", result=states)
    elif states.keys() <= {FAILED}:
        first = select(PIECE.c.slug, PIECE.c.error).where(PIECE.c.job_id == job_id).order_by(PIECE.c.place)
        slug, error = unit.conn.execute(first.limit(1)).one()
        finish_job(unit, job_id, "failed", result=states, error=error, slug=slug)
    else:
        finish_job(unit, job_id, "done", result=states)


def retry_job(unit: Unit, job_id: int) -> int:
    """Let all that a job did not bring about wait again, and return how much that is.

    Raises NotFound, Conflict for one that is not finished, BadRequest where there is nothing to do again.
    """
    job = get_job(unit.conn, job_id)
    if job.state in LIVE:
        raise Conflict(f"job {job_id} is not finished", remedy="wait for it, or cancel it first")
    where = and_(PIECE.c.job_id == job_id, PIECE.c.state != DONE)
    again = {"state": WAITING, "attempts": 0, "not_before": None, "slug": None, "error": None, "batch": None}
    number = unit.conn.execute(update(PIECE).where(where).values(again)).rowcount
    if not number:
        raise BadRequest(
            f"job {job_id} has nothing that could be done again",
            remedy="start it anew in the way it was started",
        )
    fresh = {"state": "queued", "cancel": 0, "finished_at": None, "error": None, "slug": None, "result": None}
    more = {"attempts": JOB.c.attempts + 1, "ends_at": None, "done": JOB.c.total - number}
    unit.conn.execute(update(JOB).where(JOB.c.id == job_id).values(fresh | more))
    return number


def counts(conn: Connection, job_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return how many pieces of each job are in which state."""
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for part in in_chunks(job_ids):
        query = (
            select(PIECE.c.job_id, PIECE.c.state, func.count().label("number"))
            .where(PIECE.c.job_id.in_(part))
            .group_by(PIECE.c.job_id, PIECE.c.state)
        )
        for row in conn.execute(query):
            found[row.job_id][row.state] = row.number
    return dict(found)


def pieces_of(
    conn: Connection, job_id: int, *, after: int = -1, limit: int = 1000, state: str | None = None
) -> list[PieceView]:
    """Return pieces of a job in their order, beyond a place; or only those in a state."""
    query = select(PIECE).where(PIECE.c.job_id == job_id, PIECE.c.place > after)
    if state is not None:
        query = query.where(PIECE.c.state == state)
    return [_view(row) for row in conn.execute(query.order_by(PIECE.c.place).limit(limit))]


def any_live(conn: Connection, share: Share) -> bool:
    """Whether there is a job of a share that is not finished."""
    return conn.execute(select(JOB.c.id).where(*share.live()).limit(1)).first() is not None


def _held(place: Place, batch: str) -> ColumnElement[bool]:
    return and_(
        PIECE.c.job_id == place[0],
        PIECE.c.place == place[1],
        PIECE.c.state == RUNNING,
        PIECE.c.batch == batch,
    )


def _view(row: Row[Any]) -> PieceView:
    spec = unpack_json(row.spec)
    return PieceView(
        row.job_id, row.place, row.key, row.fits, row.state, spec, row.attempts, row.slug, row.error
    )
