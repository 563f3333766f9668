"""`/api/v1/status` and `/healthz`: how much there is, what is going on, whether we live."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from registry.api.access import needs
from registry.api.context import context_of
from registry.api.serialise import answer
from registry.api.shapes import Health, Status
from registry.api.version import version
from registry.catalog.changes import generation
from registry.catalog.counting import count_files, count_loras
from registry.catalog.problems import count_problems

router = APIRouter(tags=["status"], dependencies=[needs("read")])
health = APIRouter(tags=["status"])


@router.get("/status", responses={200: {"model": Status}})
def status(request: Request) -> Response:
    """Tell counts and progress; `generation` grows with every change of the catalog."""
    context = context_of(request)
    with context.catalog.read() as conn:
        told = Status(
            version=version(),
            generation=generation(conn),
            database="sqlite" if context.catalog.sqlite else "postgresql",
            loras=count_loras(conn),
            files=count_files(conn),
            problems=count_problems(conn),
            progress=context.progress(),
        )
    return answer(request, told)


@health.get("/healthz", responses={200: {"model": Health}})
def healthz(request: Request) -> Response:
    """Tell whether the server answers and its catalog can be read; needs no token."""
    with context_of(request).catalog.read() as conn:
        generation(conn)
    return answer(request, Health("ok"))
