"""Loras: keeping their summary columns true, merging provisional ones, following redirects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, delete, insert, select, update

from registry.catalog import tables
from registry.catalog.keys import fold, in_chunks
from registry.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit

_TABLES = tables.SQLModel.metadata.tables
FILE, HEADER, LORA, REDIRECT = (_TABLES[name] for name in ("file", "header", "lora", "lora_redirect"))
PROVISIONAL = "new:"


def refresh_loras(unit: Unit, lora_ids: Iterable[int]) -> None:
    """Bring the summary columns of loras in line with their files; drop provisional ones without files.

    The primary file is the first of: present ones, then the oldest first seen, then by path.
    """
    for part in in_chunks(sorted(lora_ids)):
        loras = {row.id: row for row in unit.conn.execute(select(LORA).where(LORA.c.id.in_(part)))}
        query = (
            select(
                FILE.c.lora_id,
                FILE.c.id,
                FILE.c.state,
                FILE.c.name,
                FILE.c.size,
                FILE.c.mtime_ns,
                FILE.c.header_id,
                HEADER.c.kind,
            )
            .outerjoin(HEADER, HEADER.c.id == FILE.c.header_id)
            .where(FILE.c.lora_id.in_(part))
            .order_by(
                FILE.c.lora_id,
                case((FILE.c.state == "present", 0), else_=1),
                FILE.c.first_seen,
                FILE.c.root_id,
                FILE.c.path_raw,
            )
        )
        files: dict[int, list[Any]] = {}
        for row in unit.conn.execute(query):
            files.setdefault(row.lora_id, []).append(row)
        updates = []
        for lora_id, lora in loras.items():
            mine = files.get(lora_id, [])
            if not mine and lora.identity.startswith(PROVISIONAL):
                unit.conn.execute(delete(LORA).where(LORA.c.id == lora_id))
                unit.changed("lora", lora_id, "removed", lora_id=lora_id)
                continue
            updates.append(_summary(lora, mine))
        changed = [row for row in updates if any(row[name] != getattr(loras[row["row_id"]], name) for name in _SUMMARY)]
        if changed:
            statement = (
                update(LORA).where(LORA.c.id == bindparam("row_id")).values({name: bindparam(name) for name in _SUMMARY})
            )
            unit.conn.execute(statement, changed)


_SUMMARY = (
    "kind",
    "header_id",
    "primary_file_id",
    "files",
    "files_present",
    "name",
    "name_key",
    "size",
    "mtime_ns",
)


def _summary(lora: Any, files: list[Any]) -> dict[str, Any]:
    counts = {"files": len(files), "files_present": sum(row.state == "present" for row in files)}
    if not files:
        kept = {name: getattr(lora, name) for name in _SUMMARY}
        return {"row_id": lora.id, **kept, **counts, "primary_file_id": None}
    first = files[0]
    return {
        "row_id": lora.id,
        "kind": first.kind or "other",
        "header_id": first.header_id,
        "primary_file_id": first.id,
        **counts,
        "name": first.name,
        "name_key": fold(first.name),
        "size": first.size,
        "mtime_ns": first.mtime_ns,
    }


def attach(unit: Unit, file_id: int, identity: str) -> int:
    """Give a hashed file the lora of its identity and return that lora's id.

    A provisional lora becomes that identity, or merges into the lora that has it and leaves a redirect. A file
    of another, known lora moves to the right one, which then names what it replaces.
    """
    row = unit.conn.execute(
        select(FILE.c.lora_id, FILE.c.first_seen, LORA.c.identity, LORA.c.replaces_id)
        .join(LORA, LORA.c.id == FILE.c.lora_id)
        .where(FILE.c.id == file_id)
    ).first()
    if row is None:
        raise NotFound(f"there is no file {file_id}")
    current = int(row.lora_id)
    if row.identity == identity:
        unit.changed("lora", current, "changed", lora_id=current)
        return current
    known = unit.conn.execute(select(LORA.c.id).where(LORA.c.identity == identity)).scalar()
    if row.identity == f"{PROVISIONAL}{file_id}":
        if known is None:
            unit.conn.execute(update(LORA).where(LORA.c.id == current).values(identity=identity))
            unit.changed("lora", current, "changed", lora_id=current)
            return current
        merge(unit, current, int(known))
        return int(known)
    if known is None:
        (known,) = unit.allocate("lora", 1)
        old = unit.conn.execute(select(LORA).where(LORA.c.id == current)).one()
        values = {**old._mapping, "id": known, "identity": identity, "replaces_id": current}  # noqa: SLF001 - documented
        values.update(first_seen=unit.now, files=0, files_present=0, primary_file_id=None)
        unit.conn.execute(insert(LORA).values(**values))
        unit.changed("lora", known, "added", lora_id=known)
    unit.conn.execute(update(FILE).where(FILE.c.id == file_id).values(lora_id=known))
    refresh_loras(unit, {current, int(known)})
    unit.changed("lora", current, "changed", lora_id=current)
    unit.changed("lora", int(known), "changed", lora_id=int(known))
    return int(known)


def merge(unit: Unit, old: int, new: int) -> None:
    """Move all files of a lora to another one and leave a redirect and a tombstone."""
    unit.conn.execute(update(FILE).where(FILE.c.lora_id == old).values(lora_id=new))
    replaces = unit.conn.execute(select(LORA.c.replaces_id).where(LORA.c.id == old)).scalar()
    if replaces is not None and replaces != new:
        where = (LORA.c.id == new) & LORA.c.replaces_id.is_(None)
        unit.conn.execute(update(LORA).where(where).values(replaces_id=replaces))
    # Chains stay one step long, so that following a redirect is one look-up.
    unit.conn.execute(update(REDIRECT).where(REDIRECT.c.new_id == old).values(new_id=new))
    unit.conn.execute(insert(REDIRECT).values(old_id=old, new_id=new, at=unit.now))
    unit.conn.execute(update(LORA).where(LORA.c.replaces_id == old).values(replaces_id=new))
    unit.conn.execute(delete(LORA).where(LORA.c.id == old))
    unit.changed("lora", old, "merged", lora_id=new)
    unit.changed("lora", new, "changed", lora_id=new)
    refresh_loras(unit, {new})


def current_id(conn: Connection, lora_id: int) -> int:
    """Return the id that a lora id stands for today: itself, or where it was merged into."""
    found = conn.execute(select(REDIRECT.c.new_id).where(REDIRECT.c.old_id == lora_id)).scalar()
    return lora_id if found is None else int(found)
