"""What lists show beside what loras are: names, pictures, marks of the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.catalog.pictures import cover_of
from registry.web.presenters import Marks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from registry.catalog.showing import Known
    from registry.web.sources import Limits


def marks_of(conn: Connection, known: Mapping[int, Known], limits: Limits) -> Mapping[int, Marks]:
    """Return what a list shows beside what loras are, their pictures only up to the level that is sent."""
    covers = cover_of(conn, known, limits.pictures)
    marks = {}
    for lora_id, one in known.items():
        shown, cover = one.shown, covers.get(lora_id)
        named = shown.sources.get("name")
        within = cover is not None and limits.shows(cover.level)
        marks[lora_id] = Marks(
            name=shown.name,
            own=named is not None and named.kind == "user",
            picture=cover.key if cover is not None and within else None,
            withheld=cover is not None and not within,
            favorite=shown.favorite,
            rating=shown.rating,
        )
    return marks
