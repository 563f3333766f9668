"""`/api/v1/scan`, `/hashing` and `/jobs`: starting work in the background, watching and stopping it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import actor_of, needs
from registry.api.context import context_of
from registry.api.profiles import limits_of
from registry.api.serialise import answer
from registry.api.shapes import JobList, ScanStarted
from registry.catalog.jobs import cancel_job, list_jobs

router = APIRouter(tags=["jobs"])


class ScanQuery(BaseModel):
    """Which roots to scan; without `roots`, all of this machine."""

    model_config = ConfigDict(extra="forbid")
    roots: (
        Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1, max_length=1000)] | None
    ) = None


@router.post("/scan", status_code=202, dependencies=[needs("write")], responses={202: {"model": ScanStarted}})
def scan(request: Request, query: ScanQuery | None = None) -> Response:
    """Start to look for new, changed and missing files."""
    wanted = query.roots if query else None
    return answer(request, ScanStarted(context_of(request).scan(wanted, actor_of(request))), status=202)


class HashingWish(BaseModel):
    """Whether hashing rests, on all machines, until somebody says otherwise."""

    model_config = ConfigDict(extra="forbid")
    paused: bool


@router.put("/hashing", status_code=204, dependencies=[needs("write")])
def pause(request: Request, wish: HashingWish) -> Response:
    """Pause hashing or let it go on; `/status` tells how far it is."""
    context_of(request).pause_hashing(wish.paused, actor_of(request))
    return Response(status_code=204)


@router.get("/jobs", dependencies=[needs("read")], responses={200: {"model": JobList}})
def list_(
    request: Request, *, live: bool = False, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> Response:
    """List the newest jobs, or with `live` only those that are not finished.

    Whoever is not told of all loras is not told what came of them either: that may name any.
    """
    with context_of(request).catalog.read() as conn:
        jobs = list_jobs(conn, live=live, limit=limit)
    if limits_of(request).entries is not None:
        jobs = [replace(job, result=None, error=None) for job in jobs]
    return answer(request, JobList(jobs))


@router.post("/jobs/{job_id}/cancel", status_code=204, dependencies=[needs("write")])
def cancel(request: Request, job_id: Annotated[int, Path(ge=0, lt=2**63)]) -> Response:
    """Ask a job to stop; it does so within seconds."""
    with context_of(request).catalog.write(actor=actor_of(request)) as unit:
        cancel_job(unit, job_id)
    return Response(status_code=204)
