"""The change log: its generation, reading on from a point, and forgetting what is old."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, insert, select, update

from registry.catalog import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
CHANGE, SETTING = _TABLES["change"], _TABLES["setting"]
_PRUNED = "changes_pruned_to"
DAY_MS = 86_400_000
PROBLEMS = "problems"
"""The kind of change of a root whose problems are others than before."""
PICTURE = "picture"
"""The entity of a change of the pictures of a lora, whose id stands as that of the entity."""


class Changed(NamedTuple):
    """One entry of the log."""

    seq: int
    at: int
    entity: str
    entity_id: int
    lora_id: int | None
    kind: str

    @property
    def apart(self) -> bool:
        """Whether no lora is found or shown otherwise for it."""
        return self.entity in {"saved", PICTURE} or self.kind == PROBLEMS


def generation(conn: Connection) -> int:
    """Return the highest sequence number ever given; it grows with every change and with nothing else."""
    highest = conn.execute(select(func.max(CHANGE.c.seq))).scalar()
    return max(int(highest or 0), pruned_to(conn))


def pruned_to(conn: Connection) -> int:
    """Return the highest sequence number that was forgotten."""
    value = conn.execute(select(SETTING.c.value).where(SETTING.c.name == _PRUNED)).scalar()
    return int(value or 0)


def changes_since(conn: Connection, seq: int, *, limit: int = 1000) -> list[Changed] | None:
    """Return what changed after `seq`; `None` if that is forgotten or never was: read all anew."""
    if seq < pruned_to(conn) or seq > generation(conn):
        return None
    query = (
        select(
            CHANGE.c.seq, CHANGE.c.at, CHANGE.c.entity, CHANGE.c.entity_id, CHANGE.c.lora_id, CHANGE.c.kind
        )
        .where(CHANGE.c.seq > seq)
        .order_by(CHANGE.c.seq)
        .limit(limit)
    )
    return [Changed(*row) for row in conn.execute(query)]


def started_at(conn: Connection, seq: int) -> int | None:
    """Return when a generation began, in milliseconds; `None` if it never was or is forgotten.

    Two generations of one number, as a restored backup has them, differ in it.
    """
    return conn.execute(select(CHANGE.c.at).where(CHANGE.c.seq == seq)).scalar()


def loras_changed_since(
    conn: Connection, seq: int, at: int | None = None, *, limit: int = 2000
) -> set[int] | None:
    """Return which loras changed after the generation `seq`, which began at `at` if that is known.

    `None` if that cannot be told: too much changed, or roots did, or that generation is not of this catalog.
    """
    if at is not None and started_at(conn, seq) != at:
        return None
    changes = changes_since(conn, seq, limit=limit + 1)
    if changes is None or len(changes) > limit:
        return None
    if any(change.lora_id is None and not change.apart for change in changes):
        return None
    return {change.lora_id for change in changes if change.lora_id is not None}


def prune(unit: Unit, days: int) -> int:
    """Forget changes older than `days`; return how many."""
    before = unit.now - days * DAY_MS
    highest = unit.conn.execute(select(func.max(CHANGE.c.seq)).where(CHANGE.c.at < before)).scalar()
    if highest is None:
        return 0
    set_setting(unit, _PRUNED, str(highest))
    return unit.conn.execute(delete(CHANGE).where(CHANGE.c.seq <= highest)).rowcount


def get_setting(conn: Connection, name: str) -> str | None:
    """Return a fact about this catalog."""
    return conn.execute(select(SETTING.c.value).where(SETTING.c.name == name)).scalar()


def set_setting(unit: Unit, name: str, value: str) -> None:
    """Store a fact about this catalog."""
    if not unit.conn.execute(update(SETTING).where(SETTING.c.name == name).values(value=value)).rowcount:
        unit.conn.execute(insert(SETTING).values(name=name, value=value))
