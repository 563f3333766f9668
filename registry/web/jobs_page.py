"""The pages of jobs: the list of what goes on and what was done, and one with its pieces and its log."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.catalog.jobs import LIVE, get_job, lines_of, list_jobs, standing_live
from registry.catalog.pieces import FAILED, counts, pieces_of
from registry.catalog.reading import lora_views
from registry.catalog.showing import known_of
from registry.errors import NotFound
from registry.web import jobs, words
from registry.web.frame import BUSY_SECONDS, IDLE_SECONDS, whole
from registry.web.lora_page import Notice, Told
from registry.web.marking import marks_of
from registry.web.presenters import row
from registry.web.rendering import page, unchanged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection
    from starlette.requests import Request
    from starlette.responses import Response

    from registry.views import JobLine, JobView, PieceView
    from registry.web.presenters import Row
    from registry.web.sources import Limits, Sources, Viewer

MOST: Final = 50
FAILURES: Final = 20
LORAS: Final = 24
_LOOKED_AT: Final = 200
_SEEN: Final = "seen"
_DID: Final = {
    "cancel": "It was asked to stop.",
    "retry": "It waits to be done again.",
}


class _Read(NamedTuple):
    job: JobView
    states: dict[str, int]
    lines: Sequence[JobLine]
    failed: Sequence[PieceView]
    loras: Sequence[Row]
    beyond: str


def shown_jobs(sources: Sources, request: Request, viewer: Viewer) -> Response:
    """Show the newest jobs, those that go on first; from one on only older ones that have ended."""
    asked = request.query_params.get
    before = jobs.number_of(asked("before", ""))
    with sources.catalog.read() as conn:
        standing = standing_live(conn, MOST + 1) if before is None else []
        standing.sort(key=lambda one: (one.state != "running", one.id))
        live = [get_job(conn, one.id) for one in standing[:MOST]]
        found = list_jobs(conn, limit=MOST, before=before)
    ended = [job for job in found if job.state not in LIVE]
    going, past = _rows(live, viewer.limits), _rows(ended, viewer.limits)
    seen = _digest(going, past)
    if asked(_SEEN) == seen:
        return unchanged()
    forgotten = jobs.number_of(asked("forgotten", ""))
    body = whole(
        sources,
        request,
        "jobs.html",
        viewer,
        going=going,
        more=len(standing) > MOST,
        past=past,
        notice=None if forgotten is None else Notice(f"Job {forgotten} is forgotten."),
        again=f"/jobs?{_SEEN}={seen}" if before is None else None,
        every=BUSY_SECONDS if going else IDLE_SECONDS,
        newest="/jobs" if before is not None else None,
        older=f"/jobs?before={found[-1].id}" if len(found) == MOST else None,
    )
    return page(body)


def shown_job(sources: Sources, request: Request, viewer: Viewer) -> Response:
    """Show one job: how far it is, how its pieces ended, what failed, and what happened during it."""
    did = _DID.get(request.query_params.get("did", ""))
    return job_page(sources, request, viewer, job_id_of(request), Told(None if did is None else Notice(did)))


def job_page(
    sources: Sources,
    request: Request,
    viewer: Viewer,
    job_id: int,
    told: Told,
) -> Response:
    """Return the page of a job; NotFound where there is none."""
    with sources.catalog.read() as conn:
        read = _read(sources, conn, viewer, job_id)
    job, states = read.job, read.states
    names = {one.url: one.name for one in read.loras}
    values: dict[str, object] = {
        "job": jobs.job_row(job),
        "facts": jobs.facts(job, states),
        "buttons": jobs.buttons(job, states) if viewer.may_write else (),
        "loras": read.loras[:LORAS],
        "beyond": read.beyond,
        "failures": tuple(
            jobs.failure(piece, names.get(words.lora_url(jobs.asked(piece).lora_id))) for piece in read.failed
        ),
        "unlisted": max(0, states.get(FAILED, 0) - len(read.failed)) if read.failed else 0,
        "lines": jobs.log(read.lines),
    }
    seen = _digest(*values.values())
    live = job.state in LIVE
    if live and request.query_params.get(_SEEN) == seen:
        return unchanged()
    url = words.job_url(job_id)
    body = whole(
        sources,
        request,
        "job.html",
        viewer,
        busy=live,
        here=url,
        **values,
        url=url,
        notice=told.notice,
        again=f"{url}?{_SEEN}={seen}" if live else None,
        every=BUSY_SECONDS,
    )
    return page(body, status=told.status)


def job_id_of(request: Request) -> int:
    """Return the number in the address of a job; NotFound for what is none."""
    found = jobs.number_of(request.path_params["id"])
    if found is None:
        raise NotFound("there is no such job")
    return found


def _read(sources: Sources, conn: Connection, viewer: Viewer, job_id: int) -> _Read:
    """Return a job; pieces and lines only for who is told of all loras, for they may be of any."""
    job = get_job(conn, job_id)
    states = counts(conn, [job_id]).get(job_id, {})
    if viewer.limits.entries is not None:
        return _Read(_limited(job, viewer.limits), states, (), (), (), "")
    failed = pieces_of(conn, job_id, state=FAILED, limit=FAILURES)
    first = pieces_of(conn, job_id, limit=_LOOKED_AT) if job.kind == jobs.RENDER else []
    ids = _ids(first)
    rows = _loras(sources, conn, viewer.limits, [*ids[:LORAS], *_ids(failed)])
    beyond = f"and {words.count(len(ids) - LORAS)} more" if len(ids) > LORAS else ""
    if sum(states.values()) > len(first) > 0:
        beyond = f"{beyond} in the first {words.count(len(first))} pieces".strip()
    return _Read(job, states, lines_of(conn, job_id), failed, rows, beyond)


def _ids(pieces: Iterable[PieceView]) -> list[int]:
    found = dict.fromkeys(jobs.asked(piece).lora_id for piece in pieces)
    return [lora_id for lora_id in found if lora_id]


def _loras(sources: Sources, conn: Connection, limits: Limits, ids: list[int]) -> list[Row]:
    views = lora_views(conn, list(dict.fromkeys(ids)), sources.machine_id)
    known = known_of(conn, [view.id for view in views], words=sources.searching.place.words)
    marks = marks_of(conn, known, limits)
    return [row(view, marks[view.id]) for view in views]


def _rows(found: Iterable[JobView], limits: Limits) -> list[jobs.JobRow]:
    return [jobs.job_row(_limited(job, limits)) for job in found]


def _limited(job: JobView, limits: Limits) -> JobView:
    """Return a job without what may name a lora, for who is not told of all of them."""
    if limits.entries is None:
        return job
    return replace(job, result=None, error=None, called=None)


def _digest(*shown: object) -> str:
    return blake2b(repr(shown).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
