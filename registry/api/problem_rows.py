"""`/api/v1/problems`: what is wrong with files and roots, and what to do about it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from registry import cursor as cursors
from registry.api.access import needs
from registry.api.context import context_of
from registry.api.serialise import answer
from registry.api.shapes import ProblemPage
from registry.catalog.problems import count_problems, list_problems

router = APIRouter(tags=["problems"], dependencies=[needs("read")])


@router.get("/problems", responses={200: {"model": ProblemPage}})
def list_(
    request: Request,
    *,
    slug: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Response:
    """List problems in the order in which they were found, all or those of one kind."""
    after = 0
    if cursor is not None:
        after = cursors.decode(cursor, "problem", cursors.is_integer)[1]
    with context_of(request).catalog.read() as conn:
        found = list_problems(conn, after=after, limit=limit + 1, slug=slug)
        counts = count_problems(conn)
    shown = found[:limit]
    more = cursors.after("problem", (shown[-1].id, shown[-1].id)) if len(found) > limit else None
    total = sum(counts.values()) if slug is None else counts.get(slug, 0)
    return answer(request, ProblemPage(shown, more, total))
