"""`/api/v1/scan` and `/hashing`: looking for files, and when they may be read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import actor_of, needs
from registry.api.context import context_of
from registry.api.serialise import answer
from registry.api.shapes import ScanStarted

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
