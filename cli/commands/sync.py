"""`loras sync`: ask Civitai where files come from."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.interrupt import stopping_with
from cli.options import given, settings_of, verb
from cli.output import emit_json, hint, pairs
from cli.queries import TakesQuery, requoted

if TYPE_CHECKING:
    from registry.app import Registry
    from registry.civitai.planning import Plan
    from registry.syncing import Asking, Syncing

ORDER: Final = 50
app = typer.Typer()
_COUNTS: Final = {
    "found": "found",
    "ambiguous": "found, in several versions",
    "not_found": "not found",
    "gone": "no longer there",
    "failed": "failed",
    "waiting": "left for later runs",
    "pictures": "pictures fetched",
    "requests": "requests",
}


@app.command(cls=TakesQuery, context_settings={"ignore_unknown_options": True})
@verb
def sync(
    context: typer.Context,
    query: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUERY", help="Sync what a search finds; everything if there is none."),
    ] = None,
    *,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Ask also for what is not due, except what was asked for this last hour."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be asked for, and ask for nothing.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Open no connection to another machine.")
    ] = False,
) -> None:
    """Ask Civitai where files come from, by their hashes.

    Only hashes are sent, none of files in private roots. A sync can be stopped with Ctrl-C at any time and
    goes on where it was; nothing that was known is lost, also of what is no longer there.

    Examples:
      loras sync
      loras sync added:-7d
      loras sync --all arch:sdxl
      loras sync --dry-run --json
    """
    from registry.app import open_registry
    from registry.syncing import Asking

    logging.getLogger("registry.work.jobs").setLevel(logging.CRITICAL)
    asking = Asking(" ".join(map(requoted, query or [])), everything)
    with open_registry(settings_of(context, offline=offline or None)) as registry:
        syncing = _opened(registry)
        if dry_run:
            _print_plan(syncing.plan(asking), json=given(context).json)
            return
        told = _sync(registry, syncing, asking)
    if given(context).json:
        emit_json(told)
        return
    shown = [(text, told[name]) for name, text in _COUNTS.items() if told.get(name)]
    pairs(shown, under=f"asked for {told['asked']} files")
    errors = told.get("errors")
    for error in errors if isinstance(errors, list) else ():
        hint(f"loras: {error}")


def _opened(registry: Registry) -> Syncing:
    from registry.searching import finding
    from registry.syncing import Syncing

    return Syncing(registry, finding(registry))


def _sync(registry: Registry, syncing: Syncing, asking: Asking) -> dict[str, object]:
    from cli.progress import bars

    with stopping_with(registry.jobs.stop), bars() as shown:
        bar = shown.add("Civitai")

        def look() -> None:
            progress = syncing.progress
            if progress is not None:
                bar.move(progress.done, progress.total, f"Civitai: {progress.stage}")

        with shown.polled(look):
            return syncing.run(asking)


def _print_plan(plan: Plan, *, json: bool) -> None:
    if json:
        emit_json({"dry_run": True, **{name: getattr(plan, name) for name in plan.__slots__}})
        return
    pairs([*plan.reasons.items()], under=f"{plan.files} files are due")
    pairs([("models", plan.models), ("requests, at most", plan.requests)])
    if plan.pictures:
        size = f"{plan.picture_bytes / 1e6:,.0f} MB"
        pairs([("pictures, about", plan.pictures), ("size of the pictures, about", size)])
