"""Which loras a command is about: those that REFs mean, or all that a query finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.progress import bars
from cli.queries import requoted
from cli.references import resolve_reference
from registry.catalog.changes import generation
from registry.catalog.curation_bulk import MOST
from registry.search.chosen import choose
from registry.searching import catch_up, open_searching

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cli.progress import Bar
    from registry.app import Registry
    from registry.search.catchup import Progress


def referred(registry: Registry, references: Iterable[str]) -> list[int]:
    """Return the ids of the loras that REFs mean, each once; raises what `resolve_reference` does."""
    with registry.catalog.read() as conn:
        found = [resolve_reference(conn, one, registry.machine_id) for one in references]
    return [*dict.fromkeys(found)]


def queried(registry: Registry, query: str) -> list[int]:
    """Return the ids of all loras that a query finds in the catalog as it is; raises what `choose` does."""
    with bars() as shown:
        bar: Bar | None = None

        def report(progress: Progress) -> None:
            nonlocal bar
            bar = bar or shown.add("making the search index", progress.total)
            bar.move(progress.done, progress.total)

        catch_up(registry, report)
    with registry.catalog.read() as conn:
        now = generation(conn)
    searching = open_searching(registry)
    try:
        return choose(searching, requoted(query), MOST, now)
    finally:
        searching.close()
