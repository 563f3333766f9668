"""The rows of curation and of its history: read by the batch, written together with all that repeats them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, bindparam, delete, select, union, update

from registry.catalog import tables
from registry.catalog.corrections import COLUMNS
from registry.catalog.keys import in_chunks
from registry.curation import Noted, pack_value, unpack_value
from registry.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit
    from registry.curation import Value

_TABLES = tables.TABLES
LORA, REDIRECT, CURATION, HISTORY, PICTURE_OF = (
    _TABLES[name] for name in ("lora", "lora_redirect", "curation", "curation_history", "picture_of")
)
CONFLICT = "conflict"
MERGE = "merge"


class Replaced(NamedTuple):
    """What a field of a lora was and becomes; `None` is nothing noted."""

    lora_id: int
    field: str
    old: Value | None
    new: Value | None


class Edited(NamedTuple):
    """What an action came to: its `batch`, `None` if it changed nothing, and which loras it changed."""

    batch: int | None
    changed: list[int]


def noted_of(conn: Connection, lora_ids: Iterable[int]) -> dict[int, dict[str, Noted]]:
    """Return what is noted of loras, by lora and field; those of which nothing is noted are left out."""
    found: dict[int, dict[str, Noted]] = {}
    for part in in_chunks(list(lora_ids)):
        query = select(CURATION).where(CURATION.c.lora_id.in_(part))
        for row in conn.execute(query.order_by(CURATION.c.lora_id, CURATION.c.field)):
            noted = Noted(unpack_value(row.value), row.at, row.actor)
            found.setdefault(row.lora_id, {})[row.field] = noted
    return found


def remembered(conn: Connection, lora_ids: Sequence[int]) -> set[int]:
    """Return those of the loras of which something is noted or was, or that were given a picture."""
    found: set[int] = set()
    for part in in_chunks(lora_ids):
        noted = [select(table.c.lora_id).where(table.c.lora_id.in_(part)) for table in (CURATION, HISTORY)]
        given = select(PICTURE_OF.c.of_id).where(PICTURE_OF.c.of_id.in_(part), PICTURE_OF.c.kind == "user")
        found.update(conn.execute(union(*noted, given)).scalars())
    return found


def standing(conn: Connection, lora_ids: Collection[int]) -> list[int]:
    """Return the ids that lora ids stand for today, each once and in ascending order.

    Raises NotFound if one stands for nothing.
    """
    found, lost = _standing(conn, lora_ids)
    if lost:
        raise NotFound(f"there is no lora {lost[0]}")
    return found


def still_standing(conn: Connection, lora_ids: Collection[int]) -> list[int]:
    """Return the ids that lora ids stand for today, as `standing` does, without those that are gone."""
    return _standing(conn, lora_ids)[0]


def _standing(conn: Connection, lora_ids: Collection[int]) -> tuple[list[int], list[int]]:
    """Return what lora ids stand for, and those that stand for nothing."""
    wanted = sorted(set(lora_ids))
    there = _there(conn, wanted)
    lost: list[int] = []
    for part in in_chunks([lora_id for lora_id in wanted if lora_id not in there]):
        query = select(REDIRECT.c.old_id, REDIRECT.c.new_id).where(REDIRECT.c.old_id.in_(part))
        moved: dict[int, int] = dict(conn.execute(query).all())
        lost += [lora_id for lora_id in part if lora_id not in moved]
        there.update(moved.values())
    return sorted(there), lost


def require(conn: Connection, lora_ids: Collection[int]) -> None:
    """Raise NotFound unless all of these loras are there."""
    missing = set(lora_ids) - _there(conn, sorted(lora_ids))
    if missing:
        raise NotFound(f"there is no lora {min(missing)}")


def _there(conn: Connection, lora_ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for part in in_chunks(lora_ids):
        found.update(conn.execute(select(LORA.c.id).where(LORA.c.id.in_(part))).scalars())
    return found


_KEY = and_(CURATION.c.lora_id == bindparam("of_lora"), CURATION.c.field == bindparam("of_field"))


def put(unit: Unit, values: Sequence[tuple[int, str, Noted | None]]) -> None:
    """Make fields of loras these values (lora id, field, value), and log that the loras changed."""
    if not values:
        return
    keys = [{"of_lora": lora_id, "of_field": field} for lora_id, field, _ in values]
    unit.conn.execute(delete(CURATION).where(_KEY), keys)
    rows = [
        {
            "lora_id": lora_id,
            "field": field,
            "value": pack_value(noted.value),
            "at": noted.at,
            "actor": noted.actor,
        }
        for lora_id, field, noted in values
        if noted is not None
    ]
    unit.insert(CURATION, rows)
    for name, column in COLUMNS.items():
        corrected = [
            {"of_lora": lora_id, "corrected": None if noted is None else noted.value}
            for lora_id, field, noted in values
            if field == name
        ]
        if corrected:
            where = LORA.c.id == bindparam("of_lora")
            unit.conn.execute(update(LORA).where(where).values({column: bindparam("corrected")}), corrected)
    _log(unit, {lora_id for lora_id, _, _ in values})


def _log(unit: Unit, lora_ids: Iterable[int]) -> None:
    for lora_id in sorted(lora_ids):
        unit.changed("lora", lora_id, "changed", lora_id=lora_id)


def remember(unit: Unit, rows: Sequence[Replaced], kind: str, *, batch: int | None = None) -> int | None:
    """Write history; return the batch of the rows, a new one unless it is given, `None` if there are none."""
    ids = unit.allocate("curation_history", len(rows))
    if not ids:
        return batch
    found = ids[0] if batch is None else batch
    _log(unit, {row.lora_id for row in rows})
    unit.insert(
        HISTORY,
        [
            {
                "id": row_id,
                "lora_id": row.lora_id,
                "field": row.field,
                "old": None if row.old is None else pack_value(row.old),
                "new": None if row.new is None else pack_value(row.new),
                "at": unit.now,
                "actor": unit.actor,
                "kind": kind,
                "batch": found,
            }
            for row_id, row in zip(ids, rows, strict=True)
        ],
    )
    return found


def replace_values(
    unit: Unit, rows: Sequence[Replaced], kind: str, *, batch: int | None = None
) -> int | None:
    """Make fields what the rows say they become, as of now and by who acts, and write that to the history."""
    noted = [
        (row.lora_id, row.field, None if row.new is None else Noted(row.new, unit.now, unit.actor))
        for row in rows
    ]
    put(unit, noted)
    return remember(unit, rows, kind, batch=batch)
