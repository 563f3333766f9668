"""Notes that came from elsewhere before the files they are about: they wait until these are hashed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, or_, select

from registry.catalog import tables
from registry.catalog.curation_merging import unite
from registry.catalog.keys import CHUNK, in_chunks
from registry.catalog.notes import WHOLE, identities_of
from registry.notes.lines import Place, by_then, read_line, write_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit
    from registry.notes.lines import Line

_TABLES = tables.TABLES
WAITING, FILE, ROOT = (_TABLES[name] for name in ("note_waiting", "file", "root"))


def keep_waiting(unit: Unit, lines: Sequence[Line]) -> int:
    """Keep lines about loras that are not here; return how many of them did not wait yet."""
    rows: dict[bytes, dict[str, object]] = {}
    for line in lines:
        packed = write_line(line)
        rows[hashlib.sha256(packed).digest()] = {
            "identity": next(iter(identities_of(line)), None),
            "quick_key": None if line.hashed else line.places[0].quick_key,
            "line": packed,
            "at": unit.now,
        }
    known: set[bytes] = set()
    for part in in_chunks(list(rows)):
        query = select(WAITING.c.digest).where(WAITING.c.digest.in_(part))
        known.update(unit.conn.execute(query).scalars())
    new = [{"digest": digest, **row} for digest, row in rows.items() if digest not in known]
    ids = unit.allocate("note_waiting", len(new))
    unit.insert(WAITING, [{"id": key, **row} for key, row in zip(ids, new, strict=True)])
    return len(new)


def waiting_lines(conn: Connection) -> Iterator[bytes]:
    """Give the lines that wait, as they are written in archives, in a lasting order."""
    after = b""
    query = select(WAITING.c.digest, WAITING.c.line).order_by(WAITING.c.digest).limit(CHUNK)
    while rows := conn.execute(query.where(WAITING.c.digest > after)).all():
        yield from (row.line for row in rows)
        after = rows[-1].digest


def count_waiting(conn: Connection) -> int:
    """Return how many lines wait."""
    return int(conn.execute(select(func.count()).select_from(WAITING)).scalar_one())


def take_waiting(unit: Unit, file_id: int, lora_id: int, identity: str, sha256: str | None) -> bool:
    """Add the notes that waited for a file that was just hashed to its lora; return whether any did."""
    quick_key = select(FILE.c.quick_key).where(FILE.c.id == file_id).scalar_subquery()
    names = [identity] if sha256 is None else [identity, WHOLE + sha256]
    query = select(WAITING.c.id, WAITING.c.identity, WAITING.c.line, WAITING.c.at).where(
        or_(WAITING.c.identity.in_(names), WAITING.c.quick_key == quick_key)
    )
    taken = []
    for row in unit.conn.execute(query.order_by(WAITING.c.id)).all():
        line, _ = read_line(row.line)
        if line is None or (row.identity is None and _place(unit.conn, file_id) not in line.places):
            continue
        taken.append(row.id)
        unite(unit, {lora_id: by_then(line.fields, min(row.at, unit.now))})
    if taken:
        unit.conn.execute(delete(WAITING).where(WAITING.c.id.in_(taken)))
    return bool(taken)


def _place(conn: Connection, file_id: int) -> Place:
    query = (
        select(ROOT.c.label, FILE.c.path_raw, FILE.c.quick_key, FILE.c.size)
        .join(ROOT, ROOT.c.id == FILE.c.root_id)
        .where(FILE.c.id == file_id)
    )
    return Place(*conn.execute(query).one())
