"""`/api/v1/problems`: what is wrong with files and roots, and what to do about it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from registry import cursor as cursors
from registry.api.access import needs
from registry.api.context import context_of
from registry.api.levels import told_ids
from registry.api.profiles import limits_of
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
    """List problems in the order in which they were found, all or those of one kind.

    Those of loras that whoever asks is not told of are left out of the page, and counted in `total`.
    """
    after = 0
    if cursor is not None:
        after = cursors.decode(cursor, "problem", cursors.is_integer)[1]
    context = context_of(request)
    with context.catalog.read() as conn:
        found = list_problems(conn, after=after, limit=limit + 1, slug=slug)
        counts = count_problems(conn)
        loras = [one.lora_id for one in found if one.lora_id is not None]
        told = told_ids(conn, loras, limits_of(request, conn=conn), context.searching.place.words)
    shown = found[:limit]
    more = cursors.after("problem", (shown[-1].id, shown[-1].id)) if len(found) > limit else None
    total = sum(counts.values()) if slug is None else counts.get(slug, 0)
    return answer(
        request,
        ProblemPage([one for one in shown if one.lora_id is None or one.lora_id in told], more, total),
    )
