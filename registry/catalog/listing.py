"""The present files as the lists of other tools show them: in A1111's order, one file for each name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, select

from registry.catalog import tables
from registry.formats.packing import unpack_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Select

_TABLES = tables.TABLES
FILE, HEADER, ROOT, MOUNT = (_TABLES[name] for name in ("file", "header", "root", "mount"))
_LISTED = (FILE.c.state == "present", FILE.c.hidden == 0, ROOT.c.removed_at.is_(None))
_ORDER = (ROOT.c.position, ROOT.c.id, FILE.c.a1111_key, FILE.c.id)
_FETCHED = 1000


class ListedFile(NamedTuple):
    """One file of the list; `deflate`, `crc` and `size` are the stored fragment of its metadata object.

    `alias`, `deflate`, `crc` and `size` are `None` where there are no metadata to show.
    """

    id: int
    root_id: int
    path: str
    alias: str | None
    deflate: bytes | None
    crc: int | None
    size: int | None


def mounted_roots(conn: Connection, machine_id: str) -> dict[int, str]:
    """Return the path of each root, fit for showing: on this machine, else on the one that scans it."""
    here, there = MOUNT.alias("here"), MOUNT.alias("there")
    query = (
        select(ROOT.c.id, func.coalesce(here.c.path_raw, there.c.path_raw))
        .outerjoin(here, and_(here.c.root_id == ROOT.c.id, here.c.machine_id == machine_id))
        .outerjoin(there, and_(there.c.root_id == ROOT.c.id, there.c.machine_id == ROOT.c.machine_id))
        .where(ROOT.c.removed_at.is_(None))
    )
    return {root_id: shown_path(raw or b"") for root_id, raw in conn.execute(query)}


def shown_path(raw: bytes) -> str:
    """Return a stored path as text that can be written as UTF-8."""
    return os.fsdecode(raw).encode("utf-8", "replace").decode()


def listed_names(conn: Connection) -> Iterator[tuple[str, int]]:
    """Yield (name, file id) of all present files in listing order: by root, then in A1111's natural order."""
    query = _listed(FILE.c.name, FILE.c.id).order_by(*_ORDER).execution_options(yield_per=_FETCHED)
    yield from conn.execute(query)


def last_of_shared_names(conn: Connection) -> dict[str, int]:
    """Return the last file in listing order of each name that several of them have."""
    shared = _listed(FILE.c.name).group_by(FILE.c.name).having(func.count() > 1)
    query = _listed(FILE.c.name, FILE.c.id).where(FILE.c.name.in_(shared)).order_by(*_ORDER)
    return dict(conn.execute(query).all())


def listed_files(conn: Connection, file_ids: Sequence[int]) -> list[ListedFile]:
    """Return these files in this order; at most as many as fit the parameters of one statement.

    Pickles and files that could not be read have nothing to show.
    """
    visible = and_(HEADER.c.id == FILE.c.header_id, FILE.c.cause.is_(None))
    query = (
        select(
            FILE.c.id,
            FILE.c.root_id,
            FILE.c.path,
            HEADER.c.alias,
            HEADER.c.a1111,
            HEADER.c.a1111_crc,
            HEADER.c.a1111_size,
        )
        .outerjoin(HEADER, visible)
        .where(FILE.c.id.in_(file_ids))
    )
    found = {row[0]: ListedFile(*row) for row in conn.execute(query).all()}
    return [found[file_id] for file_id in file_ids]


def full_metadata(conn: Connection, file_ids: Sequence[int]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (file id, metadata as the header has them) of the files among these that have any to show."""
    query = (
        select(FILE.c.id, HEADER.c.metadata_packed)
        .join(HEADER, HEADER.c.id == FILE.c.header_id)
        .where(FILE.c.id.in_(file_ids), FILE.c.cause.is_(None), HEADER.c.a1111_size > len("{}"))
    )
    for file_id, packed in conn.execute(query):
        yield file_id, unpack_metadata(packed)


def _listed(*columns: Any) -> Select[Any]:
    return select(*columns).join(ROOT, ROOT.c.id == FILE.c.root_id).where(*_LISTED)
