"""`loras export`: write sidecars for other tools beside models."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.interrupt import stopping_with
from cli.options import given, opened, verb
from cli.output import emit_json, flush, hint, say
from cli.queries import TakesQuery, requoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.app import Registry
    from registry.exported import ExportTally, ExportWish
    from registry.exports import Exporting

ORDER: Final = 55
app = typer.Typer()
_ID: Final = re.compile(r"(?:id:)?[0-9]{1,18}", re.IGNORECASE)


@app.command(cls=TakesQuery, context_settings={"ignore_unknown_options": True})
@verb
def export(
    context: typer.Context,
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[QUERY | REF...]", help="What a search finds, or some loras; all if there is none."
        ),
    ] = None,
    *,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOOL",
            help="a1111, civitai-helper, lora-manager, stability-matrix, swarmui or rgthree; again for each.",
        ),
    ] = None,
    previews: Annotated[
        bool, typer.Option("--previews", help="Write a preview too, where there is none of any name.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")
    ] = False,
) -> None:
    """Write what is known of loras into the sidecars that other tools keep beside models.

    What you noted takes the place of what is there; what Civitai and other sidecars say goes where nothing
    is; all else in a file stays as it is. Exporting again changes nothing. Only roots that are writable are
    written to. Words that all are references (ids, hashes, paths, names) mean these loras, any others are a
    query. A lora that is hidden is excluded in LoRA Manager, whose own pages cannot take that back.

    Examples:
      loras export --to a1111 --dry-run
      loras export arch:sdxl rating:4.. --to lora-manager --to swarmui
      loras export styles/ink.safetensors --to a1111 --previews
    """
    from registry.exported import ExportWish
    from registry.exports import Exporting

    logging.getLogger("registry.work.jobs").setLevel(logging.CRITICAL)
    words = wanted or []
    with opened(context) as registry:
        ids = _referred(registry, words)
        query = "" if ids is not None else " ".join(map(requoted, words))
        wish = ExportWish(tuple(to or ()), query, ids, previews)
        exporting = Exporting(registry, lambda text: _found(registry, text), most=None)
        try:
            tally = _export(registry, exporting, wish, dry_run=dry_run)
        except KeyboardInterrupt:
            _print(exporting.tally, json=given(context).json)
            raise
    _print(tally, json=given(context).json)
    _end(tally)


def _referred(registry: Registry, words: Sequence[str]) -> tuple[int, ...] | None:
    """Return the loras that words mean, `None` where they are a query; raises as `resolve_reference` does."""
    from cli.references import resolve_reference
    from registry.errors import NotFound
    from registry.wire.companions import is_model

    found = []
    with registry.catalog.read() as conn:
        for word in words:
            try:
                found.append(resolve_reference(conn, word, registry.machine_id))
            except NotFound:
                if _ID.fullmatch(word) or is_model(word, pickles=True):
                    raise
                return None
    return tuple(dict.fromkeys(found)) if found else None


def _found(registry: Registry, query: str) -> list[int]:
    from registry.exports import loras_found
    from registry.searching import catch_up, open_searching

    catch_up(registry)
    searching = open_searching(registry)
    try:
        return loras_found(registry, searching, query)
    finally:
        searching.close()


def _export(registry: Registry, exporting: Exporting, wish: ExportWish, *, dry_run: bool) -> ExportTally:
    from cli.progress import bars

    if dry_run:
        return exporting.plan(wish)
    with stopping_with(registry.jobs.stop), bars() as shown:
        bar = shown.add("loras")
        with shown.polled(lambda: bar.move(*exporting.progress)):
            return exporting.run(wish, actor="cli")


def _print(tally: ExportTally, *, json: bool) -> None:
    if json:
        emit_json(dataclasses.asdict(tally))
        return
    for one in tally.changes:
        say(f"{one.path}: {', '.join(one.keys)}" if one.keys else one.path)
    files = "1 file" if tally.written == 1 else f"{tally.written:,} files"
    models = "1 model" if tally.models == 1 else f"{tally.models:,} models"
    done = "would write" if tally.dry_run else "wrote"
    as_they_were = f"; {tally.unchanged:,} are as they should be" if tally.unchanged else ""
    say(f"{done} {files} beside {models}{as_they_were}")
    _print_problems(tally)
    for warning in tally.warnings:
        hint(f"loras: {warning}")


def _print_problems(tally: ExportTally) -> None:
    """Say what was left alone or failed: each file, and of roots how many of theirs."""
    whole = Counter((one.reason, one.remedy) for one in tally.problems if one.is_refused)
    for (reason, remedy), count in whole.items():
        models = "1 model was" if count == 1 else f"{count:,} models were"
        hint(f"loras: {models} left alone: {reason}. {remedy}")
    for one in tally.problems:
        if not one.is_refused:
            hint(f"loras: {one.path}: {one.reason}{f'. {one.remedy}' if one.remedy else ''}")


def _end(tally: ExportTally) -> None:
    """Let the exit code tell that files could not be written, or that none may be."""
    from registry.errors import Forbidden, UnwritableFile

    refused = [one for one in tally.problems if one.is_refused]
    if tally.failed:
        flush()
        files = "1 file" if tally.failed == 1 else f"{tally.failed:,} files"
        raise UnwritableFile(f"{files} could not be written", remedy="Each is named above, with the reason.")
    if refused and len(refused) == tally.models:
        flush()
        raise Forbidden("nothing may be written beside these models", remedy=refused[0].remedy)
