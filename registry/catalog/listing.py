"""The present files as the lists of other tools show them: in A1111's order, one file for each name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.formats.packing import unpack_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Select

_TABLES = tables.TABLES
FILE, HEADER, ROOT, MOUNT = (_TABLES[name] for name in ("file", "header", "root", "mount"))
_LISTED = (FILE.c.state == "present", FILE.c.hidden == 0, ROOT.c.removed_at.is_(None))


class ListedName(NamedTuple):
    """A present file by its ids."""

    file_id: int
    lora_id: int


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


def listed_names(conn: Connection, extensions: Sequence[str]) -> Iterator[tuple[str, ListedName]]:
    """Yield (name, file) of all present files with one of these extensions in listing order.

    That is by root, then in A1111's natural order.
    """
    query = _listed(extensions, FILE.c.name, FILE.c.id, FILE.c.lora_id)
    # As the driver gives them: there are as many rows as files, and nothing in them needs its type converted.
    cursor = conn.execute(query.order_by(*_ORDER)).cursor
    while rows := cursor.fetchmany(_FETCHED):
        for name, file_id, lora_id in rows:
            yield name, ListedName(file_id, lora_id)


def last_of_shared_names(conn: Connection, extensions: Sequence[str]) -> dict[str, ListedName]:
    """Return the last file in listing order of each name that several of them have."""
    shared = _listed(extensions, FILE.c.name).group_by(FILE.c.name).having(func.count() > 1)
    query = _listed(extensions, FILE.c.name, FILE.c.id, FILE.c.lora_id).where(FILE.c.name.in_(shared))
    rows = conn.execute(query.order_by(*_ORDER))
    return {name: ListedName(file_id, lora_id) for name, file_id, lora_id in rows}


def listed_of_loras(conn: Connection, extensions: Sequence[str], lora_ids: Sequence[int]) -> list[ListedName]:
    """Return the files of these loras that the list shows, in listing order."""
    names: set[str] = set()
    for part in in_chunks(lora_ids):
        names.update(conn.execute(_listed(extensions, FILE.c.name).where(FILE.c.lora_id.in_(part))).scalars())
    shown: dict[str, tuple[Any, ...]] = {}
    for some in in_chunks(sorted(names)):
        query = _listed(extensions, FILE.c.name, FILE.c.id, FILE.c.lora_id, *_ORDER)
        for name, *row in conn.execute(query.where(FILE.c.name.in_(some)).order_by(*_ORDER)):
            shown[name] = tuple(row)
    wanted = set(lora_ids)
    kept = sorted((row for row in shown.values() if row[1] in wanted), key=lambda row: row[2:])
    return [ListedName(row[0], row[1]) for row in kept]


def listed_files(conn: Connection, file_ids: Sequence[int]) -> list[ListedFile]:
    """Return these files in this order; at most as many as fit the parameters of one statement.

    Pickles and files without a header that can be read have nothing to show.
    """
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
        .outerjoin(HEADER, HEADER.c.id == FILE.c.header_id)
        .where(FILE.c.id.in_(file_ids))
    )
    found = {row[0]: ListedFile._make(row) for row in conn.execute(query).cursor.fetchall()}
    return [found[file_id] for file_id in file_ids]


def full_metadata(conn: Connection, file_ids: Sequence[int]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (file id, metadata as the header has them) of the files among these that have any to show."""
    query = (
        select(FILE.c.id, HEADER.c.metadata_packed)
        .join(HEADER, HEADER.c.id == FILE.c.header_id)
        .where(FILE.c.id.in_(file_ids), HEADER.c.a1111_size > len("{}"))
    )
    for file_id, packed in conn.execute(query):
        yield file_id, unpack_metadata(packed)


def _listed(extensions: Sequence[str], *columns: Any) -> Select[Any]:
    listed = select(*columns).join(ROOT, ROOT.c.id == FILE.c.root_id)
    return listed.where(*_LISTED, FILE.c.ext.in_(extensions))
