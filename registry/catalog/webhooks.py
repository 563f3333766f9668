"""Which jobs somebody is to be told of that they have ended, and how telling went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, select, update

from registry.catalog.jobs import JOB, LIVE, add_line, get_job

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from registry.catalog.engine import Unit
    from registry.views import JobView

_MAX_ERROR = 2000


@dataclass(frozen=True, slots=True)
class Due:
    """A job that has ended, whom to tell, how often that was tried, and the how-manieth end it is."""

    job: JobView
    url: str
    tries: int
    attempt: int


def any_due(conn: Connection, now: int) -> bool:
    """Whether anything is to be told at a time in milliseconds."""
    return conn.execute(select(JOB.c.id).where(_is_due(now)).limit(1)).first() is not None


def take_due(unit: Unit, most: int, lease_ms: int) -> list[Due]:
    """Take what is to be told now, the longest due first; it is due again after `lease_ms` unless it is told.

    Two processes of one catalog never take the same.
    """
    query = (
        select(JOB.c.id, JOB.c.webhook, JOB.c.webhook_tries, JOB.c.attempts)
        .where(_is_due(unit.now))
        .order_by(JOB.c.webhook_at, JOB.c.id)
        .limit(most)
    )
    rows = unit.conn.execute(query).all()
    taken = JOB.c.id.in_([row.id for row in rows])
    unit.conn.execute(update(JOB).where(taken).values(webhook_at=unit.now + lease_ms))
    return [Due(get_job(unit.conn, row.id), row.webhook, row.webhook_tries, row.attempts) for row in rows]


def told(unit: Unit, due: Due) -> None:
    """Note that the end of a job was told."""
    _set(unit, due, webhook_at=None, webhook_tries=0, webhook_error=None)


def again(unit: Unit, due: Due, error: str, milliseconds: int) -> None:
    """Note that telling failed, and is to be tried again after a time."""
    at = unit.now + milliseconds
    _set(unit, due, webhook_at=at, webhook_tries=due.tries + 1, webhook_error=error[:_MAX_ERROR])


def given_up(unit: Unit, due: Due, error: str) -> None:
    """Note that telling failed for good; a job that is done again tells its next end."""
    _set(unit, due, webhook_at=None, webhook_tries=0, webhook_error=error[:_MAX_ERROR])
    add_line(unit, due.job.id, f"its webhook was given up: {error}")


def put_off(unit: Unit, due: Due) -> None:
    """Let it be due as before, without counting."""
    _set(unit, due, webhook_at=unit.now)


def _is_due(now: int) -> ColumnElement[bool]:
    return and_(JOB.c.webhook_at <= now, JOB.c.webhook.is_not(None), JOB.c.state.not_in(LIVE))


def _set(unit: Unit, due: Due, **values: object) -> None:
    # One that was begun anew meanwhile has another end to tell.
    same = (JOB.c.id == due.job.id) & (JOB.c.attempts == due.attempt)
    unit.conn.execute(update(JOB).where(same).values(**values))
