"""`loras undo`: take back what was noted of loras."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import emit_json, hint, say

ORDER: Final = 44
app = typer.Typer()


@app.command()
@verb
def undo(
    context: typer.Context,
    ref: Annotated[
        str | None, typer.Argument(metavar="REF", help="A lora, by id, hash, path or name.")
    ] = None,
    *,
    batch: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**63 - 1, metavar="N", help="What was changed together.", show_default=False
        ),
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Take back only this; again for each.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Lose what was noted there since.")] = False,
) -> None:
    """Take back what was noted of a lora last, or a whole batch, as `loras edit` and `loras history` name it.

    With both, the part of the batch that is about that lora. What was changed again since is not lost: then
    nothing is undone and the exit code is 5. Undoing can be undone.

    Examples:
      loras undo ink.safetensors
      loras undo --batch 17
      loras undo 12 --batch 17 --field rating --force
    """
    from cli.choosing import referred
    from cli.edits import field_names
    from registry.catalog.curation_history import undo as take_back
    from registry.errors import BadRequest

    if ref is None and batch is None:
        raise BadRequest("undo what?", remedy="name a lora, or give --batch; `loras history REF` lists them")
    fields = field_names(field) if field else None
    with opened(context) as registry:
        lora_id = None if ref is None else referred(registry, [ref])[0]
        with registry.catalog.write(actor="cli") as unit:
            done = take_back(unit, batch=batch, lora_id=lora_id, fields=fields, force=force)
    if given(context).json:
        emit_json({"changed": len(done.changed), "batch": done.batch})
        return
    if done.batch is None:
        say("nothing changed: all of it is as it was before")
        return
    say(
        "brought back what 1 lora had"
        if len(done.changed) == 1
        else f"brought back what {len(done.changed):,} loras had"
    )
    hint(f"`loras undo --batch {done.batch}` takes that back")
