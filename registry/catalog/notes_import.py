"""The lines of an archive of notes taken into the catalog: what is noted of loras, and saved searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from registry.catalog.curation_merging import unite
from registry.catalog.curation_rows import CONFLICT, HISTORY
from registry.catalog.keys import fold
from registry.catalog.notes import loras_of_lines
from registry.catalog.notes_waiting import keep_waiting
from registry.catalog.saved import LONGEST_NAME, MOST, list_saved, put_saved
from registry.errors import Conflict
from registry.formats.packing import clean_text
from registry.notes.lines import by_then

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
    """Unite what lines say with what is noted here; those about loras that are not here wait for them.

    No time of theirs counts as later than now.
    """
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
            told[lora_id] = by_then(line.fields, unit.now)
    changed.update(unite(unit, told).changed)
    where = (HISTORY.c.id > before, HISTORY.c.kind == CONFLICT)
    conflicts = unit.conn.execute(select(func.count()).select_from(HISTORY).where(*where)).scalar_one()
    return Taken(loras, changed, int(conflicts), keep_waiting(unit, waiting))


def _last(conn: Connection) -> int:
    return int(conn.execute(select(func.max(HISTORY.c.id))).scalar() or 0)


class SavedNames:
    """The saved searches of a catalog while others are taken into it, in one unit or in one dry run."""

    def __init__(self, conn: Connection) -> None:
        self._queries = {fold(one.name): one.query for one in list_saved(conn)}
        # By name: the number to try next, and what was found under those before.
        self._tried: dict[str, tuple[int, set[str]]] = {}

    def take(self, unit: Unit, saved: SavedLine) -> bool:
        """Save a search unless it is saved; return whether it is new.

        One of that name with another query keeps it: the new one gets a number behind its name. Raises what
        `put_saved` does: Conflict where no more can be saved.
        """
        base, query = saved.name.strip(), clean_text(saved.query)
        if len(base) > LONGEST_NAME:
            return put_saved(unit, base, query)
        number, seen = self._tried.get(base, (1, set()))
        while query not in seen:
            name = _numbered(base, number)
            known = self._queries.get(fold(name))
            if known is None:
                return self._put(unit, name, query)
            seen.add(known)
            number += 1
            self._tried[base] = number, seen
        return False

    def _put(self, unit: Unit, name: str, query: str) -> bool:
        if len(self._queries) >= MOST:
            raise Conflict(f"there are {MOST:,} saved searches already", remedy="delete some first")
        put_saved(unit, name, query)
        self._queries[fold(name)] = query
        return True


def _numbered(name: str, number: int) -> str:
    if number == 1:
        return name
    mark = f" ({number})"
    return name[: LONGEST_NAME - len(mark)].rstrip() + mark
