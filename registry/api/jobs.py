"""`/api/v1/jobs`: what is done in the background: started, watched, stopped, done again, forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import actor_of, needs
from registry.api.context import context_of
from registry.api.exports import ExportBody, export
from registry.api.fingerprints import MeasureWish, measure
from registry.api.profiles import limits_of
from registry.api.renders import RenderBody, render
from registry.api.scans import ScanQuery, scan
from registry.api.serialise import answer
from registry.api.shapes import JobBody, JobList, PieceBody, PieceList
from registry.api.syncs import SyncWish, sync
from registry.catalog.drawing import drawn
from registry.catalog.jobs import delete_job, get_job, lines_of, list_jobs
from registry.catalog.pieces import counts, pieces_of, retry_job, stop_job
from registry.errors import Forbidden

if TYPE_CHECKING:
    from registry.views import JobView

router = APIRouter(tags=["jobs"])

JobId = Annotated[int, Path(ge=0, lt=2**63)]
OfKind = Annotated[str, Query(max_length=50)]


class _Kind(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ScanStart(_Kind):
    """A scan, as `POST /api/v1/scan` takes it."""

    kind: Literal["scan"]
    spec: ScanQuery = ScanQuery()


class SyncStart(_Kind):
    """A sync, as `POST /api/v1/sync` takes it."""

    kind: Literal["sync"]
    spec: SyncWish = SyncWish()


class FingerprintStart(_Kind):
    """Measuring of weights, as `POST /api/v1/fingerprints` takes it."""

    kind: Literal["fingerprint"]
    spec: MeasureWish = MeasureWish()


class ExportStart(_Kind):
    """An export, as `POST /api/v1/export` takes it."""

    kind: Literal["export"]
    spec: ExportBody


class RenderStart(_Kind):
    """A drawing, as `POST /api/v1/renders` takes it."""

    kind: Literal["render"]
    spec: RenderBody


JobStart = Annotated[
    ScanStart | SyncStart | FingerprintStart | ExportStart | RenderStart, Field(discriminator="kind")
]


@router.post("/jobs", status_code=202, dependencies=[needs("write")])
def start(request: Request, wish: JobStart) -> Response:
    """Start a job of a kind; it answers as the address of that kind does."""
    match wish:
        case ScanStart():
            return scan(request, wish.spec)
        case SyncStart():
            return sync(request, wish.spec)
        case FingerprintStart():
            return measure(request, wish.spec)
        case ExportStart():
            return export(request, wish.spec)
    return render(request, wish.spec)


@router.get("/jobs", dependencies=[needs("read")], responses={200: {"model": JobList}})
def list_(
    request: Request,
    *,
    live: bool = False,
    kind: OfKind | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Response:
    """List the newest jobs, or with `live` only those that are not finished.

    Whoever is not told of all loras is not told what came of them either: that may name any.
    """
    with context_of(request).catalog.read() as conn:
        jobs = list_jobs(conn, live=live, kind=kind, limit=limit)
    return answer(request, JobList([_told(request, job) for job in jobs]))


@router.get("/jobs/{job_id}", dependencies=[needs("read")], responses={200: {"model": JobBody}})
def show(request: Request, job_id: JobId) -> Response:
    """Tell how far one job is, how its pieces ended, and what happened during it."""
    with context_of(request).catalog.read() as conn:
        job = get_job(conn, job_id)
        states = counts(conn, [job_id]).get(job_id, {})
        lines = lines_of(conn, job_id)
    if limits_of(request).entries is not None:
        lines = []
    return answer(request, JobBody(_told(request, job), states, lines))


@router.get("/jobs/{job_id}/pieces", dependencies=[needs("read")], responses={200: {"model": PieceList}})
def pieces(
    request: Request,
    job_id: JobId,
    after: Annotated[int, Query(ge=-1, lt=2**31)] = -1,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Response:
    """List the pieces of a job beyond a place; `picture` is the key of what was drawn."""
    if limits_of(request).entries is not None:
        raise Forbidden("pieces may be of loras that this token or tool is not told of")
    with context_of(request).catalog.read() as conn:
        get_job(conn, job_id)
        found = pieces_of(conn, job_id, after=after, limit=limit)
        pictures = drawn(conn, [piece.key for piece in found])
    items = [PieceBody.of(piece, pictures.get(piece.key)) for piece in found]
    more = items[-1].place if len(items) == limit else None
    return answer(request, PieceList(items, more))


@router.post("/jobs/{job_id}/cancel", status_code=204, dependencies=[needs("write")])
def cancel(request: Request, job_id: JobId) -> Response:
    """Ask a job to stop; it does so within seconds."""
    with context_of(request).catalog.write(actor=actor_of(request)) as unit:
        stop_job(unit, job_id)
    return Response(status_code=204)


@router.post("/jobs/{job_id}/retry", status_code=202, dependencies=[needs("write")])
def retry(request: Request, job_id: JobId) -> Response:
    """Do again what failed, was cancelled or had no time left."""
    with context_of(request).catalog.write(actor=actor_of(request)) as unit:
        retry_job(unit, job_id)
    return Response(status_code=202)


@router.delete("/jobs/{job_id}", status_code=204, dependencies=[needs("write")])
def forget(request: Request, job_id: JobId) -> Response:
    """Forget a job that has ended; what it brought about stays."""
    with context_of(request).catalog.write(actor=actor_of(request)) as unit:
        delete_job(unit, job_id)
    return Response(status_code=204)


def _told(request: Request, job: JobView) -> JobView:
    if limits_of(request).entries is None:
        return job
    return replace(job, result=None, error=None, called=None)
