"""Duplicates: files with the same bytes, and files with the same weights under other headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.catalog.reading import file_views
from registry.errors import BadRequest
from registry.formats.packing import clean_text
from registry.hashing.lookup import NOTHING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from registry.views import FileView

_TABLES = tables.TABLES
FILE, DIGEST = _TABLES["file"], _TABLES["digest"]
KINDS = {"same_bytes": "sha256", "same_weights": "data_sha256", "same_tensors": "tensor_hash"}


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Files that share a hash; `reclaimable` is what deleting all but one would free, hard links apart."""

    kind: str
    value: str
    files: list[FileView]
    reclaimable: int


def duplicates(
    conn: Connection, kind: str, machine_id: str, *, limit: int = 100, after: str = ""
) -> list[DuplicateGroup]:
    """Return groups of present files of one kind of sameness in order of their hash.

    `same_bytes`: equal files. `same_weights`: equal data sections whose headers differ. `same_tensors`: the
    same named tensors in another order. A group is listed under the strongest kind only. Hashes of nothing
    group nothing. Raises BadRequest for another kind.
    """
    if kind not in KINDS:
        raise BadRequest(
            f"there are no duplicates of the kind {kind!r}", remedy=f"kinds are {', '.join(KINDS)}"
        )
    digest = KINDS[kind]
    weaker = kind != "same_bytes"
    query = (
        select(DIGEST.c.value)
        .join(FILE, FILE.c.id == DIGEST.c.file_id)
        .where(DIGEST.c.kind == digest, FILE.c.state == "present", DIGEST.c.value > clean_text(after))
        .where(DIGEST.c.value.not_in(NOTHING))
        .group_by(DIGEST.c.value)
        .having(func.count() > 1)
        .order_by(DIGEST.c.value)
    )
    if weaker:
        stronger = "sha256" if kind == "same_weights" else "data_sha256"
        other = DIGEST.alias("other")
        query = query.join(other, (other.c.file_id == DIGEST.c.file_id) & (other.c.kind == stronger)).having(
            func.count(other.c.value.distinct()) > 1
        )
    values = conn.execute(query.limit(limit)).scalars().all()
    groups = []
    for part in in_chunks(values):
        groups += _groups(conn, kind, digest, list(part), machine_id)
    return groups


def _groups(
    conn: Connection, kind: str, digest: str, values: list[str], machine_id: str
) -> list[DuplicateGroup]:
    query = (
        select(DIGEST.c.value, FILE.c.id, FILE.c.device, FILE.c.inode)
        .join(FILE, FILE.c.id == DIGEST.c.file_id)
        .where(DIGEST.c.kind == digest, DIGEST.c.value.in_(values), FILE.c.state == "present")
        .order_by(DIGEST.c.value, FILE.c.first_seen, FILE.c.id)
    )
    members: dict[str, list[Any]] = {}
    for row in conn.execute(query):
        members.setdefault(row.value, []).append(row)
    views: dict[int, FileView] = {}
    ids = [row.id for rows in members.values() for row in rows]
    for part in in_chunks(ids):
        views.update({key: found[0] for key, found in file_views(conn, FILE.c.id, part, machine_id).items()})
    groups = []
    for value, rows in members.items():
        files = [views[row.id] for row in rows]
        groups.append(DuplicateGroup(kind, value, files, _reclaimable(rows, views)))
    return groups


def _reclaimable(rows: list[Any], views: dict[int, FileView]) -> int:
    """Sum the sizes of all but the largest, counting every inode once."""
    sizes: dict[object, int] = {}
    for row in rows:
        inode = (row.device, row.inode) if row.inode else row.id
        sizes[inode] = views[row.id].size
    return sum(sizes.values()) - max(sizes.values())
