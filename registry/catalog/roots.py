"""Machines, roots and where each machine mounts them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, select, true, update

from registry.catalog import tables
from registry.catalog.presence import set_missing
from registry.errors import BadRequest, Conflict, NotFound
from registry.formats.packing import clean_text
from registry.views import RootView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
MACHINE, ROOT, MOUNT, FILE, PROBLEM, CHANGE = (
    _TABLES[name] for name in ("machine", "root", "mount", "file", "problem", "change")
)
FLAGS = ("writable", "private", "follow_out", "pickles", "ignore_inode")
OPTIONS = (*FLAGS, "label", "poll", "header_readers", "hash_readers", "position")
POLLS = ("auto", "always", "never")


def seen_machine(unit: Unit, machine_id: str, name: str) -> None:
    """Record that this machine works on the catalog."""
    values = {"name": clean_text(name), "last_seen": unit.now}
    if not unit.conn.execute(update(MACHINE).where(MACHINE.c.id == machine_id).values(values)).rowcount:
        unit.conn.execute(insert(MACHINE).values(id=machine_id, **values))


def _view(row: Row[Any]) -> RootView:
    raw: bytes | None = row.path_raw
    return RootView(
        id=row.id,
        label=row.label,
        kind=row.kind,
        path=None if raw is None else os.fsdecode(raw),
        machine=row.machine,
        state=row.state,
        state_since=row.state_since,
        **{flag: bool(getattr(row, flag)) for flag in FLAGS},
        poll=row.poll,
        header_readers=row.header_readers,
        hash_readers=row.hash_readers,
        position=row.position,
        added_at=row.added_at,
        scanned_at=row.scanned_at,
        scan_ms=row.scan_ms,
    )


def list_roots(conn: Connection, machine_id: str, *, scanned_here: bool = False) -> list[RootView]:
    """Return the roots in listing order, with this machine's path of each; their files are not counted."""
    query = _query(machine_id)
    if scanned_here:
        query = query.where(ROOT.c.machine_id == machine_id)
    return [_view(row) for row in conn.execute(query)]


def get_root(conn: Connection, root_id: int, machine_id: str) -> RootView:
    """Return one root; NotFound if it is not there or was removed."""
    row = conn.execute(_query(machine_id, root_id)).first()
    if row is None:
        raise NotFound(f"there is no root {root_id}", remedy="`loras roots list` shows them")
    return _view(row)


def count_files_of(conn: Connection, root_id: int) -> int:
    """Return how many files of a root are present; the more there are, the longer it takes."""
    where = (FILE.c.root_id == root_id) & (FILE.c.state == "present")
    return conn.execute(select(func.count()).where(where)).scalar_one()


def counted(conn: Connection, roots: Sequence[RootView]) -> list[RootView]:
    """Return the roots with the number of their present files."""
    return [replace(root, files=count_files_of(conn, root.id)) for root in roots]


def added_since(conn: Connection, seq: int) -> set[int]:
    """Return the ids of the roots that were added, or brought back, after a sequence number of the log."""
    where = (CHANGE.c.seq > seq) & (CHANGE.c.entity == "root") & (CHANGE.c.kind == "added")
    return set(conn.execute(select(CHANGE.c.entity_id).where(where)).scalars())


def _query(machine_id: str, root_id: int | None = None) -> Select[Any]:
    return (
        select(ROOT, MACHINE.c.name.label("machine"), MOUNT.c.path_raw)
        .join(MACHINE, MACHINE.c.id == ROOT.c.machine_id)
        .outerjoin(MOUNT, and_(MOUNT.c.root_id == ROOT.c.id, MOUNT.c.machine_id == machine_id))
        .where(ROOT.c.removed_at.is_(None), true() if root_id is None else ROOT.c.id == root_id)
        .order_by(ROOT.c.position, ROOT.c.id)
    )


def add_root(unit: Unit, machine_id: str, path: str, **options: object) -> tuple[int, bool]:
    """Add a root at an absolute path of this machine, or bring a removed one back; return (id, whether new).

    Raises Conflict when another machine scans the root that has this path here.
    """
    check_options(options)
    raw = os.fsencode(path)
    row = unit.conn.execute(
        select(ROOT.c.id, ROOT.c.removed_at, ROOT.c.machine_id)
        .join(MOUNT, MOUNT.c.root_id == ROOT.c.id)
        .where(MOUNT.c.machine_id == machine_id, MOUNT.c.path_raw == raw)
    ).first()
    if row is not None:
        if row.machine_id != machine_id:
            raise Conflict(
                f"another machine scans {clean_text(path)}", remedy="let it scan, or relocate the root"
            )
        if row.removed_at is not None:
            unit.conn.execute(
                update(ROOT)
                .where(ROOT.c.id == row.id)
                .values(removed_at=None, state="ok", state_since=unit.now)
            )
            unit.changed("root", row.id, "added")
        if options:
            change_root(unit, row.id, **options)
        return row.id, row.removed_at is not None
    position = unit.conn.execute(select(func.coalesce(func.max(ROOT.c.position), 0) + 1)).scalar_one()
    label = clean_text(str(options.pop("label", "") or Path(path).name or path))
    values = {name: int(value) if isinstance(value, bool) else value for name, value in options.items()}
    (root_id,) = unit.allocate("root", 1)
    unit.conn.execute(
        insert(ROOT).values(
            id=root_id,
            label=label,
            machine_id=machine_id,
            state_since=unit.now,
            added_at=unit.now,
            **{"kind": "local", "state": "ok", "position": position, **_DEFAULTS, **values},
        )
    )
    unit.conn.execute(
        insert(MOUNT).values(root_id=root_id, machine_id=machine_id, path_raw=raw, path=clean_text(path))
    )
    unit.changed("root", root_id, "added")
    return root_id, True


