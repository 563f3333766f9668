"""The lines of an archive of notes taken into the catalog: what is noted of loras, and saved searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from registry.catalog.curation_merging import unite
from registry.catalog.curation_rows import CONFLICT, HISTORY
from registry.catalog.notes import loras_of_lines
from registry.catalog.notes_waiting import keep_waiting
from registry.catalog.saved import LONGEST_NAME, get_saved, put_saved
from registry.errors import NotFound
from registry.formats.packing import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit
    from registry.curation import Noted
    from registry.notes.lines import Line
    from registry.notes.manifest import SavedLine


class Taken(NamedTuple):
    """What became of lines: the lora of each, `None` for those that wait, and how much was news.

    `changed` are loras that have other notes than before, `conflicts` values that lost against others, and
    `new` lines that did not wait yet.
    """

    loras: list[int | None]
    changed: set[int]
    conflicts: int
    new: int


def take_lines(unit: Unit, lines: Sequence[Line]) -> Taken:
    """Unite what lines say with what is noted here; those about loras that are not here wait for them."""
    loras = loras_of_lines(unit.conn, lines)
    before = _last(unit.conn)
    changed: set[int] = set()
    waiting = [line for line, lora_id in zip(lines, loras, strict=True) if lora_id is None]
    told: dict[int, Mapping[str, Noted]] = {}
    for line, lora_id in zip(lines, loras, strict=True):
        if lora_id in told:
            # Two lines of one lora are united one after the other, so that what loses is told.
            changed.update(unite(unit, told).changed)
            told = {}
        if lora_id is not None:
            told[lora_id] = line.fields
    changed.update(unite(unit, told).changed)
    where = (HISTORY.c.id > before, HISTORY.c.kind == CONFLICT)
    conflicts = unit.conn.execute(select(func.count()).select_from(HISTORY).where(*where)).scalar_one()
    return Taken(loras, changed, int(conflicts), keep_waiting(unit, waiting))


def _last(conn: Connection) -> int:
    return int(conn.execute(select(func.max(HISTORY.c.id))).scalar() or 0)


def take_saved(unit: Unit, saved: SavedLine) -> bool:
    """Save a search unless it is saved; return whether it is new.

    One of that name with another query keeps it: the new one gets a number behind its name. Raises what
    `put_saved` does.
    """
    query = clean_text(saved.query)
    number = 1
    while True:
        name = _numbered(saved.name.strip(), number)
        try:
            known = get_saved(unit.conn, name)
        except NotFound:
            return put_saved(unit, name, query)
        if known.query == query:
            return False
        number += 1


def _numbered(name: str, number: int) -> str:
    if number == 1:
        return name
    mark = f" ({number})"
    return name[: LONGEST_NAME - len(mark)].rstrip() + mark
