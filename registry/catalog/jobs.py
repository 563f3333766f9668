"""Durable job rows: claimed by one owner, kept alive by its heartbeat, taken over when that stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import case, delete, func, select, update

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.errors import Conflict, NotFound
from registry.formats.packing import clean_text, pack_json, unpack_json
from registry.views import JobLine, JobView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection, Row, Select

    from registry.catalog.engine import Unit

JOB, MACHINE, PIECE, LINE = (tables.TABLES[name] for name in ("job", "machine", "job_piece", "job_line"))
LIVE = ("queued", "running")
_STATES = (*LIVE, "done", "failed", "cancelled", "interrupted")
STALE_MS = 30_000
_MAX_ERROR = 2000
_MOST_LINES = 200


def start_job(  # noqa: PLR0913 - what, for whom, and how to tell that somebody else is gone
    unit: Unit,
    kind: str,
    key: str,
    owner: str,
    *,
    spec: object = None,
    called: str = "",
    alive: Callable[[str | None], bool] = lambda _owner: True,
) -> int:
    """Begin a job and return its id; at most one job of a kind and key runs at a time.

    `owner` is `machine id:process id:start of it`, `called` what people call the job. A running job whose
    heartbeat is older than 30 s, or whose owner `alive(owner)` says is gone, is marked `interrupted` first.
    Raises Conflict that names who holds it.
    """
    where = (JOB.c.kind == kind) & (JOB.c.key == key) & (JOB.c.state == "running")
    for row in unit.conn.execute(select(JOB).where(where)).all():
        if alive(row.owner) and row.heartbeat is not None and unit.now - row.heartbeat < STALE_MS:
            raise Conflict(
                f"{called or f'{kind} {key}'} is running already, in {_holder(unit.conn, row.owner)}",
                remedy="wait until it is done, or stop that process; "
                f"a served catalog also takes POST /api/v1/jobs/{row.id}/cancel",
            )
        finish_job(unit, row.id, "interrupted", error="its process stopped")
    (job_id,) = unit.allocate("job", 1)
    job = {
        "id": job_id,
        "kind": kind,
        "key": key,
        "called": clean_text(called) or None,
        "state": "running",
        "spec": pack_json(spec),
        "priority": 0,
        "attempts": 1,
        "cancel": 0,
        "done": 0,
        "owner": owner,
        "heartbeat": unit.now,
        "created_at": unit.now,
        "started_at": unit.now,
        "actor": unit.actor,
        "webhook_tries": 0,
    }
    unit.insert(JOB, [job])
    return job_id


def _holder(conn: Connection, owner: str | None) -> str:
    """Return in words who an owner is: the process and the machine it runs on."""
    machine_id, _, rest = (owner or "").partition(":")
    name = conn.execute(select(MACHINE.c.name).where(MACHINE.c.id == machine_id)).scalar()
    return f"process {rest.partition(':')[0] or '(unknown)'} on the machine {name or machine_id}"


def beat_job(unit: Unit, job_id: int, done: int, total: int | None) -> bool:
    """Report progress; return whether to stop: somebody asked for it, or took the job over."""
    where = (JOB.c.id == job_id) & (JOB.c.state == "running")
    values = {"heartbeat": unit.now, "done": done, "total": total}
    if not unit.conn.execute(update(JOB).where(where).values(values)).rowcount:
        return True
    return bool(unit.conn.execute(select(JOB.c.cancel).where(JOB.c.id == job_id)).scalar())


def finish_job(  # noqa: PLR0913 - how it ended, in words and by name
    unit: Unit,
    job_id: int,
    state: str,
    *,
    result: object = None,
    error: str | None = None,
    slug: str | None = None,
) -> None:
    """End a job that is not ended yet as `done`, `failed`, `cancelled` or `interrupted`.

    `slug` names the error as `registry.errors` does. Whoever is to hear of the end is to be told from now on.
    """
    said = None if error is None else clean_text(error[:_MAX_ERROR])
    unit.conn.execute(
        update(JOB)
        .where(JOB.c.id == job_id, JOB.c.state.in_(LIVE))
        .values(
            state=state,
            finished_at=unit.now,
            result=pack_json(result),
            error=said,
            slug=slug,
            heartbeat=None,
            webhook_at=case((JOB.c.webhook.is_not(None), unit.now), else_=None),
        )
    )


def cancel_job(unit: Unit, job_id: int) -> None:
    """Ask a running job to stop; NotFound if none of that id runs."""
    where = (JOB.c.id == job_id) & JOB.c.state.in_(LIVE)
    if not unit.conn.execute(update(JOB).where(where).values(cancel=1)).rowcount:
        raise NotFound(f"no job {job_id} is running")


def delete_job(unit: Unit, job_id: int) -> None:
    """Forget a job that has ended; NotFound, Conflict for one that is not finished."""
    job = get_job(unit.conn, job_id)
    if job.state in LIVE:
        raise Conflict(f"job {job_id} is not finished", remedy=f"`loras jobs cancel {job_id}` stops it")
    for table in (PIECE, LINE):
        unit.conn.execute(delete(table).where(table.c.job_id == job_id))
    unit.conn.execute(delete(JOB).where(JOB.c.id == job_id))


def list_jobs(
    conn: Connection,
    *,
    live: bool = False,
    kind: str | None = None,
    limit: int = 50,
    before: int | None = None,
) -> list[JobView]:
    """Return the newest jobs, of those before one; or only those that are not finished, or of one kind."""
    query = select(JOB).order_by(JOB.c.id.desc()).limit(limit)
    if live:
        query = query.where(JOB.c.state.in_(LIVE))
    if kind is not None:
        query = query.where(JOB.c.kind == kind)
    if before is not None:
        query = query.where(JOB.c.id < before)
    return [_view(row) for row in conn.execute(query)]


class Standing(NamedTuple):
    """How a job stands, in what can be read of many at once."""

    id: int
    kind: str
    state: str
    done: int
    total: int | None
    finished_at: int | None


_STANDING: Select[Any] = select(*(JOB.c[name] for name in Standing._fields))


def newest_job(conn: Connection) -> int:
    """Return the id of the newest job, 0 without any."""
    return conn.execute(select(func.max(JOB.c.id))).scalar() or 0


def standing(conn: Connection, job_ids: Iterable[int]) -> list[Standing]:
    """Return how these jobs stand; those that are not there any more are left out."""
    queries = (_STANDING.where(JOB.c.id.in_(part)) for part in in_chunks(sorted(set(job_ids))))
    return [each for query in queries for each in _standing(conn, query)]


def standing_live(conn: Connection, most: int) -> list[Standing]:
    """Return how unfinished jobs stand: of more than `most` those that run, then the oldest that wait."""
    # Chosen within the index of states, and by a number that no index has: otherwise a planner may walk
    # through all that have ended.
    order = (case((JOB.c.state == "running", 0), else_=1), JOB.c.id + 0)
    chosen = select(JOB.c.id).where(JOB.c.state.in_(LIVE)).order_by(*order).limit(most)
    return _standing(conn, _STANDING.where(JOB.c.id.in_(chosen)))


def standing_after(conn: Connection, job_id: int, most: int) -> list[Standing]:
    """Return how the jobs stand that came after one, the oldest first."""
    return _standing(conn, _STANDING.where(JOB.c.id > job_id).order_by(JOB.c.id).limit(most))


def _standing(conn: Connection, query: Select[Any]) -> list[Standing]:
    return [Standing._make(row) for row in conn.execute(query)]


def add_line(unit: Unit, job_id: int, text: str) -> None:
    """Note what happened during a job, for people; of one that says much the first are kept."""
    kept = unit.conn.execute(select(func.count()).where(LINE.c.job_id == job_id)).scalar_one()
    if kept < _MOST_LINES:
        unit.insert(LINE, [{"job_id": job_id, "at": unit.now, "text": clean_text(text[:_MAX_ERROR])}])


def lines_of(conn: Connection, job_id: int) -> list[JobLine]:
    """Return what was noted of a job, the oldest first."""
    rows = conn.execute(select(LINE.c.at, LINE.c.text).where(LINE.c.job_id == job_id).order_by(LINE.c.id))
    return [JobLine(row.at, row.text) for row in rows]


def _view(row: Row[Any]) -> JobView:
    return JobView(
        id=row.id,
        kind=row.kind,
        key=row.key,
        state=row.state,
        done=row.done,
        total=row.total,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        owner=row.owner,
        error=row.error,
        result=unpack_json(row.result) if row.result else None,
        slug=row.slug,
        called=row.called,
        priority=row.priority,
        actor=row.actor,
    )


def get_job(conn: Connection, job_id: int) -> JobView:
    """Return one job; NotFound if there is none of that id."""
    row = conn.execute(select(JOB).where(JOB.c.id == job_id)).first()
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    return _view(row)


def find_job_by_key(conn: Connection, kind: str, key: str) -> JobView | None:
    """Return the newest job of a kind with a key, `None` if there is none."""
    # By the states too, so that the index is used: it begins with them.
    where = (JOB.c.state.in_(_STATES), JOB.c.kind == kind, JOB.c.key == key)
    row = conn.execute(select(JOB).where(*where).order_by(JOB.c.id.desc()).limit(1)).first()
    return None if row is None else _view(row)