_DEFAULTS: dict[str, object] = {
    "writable": 0,
    "private": 0,
    "follow_out": 0,
    "pickles": 0,
    "ignore_inode": 0,
    "poll": "auto",
    "header_readers": 8,
    "hash_readers": None,
}


def check_options(options: dict[str, object]) -> None:
    """Raise BadRequest for an option that does not exist or a value that it cannot take."""
    unknown = sorted(options.keys() - set(OPTIONS))
    if unknown:
        raise BadRequest(
            f"a root has no option {unknown[0]!r}", remedy=f"the options are {', '.join(OPTIONS)}"
        )
    if options.get("poll", "auto") not in POLLS:
        raise BadRequest("poll is one of auto, always, never")
    for name in ("header_readers", "hash_readers"):
        value = options.get(name, 1)
        if value is not None and not (isinstance(value, int) and 1 <= value <= 64):
            raise BadRequest(f"{name} is a number from 1 to 64")


def change_root(unit: Unit, root_id: int, **options: object) -> None:
    """Change options of a root."""
    check_options(options)
    values = {name: int(value) if isinstance(value, bool) else value for name, value in options.items()}
    if unit.conn.execute(update(ROOT).where(ROOT.c.id == root_id).values(values)).rowcount:
        unit.changed("root", root_id, "changed")
    else:
        raise NotFound(f"there is no root {root_id}", remedy="`loras roots list` shows them")


def mount_root(unit: Unit, root_id: int, machine_id: str, path: str) -> None:
    """Say where a machine finds a root; replaces an earlier path.

    Raises Conflict when that path is another root's.
    """
    raw = os.fsencode(path)
    taken = unit.conn.execute(
        select(MOUNT.c.root_id)
        .join(ROOT, ROOT.c.id == MOUNT.c.root_id)
        .where(
            MOUNT.c.machine_id == machine_id,
            MOUNT.c.path_raw == raw,
            MOUNT.c.root_id != root_id,
            ROOT.c.removed_at.is_(None),
        )
    ).first()
    if taken is not None:
        raise Conflict(f"{clean_text(path)} is root {taken.root_id} already", remedy="remove that root first")
    where = (MOUNT.c.root_id == root_id) & (MOUNT.c.machine_id == machine_id)
    values = {"path_raw": raw, "path": clean_text(path)}
    if not unit.conn.execute(update(MOUNT).where(where).values(values)).rowcount:
        unit.conn.execute(insert(MOUNT).values(root_id=root_id, machine_id=machine_id, **values))
    unit.changed("root", root_id, "changed")


def scanned_root(unit: Unit, root_id: int, milliseconds: int) -> None:
    """Record that a scan of the root ended; its length paces the polling of network mounts."""
    unit.conn.execute(
        update(ROOT).where(ROOT.c.id == root_id).values(scanned_at=unit.now, scan_ms=milliseconds)
    )


def set_root_state(unit: Unit, root_id: int, state: str) -> bool:
    """Mark a root `ok` or `unreachable`; return whether that is news.

    The present files of an unreachable root become unreachable with it; a scan brings them back one by one.
    """
    where = (ROOT.c.id == root_id) & (ROOT.c.state != state)
    if not unit.conn.execute(update(ROOT).where(where).values(state=state, state_since=unit.now)).rowcount:
        return False
    unit.changed("root", root_id, state)
    if state == "unreachable":
        ids = unit.conn.execute(select(FILE.c.id).where(FILE.c.root_id == root_id, FILE.c.state == "present"))
        set_missing(unit, list(ids.scalars()), state="unreachable")
    return True


def remove_root(unit: Unit, root_id: int) -> None:
    """Take a root out of the catalog: its files count as missing, their loras and notes stay."""
    values = {"removed_at": unit.now}
    where = (ROOT.c.id == root_id) & ROOT.c.removed_at.is_(None)
    if not unit.conn.execute(update(ROOT).where(where).values(values)).rowcount:
        raise NotFound(f"there is no root {root_id}", remedy="`loras roots list` shows them")
    _leave(unit, root_id)
    unit.changed("root", root_id, "removed")


def leave_if_removed(unit: Unit, root_id: int) -> bool:
    """Undo what a scan wrote of a root that was removed meanwhile; return whether it was."""
    removed = unit.conn.execute(select(ROOT.c.removed_at).where(ROOT.c.id == root_id)).scalar() is not None
    if removed:
        _leave(unit, root_id)
    return removed


def _leave(unit: Unit, root_id: int) -> None:
    ids = unit.conn.execute(select(FILE.c.id).where(FILE.c.root_id == root_id, FILE.c.state != "missing"))
    set_missing(unit, list(ids.scalars()))
    # What is wrong with its files comes back with them.
    unit.conn.execute(delete(PROBLEM).where(PROBLEM.c.root_id == root_id, PROBLEM.c.file_id.is_(None)))


def relocate_files(unit: Unit, root_id: int) -> None:
    """Prepare a root for its new place: files met there with the same path, size and time keep everything.

    Their inodes are forgotten, and they are hashed once more when nothing else is left to hash.
    """
    unit.conn.execute(update(FILE).where(FILE.c.root_id == root_id).values(inode=0, device=0))
    hashed = (FILE.c.root_id == root_id) & (FILE.c.hash_state == "done")
    unit.conn.execute(update(FILE).where(hashed).values(hash_state="pending", hash_priority=-1))
