"""What the user notes of loras: reading it, editing it in bulk, carrying it over to other weights."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import exists, select

from registry.catalog.curation_rows import (
    CURATION,
    HISTORY,
    LORA,
    Edited,
    Replaced,
    noted_of,
    replace_values,
    standing,
)
from registry.catalog.keys import in_chunks
from registry.curation import FIELDS, Curation, apply, carried, curation_from, noted_fields
from registry.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit
    from registry.curation import Changes, Noted

CARRY = "carry"
_LONGEST_CHAIN = 100


def curation_of(conn: Connection, lora_ids: Iterable[int]) -> dict[int, Curation]:
    """Return what is noted of loras; those of which nothing is noted are left out."""
    return {lora_id: curation_from(noted) for lora_id, noted in noted_of(conn, lora_ids).items()}


def values_with_provenance(conn: Connection, lora_id: int) -> dict[str, Noted]:
    """Return what is noted of a lora by field, with who noted it and when."""
    noted = noted_of(conn, [lora_id]).get(lora_id, {})
    return {name: noted[name] for name in FIELDS if name in noted}


def edit(
    unit: Unit, lora_ids: Collection[int], changes: Changes, kind: str = "edit", *, batch: int | None = None
) -> Edited:
    """Make the changes to what is noted of loras; nothing is written where nothing changes.

    That is a batch of its own, or more of the one that is given. Follows loras that were merged. Raises
    NotFound if one of them is not there, BadRequest for changes that do not fit what is noted already.
    """
    return _edit(unit, standing(unit.conn, lora_ids), partial(apply, changes=changes), kind, batch)


def plan_edit(conn: Connection, lora_ids: Collection[int], changes: Changes) -> list[Replaced]:
    """Return what `edit` would replace; raises what it does."""
    return _replaced(conn, standing(conn, lora_ids), partial(apply, changes=changes))


def copy_from(unit: Unit, target: int, source: int) -> Edited:
    """Carry the notes of one lora over to another one, and keep them where they are.

    Lists are united; scalars are taken where the target has none. Which version of Civitai the source is says
    nothing of the target. Raises NotFound, and BadRequest where both are one lora.
    """
    to, notes = _carried(unit.conn, target, source)
    return _edit(unit, [to], partial(carried, source=notes), CARRY)


def plan_copy(conn: Connection, target: int, source: int) -> list[Replaced]:
    """Return what `copy_from` would replace; raises what it does."""
    to, notes = _carried(conn, target, source)
    return _replaced(conn, [to], partial(carried, source=notes))


def _carried(conn: Connection, target: int, source: int) -> tuple[int, Curation]:
    """Return the lora that is meant, and what is noted of the other one."""
    (to,), (origin,) = standing(conn, [target]), standing(conn, [source])
    if to == origin:
        raise BadRequest(f"{target} and {source} are one lora", remedy="name the lora that it replaces")
    return to, curation_of(conn, [origin]).get(origin, Curation())


def _edit(
    unit: Unit,
    lora_ids: list[int],
    change: Callable[[Curation], Curation],
    kind: str,
    batch: int | None = None,
) -> Edited:
    wrote: int | None = None
    changed: dict[int, None] = {}
    for part in in_chunks(lora_ids):
        rows = _replaced(unit.conn, part, change)
        if rows:
            wrote = batch = replace_values(unit, rows, kind, batch=batch)
            changed.update((row.lora_id, None) for row in rows)
    return Edited(wrote, [*changed])


def _replaced(
    conn: Connection, lora_ids: Sequence[int], change: Callable[[Curation], Curation]
) -> list[Replaced]:
    rows = []
    for part in in_chunks(lora_ids):
        before = curation_of(conn, part)
        for lora_id in part:
            now = before.get(lora_id, Curation())
            old, new = noted_fields(now), noted_fields(change(now))
            rows += [
                Replaced(lora_id, name, old.get(name), new.get(name))
                for name in FIELDS
                if old.get(name) != new.get(name)
            ]
    return rows


def carry_offer(conn: Connection, lora_id: int) -> int | None:
    """Return the lora whose notes may be carried over to this one, which replaced it; `None` if none may.

    That is the last one of those replaced, one after the other, of which anything is noted. Nothing is
    offered once it was carried over.
    """
    was_carried = exists().where(HISTORY.c.lora_id == lora_id, HISTORY.c.kind == CARRY)
    if conn.execute(select(was_carried)).scalar():
        return None
    passed, current = {lora_id}, lora_id
    while len(passed) <= _LONGEST_CHAIN:
        replaced = conn.execute(select(LORA.c.replaces_id).where(LORA.c.id == current)).scalar()
        if replaced is None or replaced in passed:
            return None
        if conn.execute(select(exists().where(CURATION.c.lora_id == replaced))).scalar():
            return int(replaced)
        passed.add(replaced)
        current = replaced
    return None
