"""`loras fingerprint`: measure the weights of adapters."""

from __future__ import annotations

import logging
from typing import Annotated, Final

import typer

from cli.interrupt import stopping_with
from cli.options import given, settings_of, verb
from cli.output import emit_json, hint, say
from cli.queries import TakesQuery, requoted

ORDER: Final = 58
app = typer.Typer()


@app.command(cls=TakesQuery, context_settings={"ignore_unknown_options": True})
@verb
def fingerprint(
    context: typer.Context,
    query: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUERY", help="Measure what a search finds; everything if there is none."),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Measure also what was measured before.")] = False,
) -> None:
    """Measure the weights of adapters: how strong they are, whether they are sound, and what they are like.

    About a second for each file of 200 MB. It can be stopped with Ctrl-C and goes on where it was.
    While `loras serve` runs, it is done in the background anyway.

    Examples:
      loras fingerprint
      loras fingerprint arch:sdxl added:-7d
      loras search health:untrained,nan
    """
    from cli.progress import bars
    from registry.app import open_registry
    from registry.fingerprinting import Fingerprinting
    from registry.searching import finding

    logging.getLogger("registry.work.jobs").setLevel(logging.CRITICAL)
    with open_registry(settings_of(context)) as registry:
        fingerprinting = Fingerprinting(registry, finding(registry))
        try:
            with stopping_with(registry.jobs.stop), bars() as shown:
                bar = shown.add("weights")

                def look() -> None:
                    progress = fingerprinting.progress
                    if progress is not None:
                        bar.move(progress.measured + progress.unreadable, progress.total, "weights")

                with shown.polled(look):
                    told = fingerprinting.run(" ".join(map(requoted, query or [])), anew=everything)
        finally:
            fingerprinting.close()
    if given(context).json:
        emit_json(told)
        return
    say(f"measured {told['measured']} of {told['total']}")
    if told.get("unsupported"):
        hint(f"of a kind that cannot be measured: {told['unsupported']}; `loras search health:unsupported`")
    if told.get("unreadable"):
        hint(f"files that cannot be read now, left for another time: {told['unreadable']}")
