"""Loras: keeping their summary columns true, merging provisional ones, following redirects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, delete, select, update

from registry.catalog import tables
from registry.catalog.corrections import COLUMNS as CORRECTIONS
from registry.catalog.curation_merging import merge_curation
from registry.catalog.curation_rows import remembered
from registry.catalog.filerows import NO_HEADER_KIND
from registry.catalog.fingerprints import FINGERPRINT, drop_fingerprint
from registry.catalog.headers import drop_unused_headers
from registry.catalog.keys import fold, in_chunks
from registry.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row

    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
FILE, HEADER, LORA, REDIRECT = (_TABLES[name] for name in ("file", "header", "lora", "lora_redirect"))
PROVISIONAL = "new:"


def refresh_loras(unit: Unit, lora_ids: Iterable[int]) -> None:
    """Bring the summary columns of loras in line with their files; drop provisional ones without files.

    Those of which the user noted anything are kept. The primary file is the first of: present ones, then the
    oldest first seen, then by path.
    """
    old_headers: set[int | None] = set()
    for part in in_chunks(sorted(lora_ids)):
        loras = unit.conn.execute(select(LORA).where(LORA.c.id.in_(part))).all()
        files: dict[int, list[Any]] = {}
        for row in unit.conn.execute(_FILES.where(FILE.c.lora_id.in_(part))):
            files.setdefault(row.lora_id, []).append(row)
        empty = [lora.id for lora in loras if lora.id not in files and lora.identity.startswith(PROVISIONAL)]
        kept = remembered(unit.conn, empty)
        empty = [lora_id for lora_id in empty if lora_id not in kept]
        updates = []
        for lora in loras:
            summary = _summary(lora, files.get(lora.id, []))
            if lora.id not in empty and any(summary[name] != getattr(lora, name) for name in _SUMMARY):
                updates.append({"row_id": lora.id, **summary})
            if lora.id in empty or summary["header_id"] != lora.header_id:
                old_headers.add(lora.header_id)
        if updates:
            unit.conn.execute(_UPDATE_SUMMARY, updates)
        _drop(unit, empty)
    drop_unused_headers(unit, old_headers)


def _drop(unit: Unit, lora_ids: Sequence[int]) -> None:
    if lora_ids:
        replaced = LORA.c.replaces_id.in_(lora_ids)
        unit.conn.execute(update(LORA).where(replaced).values(replaces_id=None))
        unit.conn.execute(delete(FINGERPRINT).where(FINGERPRINT.c.lora_id.in_(lora_ids)))
        unit.conn.execute(delete(LORA).where(LORA.c.id.in_(lora_ids)))
    for lora_id in lora_ids:
        unit.changed("lora", lora_id, "removed", lora_id=lora_id)


_FILES = (
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
    .select_from(FILE)
    .outerjoin(HEADER, HEADER.c.id == FILE.c.header_id)
    .order_by(
        FILE.c.lora_id,
        case((FILE.c.state == "present", 0), else_=1),
        FILE.c.first_seen,
        FILE.c.root_id,
        FILE.c.path_raw,
    )
)
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


_UPDATE_SUMMARY = (
    update(LORA).where(LORA.c.id == bindparam("row_id")).values({name: bindparam(name) for name in _SUMMARY})
)


def _summary(lora: Row[Any], files: Sequence[Row[Any]]) -> dict[str, Any]:
    counts = {"files": len(files), "files_present": sum(row.state == "present" for row in files)}
    if not files:
        kept = {name: getattr(lora, name) for name in _SUMMARY}
        return {**kept, **counts, "primary_file_id": None}
    first = files[0]
    return {
        "kind": first.kind or NO_HEADER_KIND,
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

    A provisional lora becomes that identity, or merges into the lora that has it and leaves a redirect. A
    file of another, known lora moves to the right one, which then names what it replaces if the file was
    hashed before. A provisional `identity` says that nothing tells this file from others: it gets a lora of
    its own.
    """
    row = unit.conn.execute(
        select(FILE.c.lora_id, FILE.c.hashed_at, LORA.c.identity)
        .join(LORA, LORA.c.id == FILE.c.lora_id)
        .where(FILE.c.id == file_id)
    ).first()
    if row is None:
        raise NotFound(f"there is no file {file_id}")
    current, provisional = int(row.lora_id), row.identity.startswith(PROVISIONAL)
    if row.identity == identity or (provisional and identity.startswith(PROVISIONAL)):
        unit.changed("lora", current, "changed", lora_id=current)
        return current
    known = unit.conn.execute(select(LORA.c.id).where(LORA.c.identity == identity)).scalar()
    if provisional and known is not None:
        merge(unit, current, int(known))
        return int(known)
    if provisional:
        unit.conn.execute(update(LORA).where(LORA.c.id == current).values(identity=identity))
        unit.changed("lora", current, "changed", lora_id=current)
        return current
    target = (
        int(known)
        if known is not None
        else _split(unit, current, identity, replaces=row.hashed_at is not None)
    )
    unit.conn.execute(update(FILE).where(FILE.c.id == file_id).values(lora_id=target))
    for lora_id in (current, target):
        unit.changed("lora", lora_id, "changed", lora_id=lora_id)
    refresh_loras(unit, {current, target})
    return target


