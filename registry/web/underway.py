"""How far the drawing is that was asked for on the page of a lora, whose address names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlencode

from registry.catalog.jobs import LIVE, get_job
from registry.catalog.pieces import DONE, FAILED, counts, pieces_of
from registry.errors import NotFound
from registry.render.trade import RENDER, asked_of
from registry.web import words
from registry.web.drawing import Tally, said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

_JOB, _THERE, _SEEN = "drawing", "there", "seen"
_DIGITS: Final = 18
_LOOKED_AT: Final = 200


class Underway(NamedTuple):
    """What to say of a drawing, whether something failed, and the address of its job.

    While it goes on `again` is the address that tells how far it is, and `poll` one that does so once more
    came of it; `nothing_new` says that this one was asked, and that nothing did.
    """

    text: str
    bad: bool
    again: str | None
    poll: str | None
    nothing_new: bool
    job: str


_NOTHING_NEW: Final = Underway("", bad=False, again=None, poll=None, nothing_new=True, job="")


def drawing_url(lora_id: int, job: int, there: int) -> str:
    """Return the address below the root that tells how far a drawing is; some were `there` before it."""
    return _url(lora_id, {_JOB: job, _THERE: there})


def underway(conn: Connection, lora_id: int, asked: Mapping[str, str]) -> Underway | None:
    """Return what the parameters of an address ask for, `None` where that is no drawing of this lora."""
    job_id, there, seen = (_number(asked.get(name, "")) for name in (_JOB, _THERE, _SEEN))
    if job_id is None:
        return None
    try:
        job = get_job(conn, job_id)
    except NotFound:
        return None
    first = pieces_of(conn, job_id, limit=1) if job.kind == RENDER else []
    if not first or asked_of(first[0]).lora_id != lora_id:
        return None
    if job.state in LIVE and seen == job.done:
        # Asked every other second, by each page that waits, perhaps for very many.
        return _NOTHING_NEW
    pieces = pieces_of(conn, job_id, limit=_LOOKED_AT)
    states = counts(conn, [job_id]).get(job_id, {})
    total, failed = sum(states.values()), states.get(FAILED, 0)
    errors = [piece.error or "" for piece in pieces if piece.state == FAILED]
    oddities = [piece.error or piece.slug for piece in pieces if piece.state == DONE and piece.slug]
    tally = Tally(
        total=total,
        there=min(there or 0, total),
        done=states.get(DONE, 0),
        failed=failed,
        live=job.state in LIVE,
        error=next(iter(errors), ""),
        odd=len(oddities),
        oddity=next(iter(oddities), ""),
    )
    goes_on = tally.live and tally.there < total
    kept = {_JOB: job_id, _THERE: tally.there}
    return Underway(
        text=said(tally),
        bad=failed > 0,
        again=_url(lora_id, kept) if goes_on else None,
        poll=_url(lora_id, {**kept, _SEEN: job.done}) if goes_on else None,
        nothing_new=False,
        job=words.job_url(job_id),
    )


def _url(lora_id: int, asked: Mapping[str, int]) -> str:
    return f"{words.lora_url(lora_id)}?{urlencode(asked)}"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None
