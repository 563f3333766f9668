"""`loras notes`: all that was noted, out of the catalog into an archive and in again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import emit_json, hint, pairs, say, size

if TYPE_CHECKING:
    from registry.app import Registry
    from registry.notes.manifest import Manifest

ORDER: Final = 65
app = typer.Typer(name="notes", help="What was noted of loras: export it, import it.")
_COUNTS: Final = {
    "lines": "lines",
    "matched": "found their lora",
    "changed": "loras changed",
    "conflicts": "values that lost to newer ones",
    "waiting": "wait for their lora",
    "saved_searches": "saved searches added",
    "pictures": "pictures",
    "problem_count": "problems",
}
_SHOWN: Final = 20


@app.command("export")
@verb
def export(
    context: typer.Context,
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Where to (default: the archive of today in the data folder)."),
    ] = None,
    *,
    query: Annotated[
        str | None,
        typer.Option(
            metavar="QUERY", help="Only what is noted of loras that a search finds.", show_default=False
        ),
    ] = None,
) -> None:
    """Write all that was noted into one archive: notes, tags, ratings, corrections, pictures, saved searches.

    With a query only the notes of the loras that it finds.

    Examples:
      loras notes export
      loras notes export ~/notes.zip
      loras notes export ponies.zip --query 'tag:pony rating:4..'
    """
    with opened(context) as registry:
        target, manifest = _export(registry, file, query)
    if given(context).json:
        emit_json({"file": str(target), "size": target.stat().st_size, "counts": manifest.counts})
        return
    say(str(target))
    counted = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in manifest.counts.items())
    hint(f"{counted}; {size(target.stat().st_size)}")


def _export(registry: Registry, file: str | None, query: str | None) -> tuple[Path, Manifest]:
    from cli.choosing import queried
    from registry.errors import BadRequest
    from registry.noted_pictures import originals_of
    from registry.notekeeping import notes_of
    from registry.noting import export_notes

    if file is None:
        if query is not None:
            raise BadRequest("a query needs a FILE", remedy="the archives of each day are of everything")
        return notes_of(registry.catalog, registry.settings, registry.studio).write()
    target = Path(file).expanduser().absolute()
    lora_ids = None if query is None else queried(registry, query)
    original = originals_of(registry.studio)
    return target, export_notes(registry.catalog, target, lora_ids=lora_ids, original=original)


@app.command("import")
@verb
def import_(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="An archive that `loras notes export` wrote.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would come to, and change nothing.")
    ] = False,
) -> None:
    """Add what an archive says to what is noted here.

    Lists are united; of two values the newer stays, and the other goes to the history. Loras are known by
    their hashes, so names and folders may be others; notes of loras that are not here wait until they are.
    Importing twice changes nothing.

    Examples:
      loras notes import ~/notes.zip --dry-run
      loras notes import ~/notes.zip
    """
    import dataclasses

    from registry.errors import UnreadableFile
    from registry.noted_pictures import taker_for
    from registry.noting import import_notes

    with opened(context) as registry:
        take = taker_for(registry.catalog, registry.studio, "cli")
        try:
            with Path(file).expanduser().open("rb") as archive:
                done = import_notes(
                    registry.catalog, archive, actor="cli", dry_run=dry_run, take_picture=take
                )
        except OSError as error:
            raise UnreadableFile(
                f"{file} cannot be read: {error.strerror}", remedy="check the path"
            ) from error
    if given(context).json:
        emit_json({"dry_run": dry_run, **dataclasses.asdict(done)})
        return
    pairs([(text, getattr(done, name)) for name, text in _COUNTS.items()])
    for problem in done.problems[:_SHOWN]:
        hint(f"loras: {problem}")
    if done.problem_count > _SHOWN:
        hint(f"loras: and {done.problem_count - _SHOWN:,} more problems")
    if dry_run:
        hint("nothing was changed")
