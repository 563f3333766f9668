"""`/api/v1/duplicates`: copies that are equal, or hold the same weights; links are no copies."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from registry import cursor as cursors
from registry.api.access import needs
from registry.api.conditional import view
from registry.api.context import context_of
from registry.api.shapes import DuplicatePage, SameFiles
from registry.catalog.dedupe import duplicates

router = APIRouter(tags=["duplicates"], dependencies=[needs("read")])


@router.get("/duplicates", responses={200: {"model": DuplicatePage}})
def list_(
    request: Request,
    *,
    kind: Literal["same_bytes", "same_weights", "same_tensors"] = "same_bytes",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Response:
    """List groups of present files: equal bytes, equal weights under other headers, or tensors reordered.

    Hard links and symlinks to one file are one copy.
    """
    context = context_of(request)
    after = ""
    if cursor is not None:
        after = str(cursors.decode(cursor, kind, cursors.is_text)[0])
    with context.catalog.read() as conn:
        current = view(request, conn)
        if current.unchanged:
            return current.not_modified()
        groups = duplicates(conn, kind, context.machine_id, limit=limit + 1, after=after)
    shown = [
        SameFiles(each.kind, each.value, each.files, each.links, each.reclaimable) for each in groups[:limit]
    ]
    more = cursors.after(kind, (shown[-1].value, 0)) if len(groups) > limit else None
    return current.answer(DuplicatePage(shown, more))