def _split(unit: Unit, current: int, identity: str, *, replaces: bool) -> int:
    """Make a lora of that identity for a file that was thought to be another one."""
    old = unit.conn.execute(select(LORA).where(LORA.c.id == current)).one()
    (lora_id,) = unit.allocate("lora", 1)
    values = {column.name: getattr(old, column.name) for column in LORA.columns}
    values.update(id=lora_id, identity=identity, replaces_id=current if replaces else None)
    values.update(first_seen=unit.now, files=0, files_present=0, primary_file_id=None)
    # They are about the weights that it was thought to be.
    values.update(dict.fromkeys([column.name for column in CORRECTIONS.values()]))
    unit.insert(LORA, [values])
    unit.changed("lora", lora_id, "added", lora_id=lora_id)
    return lora_id


def merge(unit: Unit, old: int, new: int) -> None:
    """Move all files and notes of a lora to another one and leave a redirect and a tombstone."""
    gone = unit.conn.execute(select(LORA.c.replaces_id, LORA.c.first_seen).where(LORA.c.id == old)).one()
    unit.conn.execute(update(FILE).where(FILE.c.lora_id == old).values(lora_id=new))
    # Chains stay one step long, so that following a redirect is one look-up.
    unit.conn.execute(update(REDIRECT).where(REDIRECT.c.new_id == old).values(new_id=new))
    unit.insert(REDIRECT, [{"old_id": old, "new_id": new, "at": unit.now}])
    unit.conn.execute(update(LORA).where(LORA.c.replaces_id == old).values(replaces_id=new))
    merge_curation(unit, old, new)
    drop_fingerprint(unit, old)
    unit.conn.execute(delete(LORA).where(LORA.c.id == old))
    kept = unit.conn.execute(select(LORA.c.replaces_id, LORA.c.first_seen).where(LORA.c.id == new)).one()
    replaces = gone.replaces_id if kept.replaces_id is None else kept.replaces_id
    values = {
        # Nothing replaces itself: that is how a file looks that was changed and changed back.
        "replaces_id": None if replaces == new else replaces,
        "first_seen": min(gone.first_seen, kept.first_seen),
    }
    unit.conn.execute(update(LORA).where(LORA.c.id == new).values(values))
    unit.changed("lora", old, "merged", lora_id=new)
    unit.changed("lora", new, "changed", lora_id=new)
    refresh_loras(unit, {new})


def current_id(conn: Connection, lora_id: int) -> int:
    """Return the id that a lora id stands for today: itself, or where it was merged into."""
    found = conn.execute(select(REDIRECT.c.new_id).where(REDIRECT.c.old_id == lora_id)).scalar()
    return lora_id if found is None else int(found)


def loras_of_root(conn: Connection, root_id: int, after: int, limit: int) -> list[int]:
    """Return the first `limit` ids above `after` of loras with a file in a root, in ascending order."""
    query = (
        select(FILE.c.lora_id)
        .where(FILE.c.root_id == root_id, FILE.c.lora_id > after)
        .distinct()
        .order_by(FILE.c.lora_id)
        .limit(limit)
    )
    return list(conn.execute(query).scalars())
