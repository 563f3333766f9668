"""Notes that come together: of two loras that turn out to be one, and of this catalog and another one.

Lists are united; of two scalars the newer stays, and the other goes to the history as a conflict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from registry.catalog.curation_rows import (
    CONFLICT,
    CURATION,
    HISTORY,
    MERGE,
    Edited,
    Replaced,
    noted_of,
    put,
    remember,
    require,
)
from registry.catalog.keys import in_chunks
from registry.curation import merged, unpack_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.catalog.engine import Unit
    from registry.curation import Noted, Value


def merge_curation(unit: Unit, old: int, new: int) -> None:
    """Move all that is and was noted of one lora to another one."""
    told = noted_of(unit.conn, [old]).get(old)
    unit.conn.execute(update(HISTORY).where(HISTORY.c.lora_id == old).values(lora_id=new))
    if told:
        unit.conn.execute(delete(CURATION).where(CURATION.c.lora_id == old))
        unite(unit, {new: told}, MERGE)


def unite(unit: Unit, told: Mapping[int, Mapping[str, Noted]], kind: str = "import") -> Edited:
    """Add what another catalog notes of loras, by lora and field, to what is noted here.

    Saying the same again changes nothing, and no conflict is told twice. The batch has no conflicts: those
    come after it in one of their own, so that undoing the last thing brings back what was lost. Raises
    NotFound for a lora that is not there; those that were merged are not followed.
    """
    require(unit.conn, told)
    batch: int | None = None
    changed: set[int] = set()
    conflicts: list[Replaced] = []
    for part in in_chunks(sorted(told)):
        replaced, lost = _unite(unit, {lora_id: told[lora_id] for lora_id in part})
        batch = remember(unit, replaced, kind, batch=batch)
        conflicts += lost
        changed.update(row.lora_id for row in (*replaced, *lost))
    remember(unit, conflicts, CONFLICT)
    return Edited(batch, sorted(changed))


def _unite(unit: Unit, told: Mapping[int, Mapping[str, Noted]]) -> tuple[list[Replaced], list[Replaced]]:
    """Return what became of fields, and which values lost."""
    here = noted_of(unit.conn, told)
    values: list[tuple[int, str, Noted | None]] = []
    replaced: list[Replaced] = []
    lost_here: list[Replaced] = []
    lost_there: list[Replaced] = []
    for lora_id, theirs in told.items():
        ours = here.get(lora_id, {})
        both = merged(ours, theirs)
        for field, noted in both.values.items():
            before = ours.get(field)
            if noted != before:
                values.append((lora_id, field, noted))
            if field in both.lost:
                lost = lost_there if noted == before else lost_here
                lost.append(Replaced(lora_id, field, both.lost[field].value, noted.value))
            elif before is None or before.value != noted.value:
                old = None if before is None else before.value
                replaced.append(Replaced(lora_id, field, old, noted.value))
    put(unit, values)
    return replaced, lost_here + _news(unit, lost_there)


def _news(unit: Unit, conflicts: Sequence[Replaced]) -> list[Replaced]:
    """Return the conflicts that the history does not know yet."""
    known: set[tuple[int, str, Value]] = set()
    for part in in_chunks(sorted({row.lora_id for row in conflicts})):
        query = select(HISTORY.c.lora_id, HISTORY.c.field, HISTORY.c.old).where(
            HISTORY.c.lora_id.in_(part), HISTORY.c.kind == CONFLICT
        )
        for lora_id, field, old in unit.conn.execute(query):
            known.add((lora_id, field, unpack_value(old)))
    return [row for row in conflicts if (row.lora_id, row.field, row.old) not in known]
