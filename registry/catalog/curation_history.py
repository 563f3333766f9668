"""What was noted of loras before: reading it, and undoing what an action did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from registry.catalog.curation_rows import (
    HISTORY,
    MERGE,
    Edited,
    Replaced,
    noted_of,
    replace_values,
    standing,
)
from registry.catalog.keys import in_chunks
from registry.curation import plain, united, unpack_value
from registry.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from registry.catalog.engine import Unit
    from registry.curation import Noted, Value

UNDO = "undo"
_NAMED = 5


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What a field was and became, as plain values, `None` for nothing noted; by whom and when.

    Of a conflict (see `kind`) `old` is the value that lost and `new` the one that stayed. Entries of one
    action have one `batch`.
    """

    id: int
    field: str
    old: object
    new: object
    at: int
    actor: str | None
    kind: str
    batch: int


def history_of(
    conn: Connection, lora_id: int, *, limit: int = 100, before: int | None = None
) -> list[HistoryEntry]:
    """Return what happened to the notes of a lora, the latest first, from below the id `before`."""
    query = select(HISTORY).where(HISTORY.c.lora_id == lora_id)
    if before is not None:
        query = query.where(HISTORY.c.id < before)
    return [_entry(row) for row in conn.execute(query.order_by(HISTORY.c.id.desc()).limit(limit))]


def _entry(row: Row[Any]) -> HistoryEntry:
    return HistoryEntry(
        id=row.id,
        field=row.field,
        old=None if row.old is None else plain(unpack_value(row.old)),
        new=None if row.new is None else plain(unpack_value(row.new)),
        at=row.at,
        actor=row.actor,
        kind=row.kind,
        batch=row.batch,
    )


def revision(conn: Connection, lora_id: int) -> int:
    """Return a number that grows with each change of what is noted of a lora; 0 if nothing ever was."""
    query = select(func.max(HISTORY.c.id)).where(HISTORY.c.lora_id == lora_id)
    return int(conn.execute(query).scalar() or 0)


def undo(
    unit: Unit,
    *,
    batch: int | None = None,
    lora_id: int | None = None,
    fields: Collection[str] | None = None,
    force: bool = False,
) -> Edited:
    """Bring back what a batch replaced: of one lora if that is given, whose last batch it is unless one is.

    Undoing is a batch of its own, which can be undone. Undoing a conflict brings back the value that lost.
    With `fields` only these are brought back. Raises NotFound if there is nothing to undo, and Conflict,
    before anything is written, if some of it was changed again since, unless that is forced.
    """
    back = plan_undo(unit.conn, batch=batch, lora_id=lora_id, fields=fields, force=force)
    found: int | None = None
    for part in in_chunks(back):
        found = replace_values(unit, part, UNDO, batch=found)
    return Edited(found, sorted({row.lora_id for row in back}))


def plan_undo(
    conn: Connection,
    *,
    batch: int | None = None,
    lora_id: int | None = None,
    fields: Collection[str] | None = None,
    force: bool = False,
) -> list[Replaced]:
    """Return what `undo` would replace; raises what it does."""
    rows = _rows(conn, _which(conn, batch, lora_id, fields))
    if not rows:
        raise NotFound("there is nothing to undo", remedy="look at the history of the lora")
    back, later = _plan(rows, noted_of(conn, {row.lora_id for row in rows}))
    if later and not force:
        raise Conflict(
            f"changed again since: {_named(later)}",
            remedy="undo that first, or force it to lose what is there",
        )
    return back


def _which(
    conn: Connection, batch: int | None, lora_id: int | None, fields: Collection[str] | None
) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if lora_id is not None:
        (lora_id,) = standing(conn, [lora_id])
        where.append(HISTORY.c.lora_id == lora_id)
        if batch is None:
            # Nobody did that.
            last = select(func.max(HISTORY.c.id)).where(*where, HISTORY.c.kind != MERGE)
            batch = conn.execute(
                select(HISTORY.c.batch).where(HISTORY.c.id == last.scalar_subquery())
            ).scalar()
    where.append(HISTORY.c.batch == batch)
    if fields is not None:
        where.append(HISTORY.c.field.in_(sorted(fields)))
    return where


def _rows(conn: Connection, where: Sequence[ColumnElement[bool]]) -> list[Replaced]:
    query = select(HISTORY.c.lora_id, HISTORY.c.field, HISTORY.c.old, HISTORY.c.new)
    return [
        Replaced(row.lora_id, row.field, _value(row.old), _value(row.new))
        for row in conn.execute(query.where(*where).order_by(HISTORY.c.id))
    ]


def _value(packed: bytes | None) -> Value | None:
    return None if packed is None else unpack_value(packed)


def _plan(
    rows: Sequence[Replaced], here: Mapping[int, Mapping[str, Noted]]
) -> tuple[list[Replaced], list[Replaced]]:
    """Return what is to be brought back, and that part of it which was changed again since.

    A batch has several rows of one field where loras that it changed are one by now.
    """
    grouped: dict[tuple[int, str], list[Replaced]] = {}
    for row in rows:
        grouped.setdefault((row.lora_id, row.field), []).append(row)
    back, later = [], []
    for (lora_id, field), some in grouped.items():
        noted = here.get(lora_id, {}).get(field)
        now = None if noted is None else noted.value
        old: Value | None = None
        new: Value | None = None
        for row in some:
            old, new = united(field, old, row.old), united(field, new, row.new)
        if now == old:
            continue
        back.append(Replaced(lora_id, field, now, old))
        if now != new and all(now != row.new for row in some):
            later.append(back[-1])
    return back, later


def _named(rows: Sequence[Replaced]) -> str:
    fields: dict[int, list[str]] = {}
    for row in rows:
        fields.setdefault(row.lora_id, []).append(row.field)
    named = [f"{', '.join(names)} of lora {lora_id}" for lora_id, names in fields.items()]
    more = f" and of {len(named) - _NAMED:,} others" if len(named) > _NAMED else ""
    return "; ".join(named[:_NAMED]) + more
