"""What a scan compares files on disk with: rows by path, by inode, by quick key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import select

from registry.catalog import tables
from registry.catalog.keys import in_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from registry.views import FileStat

_TABLES = tables.TABLES
FILE, HEADER = _TABLES["file"], _TABLES["header"]


class KnownFile(NamedTuple):
    """What a rescan compares: one row of the catalog."""

    rel: bytes
    id: int
    size: int
    mtime_ns: int
    device: int
    inode: int
    state: str
    derived_version: int
    header_id: int | None
    hash_state: str
    state_since: int


_COMPARED = select(
    FILE.c.path_raw,
    FILE.c.id,
    FILE.c.size,
    FILE.c.mtime_ns,
    FILE.c.device,
    FILE.c.inode,
    FILE.c.state,
    FILE.c.derived_version,
    FILE.c.header_id,
    FILE.c.hash_state,
    FILE.c.state_since,
)


def known_files(conn: Connection, root_id: int, first: bytes, limit: int) -> Sequence[tuple[Any, ...]]:
    """Return up to `limit` rows of a root from `first` on, in byte order, each the fields of KnownFile."""
    where = (FILE.c.root_id == root_id, FILE.c.path_raw >= first)
    return conn.execute(_COMPARED.where(*where).order_by(FILE.c.path_raw).limit(limit)).all()


Quick = tuple[bytes, int, int, int]
"""What tells an untouched file: path, size, mtime_ns, inode."""

# Ten thousand rows are compared in a few hundredths of a second, so they are taken as the driver gives them.
_QUICK = """
    SELECT path_raw,
           CASE WHEN state = 'present' AND derived_version = {version:d} AND hash_state <> 'skipped'
                THEN size ELSE -1 END,
           mtime_ns, {inode}
    FROM file WHERE root_id = {root:d} AND path_raw > {mark} ORDER BY path_raw LIMIT {limit:d}
"""


def quick_files(  # noqa: PLR0913 - which rows, and what makes them comparable
    conn: Connection, root_id: int, after: bytes, limit: int, derived_version: int, *, any_inode: bool = False
) -> list[Quick]:
    """Return up to `limit` rows of a root in byte order of their paths, each as an untouched file would be.

    The size of a row that wants a closer look (not present, not read, of other rules) is -1.
    """
    statement = _QUICK.format(
        version=derived_version,
        inode="0" if any_inode else "inode",
        root=root_id,
        limit=limit,
        mark="%s" if conn.dialect.name == "postgresql" else "?",
    )
    return cast("list[Quick]", conn.exec_driver_sql(statement, (after,)).cursor.fetchall())


def known_paths(conn: Connection, root_id: int, rels: Sequence[bytes]) -> dict[bytes, KnownFile]:
    """Return the rows of a root at the given relative paths."""
    found: dict[bytes, KnownFile] = {}
    for part in in_chunks(rels):
        query = _COMPARED.where(FILE.c.root_id == root_id, FILE.c.path_raw.in_(part))
        found.update((row[0], KnownFile(*row)) for row in conn.execute(query))
    return found


def header_digests(conn: Connection, header_ids: Sequence[int]) -> dict[int, bytes]:
    """Return the digests of headers by their ids."""
    found: dict[int, bytes] = {}
    for part in in_chunks(header_ids):
        query = select(HEADER.c.id, HEADER.c.digest).where(HEADER.c.id.in_(part))
        found.update((key, digest) for key, digest in conn.execute(query))
    return found


class Candidate(NamedTuple):
    """A row that may be the file now met elsewhere."""

    id: int
    root_id: int
    rel: bytes
    state: str
    quick_key: bytes | None


_CANDIDATE = (FILE.c.id, FILE.c.root_id, FILE.c.path_raw, FILE.c.state, FILE.c.quick_key)


def same_inode(
    conn: Connection, stats: Sequence[FileStat]
) -> dict[tuple[int, int, int, int], list[Candidate]]:
    """Return the rows with the device, inode, size and modification time of one of the stats, by these."""
    wanted = {(stat.device, stat.inode, stat.size, stat.mtime_ns) for stat in stats if stat.inode}
    found: dict[tuple[int, int, int, int], list[Candidate]] = {}
    for part in in_chunks(sorted({inode for _, inode, _, _ in wanted})):
        query = (
            select(FILE.c.device, FILE.c.inode, FILE.c.size, FILE.c.mtime_ns, *_CANDIDATE)
            .where(FILE.c.inode.in_(part))
            .order_by(FILE.c.id)
        )
        for device, inode, size, mtime_ns, *rest in conn.execute(query):
            key = (device, inode, size, mtime_ns)
            if key in wanted:
                found.setdefault(key, []).append(Candidate(*rest))
    return found


def same_quick_key(conn: Connection, quick_keys: Sequence[bytes]) -> dict[bytes, list[Candidate]]:
    """Return the rows that have these quick keys, oldest first; empty files are all alike and left out."""
    found: dict[bytes, list[Candidate]] = {}
    for part in in_chunks(quick_keys):
        query = select(*_CANDIDATE).where(FILE.c.quick_key.in_(part), FILE.c.size > 0).order_by(FILE.c.id)
        for candidate in map(Candidate._make, conn.execute(query)):
            if candidate.quick_key is not None:
                found.setdefault(candidate.quick_key, []).append(candidate)
    return found
