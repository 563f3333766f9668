"""Loras that a query chooses so that something is done to all of them: what is not clear chooses none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import BadRequest

if TYPE_CHECKING:
    from registry.search.service import Searching


def choose(searching: Searching, text: str, most: int, min_generation: int | None = None) -> list[int]:
    """Return the ids of all the loras that a text finds, in no order that means anything.

    With `min_generation` it waits a moment for the index to be as new as that. Raises BadRequest for a text
    that asks for nothing, of which something would be ignored, or that finds more than `most`, and
    IndexDamaged.
    """
    found = searching.search(text, limit=1, min_generation=min_generation)
    if found.warnings:
        raise BadRequest(
            f"the query is not clear: {'; '.join(warning.text for warning in found.warnings)}",
            remedy=f"as it stands it finds {found.hits.total:,} loras: {found.understood}",
        )
    if found.query.where is None:
        raise BadRequest("the query asks for nothing", remedy="`name:*` finds everything")
    if found.hits.total > most:
        raise BadRequest(
            f"the query finds {found.hits.total:,} loras, more than {most:,}", remedy="ask for less at a time"
        )
    return searching.all_ids(text, most)
