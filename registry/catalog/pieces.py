"""Jobs that are handed out in pieces: queued, taken in batches, put back, ended, counted.

A piece that runs while nobody hands anything out is taken again: nothing of it is lost, for what comes of a
piece is known by its key.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, exists, func, or_, select, tuple_, update

from registry.catalog.jobs import JOB, LIVE, PIECE, cancel_job, finish_job, get_job
from registry.catalog.keys import in_chunks
from registry.errors import BadRequest, Conflict
from registry.formats.packing import clean_text, pack_json, unpack_json
from registry.views import PieceView

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row

    from registry.catalog.engine import Unit

WAITING, RUNNING, DONE, FAILED, CANCELLED, LEFT = (
    "waiting", "running", "done", "failed", "cancelled", "left",
)  # fmt: skip
ALONE: Final = 2
"""A piece that was tried so often is tried alone: it may be what ends those who carry it out."""
_MAX_ERROR = 2000
_WIDE: Final = 8

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
    """A job that is asked for in pieces.

    `ends_at` is when what is left is left, in milliseconds; `webhook` an address that is told of the end.
    """

    kind: str
    key: str
    pieces: Sequence[NewPiece]
    called: str
    spec: object = None
    priority: int = 0
    ends_at: int | None = None
    webhook: str | None = None


def queue_job(unit: Unit, job: NewJob) -> int:
    """Store a job and its pieces to be handed out, and return its id; BadRequest where there are none."""
    if not job.pieces:
        raise BadRequest("there is nothing to do")
    (job_id,) = unit.allocate("job", 1)
    row = {
        "id": job_id,
        "kind": job.kind,
        "key": job.key,
        "called": clean_text(job.called),
        "state": "queued",
        "spec": pack_json(job.spec),
        "priority": job.priority,
        "attempts": 0,
        "cancel": 0,
        "done": 0,
        "total": len(job.pieces),
        "created_at": unit.now,
        "actor": unit.actor,
        "ends_at": job.ends_at,
        "webhook": job.webhook,
        "webhook_tries": 0,
    }
    unit.insert(JOB, [row])
    unit.insert(
        PIECE,
        [
            {
                "job_id": job_id,
                "place": place,
                "key": piece.key,
                "fits": piece.fits,
                "state": WAITING,
                "spec": pack_json(piece.spec),
                "attempts": 0,
            }
            for place, piece in enumerate(job.pieces)
        ],
    )
    return job_id


def take(unit: Unit, kinds: Iterable[str], most: int, owner: str) -> list[PieceView]:
    """Take pieces that can be done together, those of the highest priority and oldest job first.

    None has the key of another or of one that runs. They and their jobs are `running` from now on, held by
    `owner`.
    """
    taken = _together(unit, kinds, most)
    if not taken:
        return []
    places = [(row.job_id, row.place) for row in taken]
    _set(unit, places, state=RUNNING)
    jobs = sorted({job_id for job_id, _ in places})
    unit.conn.execute(
        update(JOB)
        .where(JOB.c.id.in_(jobs))
        .values(
            state="running",
            owner=owner,
            heartbeat=unit.now,
            started_at=func.coalesce(JOB.c.started_at, unit.now),
        )
    )
    return [_view(row) for row in taken]


def peek(unit: Unit, kinds: Iterable[str], most: int) -> list[PieceView]:
    """Return what would be taken next, and leave it as it is."""
    return [_view(row) for row in _together(unit, kinds, most)]


def _together(unit: Unit, kinds: Iterable[str], most: int) -> list[Row[Any]]:
    due = _due(unit, kinds)
    first = unit.conn.execute(due.limit(1)).first()
    if first is None:
        return []
    rows: Sequence[Row[Any]] = [first]
    if first.attempts < ALONE and most > 1:
        alike = due.where(PIECE.c.fits == first.fits, PIECE.c.attempts < ALONE)
        rows = unit.conn.execute(alike.limit(most * _WIDE)).all()
    once = {row.key: row for row in reversed(rows)}
    return [row for row in rows if once[row.key] is row][:most]


def _due(unit: Unit, kinds: Iterable[str]) -> Any:
    other = PIECE.alias("other")
    taken = exists().where(other.c.key == PIECE.c.key, other.c.state == RUNNING)
    return (
        select(PIECE)
        .join(JOB, JOB.c.id == PIECE.c.job_id)
        .where(
            PIECE.c.state == WAITING,
            JOB.c.state.in_(LIVE),
            JOB.c.kind.in_(sorted(kinds)),
            JOB.c.cancel == 0,
            or_(JOB.c.ends_at.is_(None), JOB.c.ends_at > unit.now),
            or_(PIECE.c.not_before.is_(None), PIECE.c.not_before <= unit.now),
            ~taken,
        )
        .order_by(JOB.c.priority.desc(), JOB.c.id, PIECE.c.place)
    )


def end_piece(
    unit: Unit, place: Place, state: str, *, slug: str | None = None, error: str | None = None
) -> None:
    """End a piece that runs; one that was given up meanwhile stays so."""
    said = None if error is None else clean_text(error[:_MAX_ERROR])
    unit.conn.execute(
        update(PIECE)
        .where(PIECE.c.job_id == place[0], PIECE.c.place == place[1], PIECE.c.state == RUNNING)
        .values(state=state, slug=slug, error=said, not_before=None)
    )


def put_back(unit: Unit, places: Sequence[Place], *, seconds: float = 0.0, tried: bool = False) -> None:
    """Let pieces wait again, for some time at least; `tried` counts it as an attempt."""
    values: dict[str, Any] = {"state": WAITING, "not_before": unit.now + int(seconds * 1000)}
    if tried:
        values["attempts"] = PIECE.c.attempts + 1
    _set(unit, places, **values)


def orphans_back(unit: Unit, kinds: Iterable[str]) -> int:
    """Let all pieces wait again that run while nobody carries them out, and return how many there are."""
    of_kinds = select(JOB.c.id).where(JOB.c.kind.in_(sorted(kinds)))
    where = and_(PIECE.c.state == RUNNING, PIECE.c.job_id.in_(of_kinds))
    return unit.conn.execute(update(PIECE).where(where).values(state=WAITING)).rowcount


def drop_pieces(unit: Unit, kinds: Iterable[str]) -> list[Place]:
    """Give up what was cancelled or has no time left; return those pieces of it that run.

    A running piece of a job whose time is over is finished.
    """
    of_kinds = (JOB.c.kind.in_(sorted(kinds)), JOB.c.state.in_(LIVE))
    cancelled = select(JOB.c.id).where(JOB.c.cancel == 1, *of_kinds)
    over = select(JOB.c.id).where(JOB.c.ends_at <= unit.now, *of_kinds)
    dropped = and_(PIECE.c.job_id.in_(cancelled), PIECE.c.state == RUNNING)
    running = unit.conn.execute(select(PIECE.c.job_id, PIECE.c.place).where(dropped)).all()
    live = and_(PIECE.c.job_id.in_(cancelled), PIECE.c.state.in_((WAITING, RUNNING)))
    unit.conn.execute(update(PIECE).where(live).values(state=CANCELLED))
    late = and_(PIECE.c.job_id.in_(over), PIECE.c.state == WAITING)
    unit.conn.execute(update(PIECE).where(late).values(state=LEFT))
    return [(row.job_id, row.place) for row in running]


def stop_job(unit: Unit, job_id: int) -> None:
    """Ask a job to stop; one that was not begun ends at once. NotFound if none of that id is to be done."""
    cancel_job(unit, job_id)
    job = get_job(unit.conn, job_id)
    if job.state == "queued":
        drop_pieces(unit, [job.kind])
        settle(unit, [job.kind])


def beat(unit: Unit, kinds: Iterable[str]) -> None:
    """Say how far the running jobs of these kinds are."""
    live = unit.conn.execute(
        select(JOB.c.id).where(JOB.c.kind.in_(sorted(kinds)), JOB.c.state == "running")
    ).scalars()
    for job_id, states in counts(unit.conn, list(live)).items():
        done = sum(number for state, number in states.items() if state not in {WAITING, RUNNING})
        unit.conn.execute(update(JOB).where(JOB.c.id == job_id).values(heartbeat=unit.now, done=done))


def settle(unit: Unit, kinds: Iterable[str]) -> list[int]:
    """End the jobs of these kinds that have no piece left to do, and return their ids."""
    left = exists().where(PIECE.c.job_id == JOB.c.id, PIECE.c.state.in_((WAITING, RUNNING)))
    has = exists().where(PIECE.c.job_id == JOB.c.id)
    query = select(JOB.c.id, JOB.c.cancel).where(
        JOB.c.kind.in_(sorted(kinds)), JOB.c.state.in_(LIVE), has, ~left
    )
    rows = unit.conn.execute(query).all()
    for row in rows:
        _end(unit, row.id, cancelled=bool(row.cancel))
    return [row.id for row in rows]


def _end(unit: Unit, job_id: int, *, cancelled: bool) -> None:
    states = counts(unit.conn, [job_id])[job_id]
    done = {"done": sum(states.values())}
    unit.conn.execute(update(JOB).where(JOB.c.id == job_id).values(done))
    if cancelled:
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
    where = and_(PIECE.c.job_id == job_id, PIECE.c.state.in_((FAILED, CANCELLED, LEFT, WAITING, RUNNING)))
    again = {"state": WAITING, "attempts": 0, "not_before": None, "slug": None, "error": None}
    number = unit.conn.execute(update(PIECE).where(where).values(again)).rowcount
    if not number:
        raise BadRequest(
            f"job {job_id} has nothing that could be done again",
            remedy="start it anew in the way it was started",
        )
    fresh = {"state": "queued", "cancel": 0, "finished_at": None, "error": None, "slug": None, "result": None}
    attempts = {"attempts": JOB.c.attempts + 1, "ends_at": None}
    unit.conn.execute(update(JOB).where(JOB.c.id == job_id).values(fresh | attempts))
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


def pieces_of(conn: Connection, job_id: int, *, after: int = -1, limit: int = 1000) -> list[PieceView]:
    """Return pieces of a job in their order, beyond a place."""
    query = select(PIECE).where(PIECE.c.job_id == job_id, PIECE.c.place > after)
    return [_view(row) for row in conn.execute(query.order_by(PIECE.c.place).limit(limit))]


def any_waiting(conn: Connection, kinds: Iterable[str]) -> bool:
    """Whether there is a job of these kinds that is not finished."""
    query = select(JOB.c.id).where(JOB.c.kind.in_(sorted(kinds)), JOB.c.state.in_(LIVE), JOB.c.total > 0)
    return conn.execute(query.limit(1)).first() is not None


def _set(unit: Unit, places: Sequence[Place], **values: Any) -> None:
    for part in in_chunks(places):
        where = and_(tuple_(PIECE.c.job_id, PIECE.c.place).in_(part), PIECE.c.state != CANCELLED)
        unit.conn.execute(update(PIECE).where(where).values(**values))


def _view(row: Row[Any]) -> PieceView:
    spec = unpack_json(row.spec)
    return PieceView(
        row.job_id, row.place, row.key, row.fits, row.state, spec, row.attempts, row.slug, row.error
    )
