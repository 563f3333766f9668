"""`/api/v1/sync`: asking Civitai where files come from."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import actor_of, needs
from registry.api.context import context_of
from registry.api.profiles import limits_of
from registry.api.serialise import answer
from registry.api.shapes import SyncPlan, SyncStarted, SyncState
from registry.catalog.jobs import list_jobs
from registry.catalog.lookups import counts_by_state

router = APIRouter(tags=["civitai"])


class SyncWish(BaseModel):
    """What to ask for: what a query finds, everything without one; with `all` also what is not due yet."""

    model_config = ConfigDict(extra="forbid")
    query: Annotated[str, Field(max_length=10_000)] = ""
    all: bool = False
    dry_run: bool = False


@router.post(
    "/sync",
    status_code=202,
    dependencies=[needs("write")],
    responses={
        200: {"model": SyncPlan, "description": "With `dry_run`: what would be asked for"},
        202: {"model": SyncStarted},
    },
)
def sync(request: Request, wish: SyncWish | None = None) -> Response:
    """Start a sync with Civitai; only hashes are sent, none of files in private roots."""
    wish = wish or SyncWish()
    context = context_of(request)
    if wish.dry_run:
        return answer(request, SyncPlan.of(context.plan_sync(wish.query, wish.all)))
    job = context.sync(wish.query, wish.all, actor_of(request))
    return answer(request, SyncStarted(job), status=202)


@router.get("/sync", dependencies=[needs("read")], responses={200: {"model": SyncState}})
def state(request: Request) -> Response:
    """Tell what asking came to so far, in files, and how the last runs went.

    Whoever is not told of all loras is told of no errors: these may name any.
    """
    with context_of(request).catalog.read() as conn:
        jobs = [job for job in list_jobs(conn, limit=200) if job.kind == "sync"][:10]
        states = counts_by_state(conn)
    if limits_of(request).entries is not None:
        jobs = [replace(job, result=None, error=None) for job in jobs]
    return answer(request, SyncState(states, jobs))
