"""`loras edit`: note something of loras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from cli.edit_options import takes_changes
from cli.options import given, opened, verb
from cli.output import Column, emit_json, hint, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.app import Registry
    from registry.catalog.curation_rows import Replaced
    from registry.curation import Changes

ORDER: Final = 42
app = typer.Typer()
_SHOWN: Final = 20
_COLUMNS: Final = (Column("ID", number=True), Column("FIELD"), Column("IS"), Column("BECOMES"))


@app.command()
@verb
@takes_changes
def edit(
    context: typer.Context,
    refs: Annotated[
        list[str] | None, typer.Argument(metavar="REF", help="Loras, by id, hash, path or name.")
    ] = None,
    *,
    query: Annotated[
        str | None, typer.Option(metavar="QUERY", help="Edit all that a search finds.", show_default=False)
    ] = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Note nothing there any more: note, tag, rating, ..."),
    ] = None,
    copy_from: Annotated[
        str | None,
        typer.Option(
            metavar="REF", help="Copy the notes of another lora, where this one has none.", show_default=False
        ),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take back the last change of a lora.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    told: dict[str, Any],
) -> None:
    """Note something of loras: tags, a rating, trigger words, corrections.

    What you note wins over what headers, sidecars and Civitai say, and stays with the weights when files are
    moved or renamed. Nothing is asked before many loras are changed: they are changed together, and the
    command that takes it back is printed. A query of which something would be ignored changes nothing.

    Examples:
      loras edit ink.safetensors --rating 5 --favorite --add-tag 水墨
      loras edit 12 --trigger 'ink wash, sumi-e' --weight 0.8
      loras edit 12 --clear rating
      loras edit --query 'arch:sdxl folder:styles' --add-tag style --dry-run
      loras edit 31 --copy-from 12
    """
    from cli.edits import changes_of
    from registry.errors import BadRequest

    changes = changes_of(told, clear or [])
    if bool(refs) == (query is not None):
        raise BadRequest("an edit is of REFs or of a query", remedy="name loras, or give --query")
    if [bool(changes), copy_from is not None, undo].count(True) != 1:
        remedy = "say what to note, or --copy-from, or --undo; `loras edit --help` lists it all"
        raise BadRequest("an edit does one thing", remedy=remedy)
    with opened(context) as registry:
        ids = _chosen(registry, refs or [], query)
        if not changes and len(ids) != 1:
            raise BadRequest(f"that is for one lora, not for {len(ids):,}", remedy="name one REF")
        if copy_from is not None:
            done = _copy(registry, ids[0], copy_from, dry_run=dry_run)
        elif undo:
            done = _undo(registry, ids[0], dry_run=dry_run)
        else:
            done = _edit(registry, ids, changes, dry_run=dry_run)
    _print(done, json=given(context).json, dry_run=dry_run)


class _Done(NamedTuple):
    """What became of it, or would: how many loras were meant and changed, the batch, what is replaced."""

    matched: int
    changed: int
    batch: int | None = None
    rows: Sequence[Replaced] = ()


def _chosen(registry: Registry, refs: Sequence[str], query: str | None) -> list[int]:
    from cli.choosing import queried, referred

    return referred(registry, refs) if query is None else queried(registry, query)


def _edit(registry: Registry, ids: Sequence[int], changes: Changes, *, dry_run: bool) -> _Done:
    from registry.catalog.curation import plan_edit
    from registry.catalog.curation_bulk import edit_many
    from registry.catalog.curation_rows import still_standing

    if dry_run:
        with registry.catalog.read() as conn:
            standing = still_standing(conn, ids)
            return _planned(len(standing), plan_edit(conn, standing, changes))
    done = edit_many(registry.catalog, ids, changes, actor="cli")
    return _Done(len(done.matched), len(done.changed), done.batch)


def _copy(registry: Registry, lora_id: int, source: str, *, dry_run: bool) -> _Done:
    from cli.choosing import referred
    from registry.catalog.curation import copy_from, plan_copy

    (origin,) = referred(registry, [source])
    if dry_run:
        with registry.catalog.read() as conn:
            return _planned(1, plan_copy(conn, lora_id, origin))
    with registry.catalog.write(actor="cli") as unit:
        done = copy_from(unit, lora_id, origin)
    return _Done(1, len(done.changed), done.batch)


def _undo(registry: Registry, lora_id: int, *, dry_run: bool) -> _Done:
    from registry.catalog.curation_history import plan_undo, undo

    if dry_run:
        with registry.catalog.read() as conn:
            return _planned(1, plan_undo(conn, lora_id=lora_id))
    with registry.catalog.write(actor="cli") as unit:
        done = undo(unit, lora_id=lora_id)
    return _Done(1, len(done.changed), done.batch)


def _planned(matched: int, rows: Sequence[Replaced]) -> _Done:
    return _Done(matched, len({row.lora_id for row in rows}), None, rows)


def _print(done: _Done, *, json: bool, dry_run: bool) -> None:
    if json:
        counts = {"matched": done.matched, "changed": done.changed, "batch": done.batch}
        emit_json({"dry_run": dry_run, **counts})
        return
    if not done.matched:
        hint("nothing was found, and nothing was changed")
        return
    if done.rows:
        table(_COLUMNS, [_row(row) for row in done.rows[:_SHOWN]])
        if len(done.rows) > _SHOWN:
            say(f"(and {len(done.rows) - _SHOWN:,} more)")
    loras = "1 lora" if done.matched == 1 else f"{done.matched:,} loras"
    say(f"{'would change' if dry_run else 'changed'} {done.changed:,} of {loras}")
    if done.batch is not None:
        hint(f"`loras undo --batch {done.batch}` takes it back")


def _row(row: Replaced) -> tuple[object, ...]:
    from cli.noted import noted
    from registry.curation import plain

    was, becomes = (None if one is None else plain(one) for one in (row.old, row.new))
    return row.lora_id, row.field, noted(row.field, was), noted(row.field, becomes)
