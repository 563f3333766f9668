"""`/api/v1/loras/{ref}/curation` and around it: what users note of loras, its history, edits of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from registry import cursor as cursors
from registry.api.access import actor_of, needs
from registry.api.context import context_of
from registry.api.curation_shapes import (
    BatchUndone,
    BulkEdit,
    BulkEdited,
    Changes,
    CopyWish,
    CurationChanged,
    CurationView,
    HistoryPage,
    Id,
    UndoOfLora,
    UndoWish,
)
from registry.api.levels import require_level_kept, resolve_told, told_ids
from registry.api.problems import Problem, respond
from registry.api.profiles import is_capped, limits_of
from registry.api.references import ONE, Reference, check_reference
from registry.api.selection import Validators, precondition
from registry.api.serialise import answer
from registry.catalog.changes import generation
from registry.catalog.curation import copy_from, edit, plan_copy
from registry.catalog.curation_bulk import MOST, edit_many
from registry.catalog.curation_history import history_of, plan_undo, revision, undo
from registry.catalog.curation_rows import standing
from registry.curation import check_fields, read_changes
from registry.errors import BadRequest, Forbidden
from registry.search.chosen import choose

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.api.context import Context
    from registry.catalog.curation_rows import Edited
    from registry.catalog.engine import Unit

router = APIRouter(tags=["curation"])

_HISTORY = "history"
_ETAG = {"ETag": {"description": "the revision, for If-Match", "schema": {"type": "string"}}}
_CHANGED: dict[int | str, dict[str, Any]] = {
    200: {"model": CurationChanged, "headers": _ETAG},
    412: {"description": "Something was noted since the revision that If-Match names"},
}
_IF_MATCH = {
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "the ETag of what was read: change it only if it is still that",
        }
    ]
}


@router.get(
    f"{ONE}/curation",
    dependencies=[needs("read")],
    responses={200: {"model": CurationView, "headers": _ETAG}},
)
def show(request: Request, ref: Reference) -> Response:
    """Show what is noted of a lora, with who noted it and when."""
    check_reference(ref)
    context = context_of(request)
    with context.catalog.read() as conn:
        found = CurationView.of(conn, resolve_told(request, conn, ref))
    return answer(request, found, etag=_etag(found.revision))


@router.patch(ONE, dependencies=[needs("write")], responses=_CHANGED, openapi_extra=_IF_MATCH)
def change(request: Request, ref: Reference, changes: Changes) -> Response:
    """Note something of a lora; with `If-Match` only if nothing was noted since that revision."""
    wanted = read_changes(changes)

    def note(unit: Unit, lora_id: int) -> Edited:
        require_level_kept(request, unit.conn, changes)
        return edit(unit, [lora_id], wanted)

    return _change(request, ref, note)


@router.get(f"{ONE}/history", dependencies=[needs("read")], responses={200: {"model": HistoryPage}})
def history(
    request: Request,
    ref: Reference,
    *,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[
        str | None, Query(max_length=2000, description="next_cursor of the page before")
    ] = None,
) -> Response:
    """List what happened to the notes of a lora, the latest first."""
    check_reference(ref)
    before = None if cursor is None else cursors.decode(cursor, _HISTORY, cursors.is_integer)[1]
    context = context_of(request)
    with context.catalog.read() as conn:
        lora_id = resolve_told(request, conn, ref)
        items = history_of(conn, lora_id, limit=limit + 1, before=before)
    last = items[limit - 1].id if len(items) > limit else None
    more = None if last is None else cursors.after(_HISTORY, (last, last))
    return answer(request, HistoryPage(items[:limit], more))


@router.post(f"{ONE}/undo", dependencies=[needs("write")], responses=_CHANGED, openapi_extra=_IF_MATCH)
def undo_one(request: Request, ref: Reference, wish: UndoOfLora | None = None) -> Response:
    """Bring back what the last change of a lora replaced, or what a batch replaced there."""
    wanted = wish or UndoOfLora()
    fields = _fields(wanted)

    def take_back(unit: Unit, lora_id: int) -> Edited:
        if is_capped(request, conn=unit.conn):
            back = plan_undo(
                unit.conn, batch=wanted.batch, lora_id=lora_id, fields=fields, force=wanted.force
            )
            require_level_kept(request, unit.conn, [row.field for row in back])
        return undo(unit, batch=wanted.batch, lora_id=lora_id, fields=fields, force=wanted.force)

    return _change(request, ref, take_back)


@router.post(f"{ONE}/copy-from", dependencies=[needs("write")], responses=_CHANGED, openapi_extra=_IF_MATCH)
def copy(request: Request, ref: Reference, wish: CopyWish) -> Response:
    """Copy the notes of another lora: lists are united, the rest is taken where this lora has nothing."""
    check_reference(wish.source)

    def carry(unit: Unit, lora_id: int) -> Edited:
        source = resolve_told(request, unit.conn, wish.source)
        require_level_kept(request, unit.conn, [row.field for row in plan_copy(unit.conn, lora_id, source)])
        return copy_from(unit, lora_id, source)

    return _change(request, ref, carry)


@router.post("/loras/edit", dependencies=[needs("write")], responses={200: {"model": BulkEdited}})
def edit_all(request: Request, wish: BulkEdit) -> Response:
    """Note something of all loras that a query finds, or of up to 100,000 by their ids, as one batch.

    Those that whoever asks is not told of are left out. Nothing changes if the changes do not fit one.
    """
    changes = read_changes(wish.changes)
    context = context_of(request)
    with context.catalog.read() as conn:
        require_level_kept(request, conn, wish.changes)
    ids = _chosen(context, wish)
    with context.catalog.read() as conn:
        limits = limits_of(request, conn=conn)
        told = told_ids(conn, ids, limits, context.searching.place.words)
    ids = [lora_id for lora_id in ids if lora_id in told]
    done = edit_many(context.catalog, ids, changes, actor=actor_of(request), dry_run=wish.dry_run)
    return answer(request, BulkEdited(len(done.matched), len(done.changed), done.batch))


@router.post("/edits/{batch}/undo", dependencies=[needs("write")], responses={200: {"model": BatchUndone}})
def undo_batch(request: Request, batch: Annotated[Id, Path()], wish: UndoWish | None = None) -> Response:
    """Bring back what a batch replaced in all the loras that it changed, or in none of them.

    A 403 where whoever asks is not told of one of them.
    """
    wanted = wish or UndoWish()
    fields = _fields(wanted)
    with context_of(request).catalog.write(actor=actor_of(request)) as unit:
        _check_batch(request, unit, batch, fields)
        done = undo(unit, batch=batch, fields=fields, force=wanted.force)
    return answer(request, BatchUndone(len(done.changed), done.batch))


def _check_batch(request: Request, unit: Unit, batch: int, fields: list[str] | None) -> None:
    """Raise Forbidden for a batch in a lora that is not told of, or of levels that may not be changed."""
    limits = limits_of(request, conn=unit.conn)
    if limits.entries is None and not is_capped(request, conn=unit.conn):
        return
    # Forced: what stands against it names loras.
    back = plan_undo(unit.conn, batch=batch, fields=fields, force=True)
    loras = {row.lora_id for row in back}
    if told_ids(unit.conn, loras, limits, context_of(request).searching.place.words) != loras:
        raise Forbidden("hidden by level", remedy="undo it in single loras, as far as they are told of")
    require_level_kept(request, unit.conn, [row.field for row in back])


def _change(request: Request, ref: str, action: Callable[[Unit, int], Edited]) -> Response:
    """Change what is noted of a lora, unless that is not what If-Match names."""
    check_reference(ref)
    context = context_of(request)
    with context.catalog.write(actor=actor_of(request)) as unit:
        lora_id = resolve_told(request, unit.conn, ref)
        etag = _etag(revision(unit.conn, lora_id))
        if precondition(request.headers, Validators(etag, None)) == 412:
            return respond(_changed_since(etag), request.url.path)
        done = action(unit, lora_id)
        now = CurationChanged.of(unit.conn, lora_id, done.batch)
    changed = answer(request, now)
    changed.headers["etag"] = _etag(now.revision)
    return changed


def _chosen(context: Context, wish: BulkEdit) -> list[int]:
    if (wish.query is None) == (wish.ids is None):
        raise BadRequest("an edit is of a query or of ids", remedy="give one of the two")
    with context.catalog.read() as conn:
        if wish.ids is not None:
            return standing(conn, wish.ids)
        now = generation(conn)
    return choose(context.searching, wish.query or "", MOST, now)


def _fields(wish: UndoWish) -> list[str] | None:
    return None if wish.fields is None else check_fields(wish.fields)


def _etag(revision: int) -> str:
    return f'"{revision}"'


def _changed_since(etag: str) -> Problem:
    return Problem(
        412,
        "precondition-failed",
        f"the notes are at revision {etag}, which is not the one that If-Match names",
        "look at them again and decide anew",
        headers=(("etag", etag),),
    )
