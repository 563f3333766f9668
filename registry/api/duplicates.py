"""`/api/v1/duplicates`: copies that are equal, or hold the same weights; links are no copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from registry import cursor as cursors
from registry.api.access import needs
from registry.api.conditional import view
from registry.api.context import context_of
from registry.api.levels import told_ids
from registry.api.profiles import Limits, limits_of
from registry.api.shapes import DuplicatePage, SameFiles
from registry.catalog.dedupe import DuplicateGroup, duplicates, loras_of_files

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from registry.api.context import Context

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

    Hard links and symlinks to one file are one copy. A group with a lora that whoever asks is not told of is
    left out.
    """
    context, limits = context_of(request), limits_of(request)
    after = ""
    if cursor is not None:
        after = str(cursors.decode(cursor, kind, cursors.is_text)[0])
    with context.catalog.read() as conn:
        current = view(request, conn, repr(limits))
        if current.unchanged:
            return current.not_modified()
        groups = _told(context, conn, limits, kind, limit + 1, after)
    shown = [
        SameFiles(each.kind, each.value, each.files, each.links, each.reclaimable) for each in groups[:limit]
    ]
    more = cursors.after(kind, (shown[-1].value, 0)) if len(groups) > limit else None
    return current.answer(DuplicatePage(shown, more))


def _told(  # noqa: PLR0913, PLR0917 - what a page is of
    context: Context, conn: Connection, limits: Limits, kind: str, limit: int, after: str
) -> list[DuplicateGroup]:
    """Return the first groups whose loras are all told of; places in the list name no other ones."""
    found: list[DuplicateGroup] = []
    while len(found) < limit:
        groups = duplicates(conn, kind, context.machine_id, limit=limit, after=after)
        if limits.entries is None:
            return groups
        loras = loras_of_files(conn, [file.id for group in groups for file in group.files])
        told = told_ids(conn, loras.values(), limits, context.searching.place.words)
        found += [group for group in groups if all(loras[file.id] in told for file in group.files)]
        if len(groups) < limit:
            break
        after = groups[-1].value
    return found[:limit]
