"""The files that the dialects of other tools tell of: which there are, and all that is told of each."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from registry.catalog import corrections, tables
from registry.catalog.digests import stored_digests
from registry.catalog.keys import in_chunks
from registry.catalog.pictures import cover_of
from registry.catalog.reading import IDENTIFIED, TRAINING
from registry.catalog.showing import Known, known_of
from registry.shown import Entry, Shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from registry.catalog.tag_lists import TagNames
    from registry.formats.nsfw import Words

_TABLES = tables.TABLES
LORA, HEADER, FILE = (_TABLES[name] for name in ("lora", "header", "file"))
_COLUMNS = (*IDENTIFIED, *TRAINING)
# What lists show of files without a header.
_NO_HEADER = {"architecture": "none", "adapter": "none"}


_LISTED: Select[Any] = select(
    FILE.c.id,
    FILE.c.lora_id,
    FILE.c.root_id,
    FILE.c.path,
    corrections.KIND.label("kind"),
    corrections.ARCHITECTURE.label("architecture"),
).select_from(FILE.join(LORA, LORA.c.id == FILE.c.lora_id).outerjoin(HEADER, HEADER.c.id == LORA.c.header_id))


class Listed(NamedTuple):
    """A present file as it is chosen and sorted by; `root` is the place of its root, from 0."""

    file_id: int
    lora_id: int
    root: int
    path: str
    kind: str
    architecture: str


_ROOT, _PLACE = 2, itemgetter(2)


def listed_files(conn: Connection, root_ids: Sequence[int]) -> list[Listed]:
    """Return the present files of these roots, in the order of the roots and then of A1111's list."""
    places = {root_id: place for place, root_id in enumerate(root_ids)}
    query = _LISTED.where(FILE.c.root_id.in_(list(places)), FILE.c.state == "present")
    # As the driver gives them: there are as many rows as files, and nothing in them needs its type converted.
    rows = conn.execute(query.order_by(FILE.c.root_id, FILE.c.a1111_key, FILE.c.id)).cursor.fetchall()
    found = [_listed(row, places[row[_ROOT]]) for row in rows]
    found.sort(key=_PLACE)
    return found


def listed_among(conn: Connection, root_ids: Sequence[int], which: ColumnElement[bool]) -> list[Listed]:
    """Return those of `listed_files` that one of the conditions of `registry.catalog.finding` is true of."""
    places = {root_id: place for place, root_id in enumerate(root_ids)}
    # Roots and states are looked at here: the database would walk through all their files for them.
    query = _LISTED.add_columns(FILE.c.state, FILE.c.a1111_key).where(which)
    rows = [row for row in conn.execute(query) if row.root_id in places]
    rows.sort(key=lambda row: (places[row.root_id], row.a1111_key, row.id))
    return [_listed(row, places[row.root_id]) for row in rows if row.state == "present"]


def entries_of(
    conn: Connection,
    files: Sequence[Listed],
    *,
    words: Words | None = None,
    names: TagNames | None = None,
    pictures: int | None = None,
) -> list[Entry]:
    """Return all that is told of these files, in their order; those that are gone meanwhile are left out.

    Without a level of `pictures`, the highest that may be shown, no entry has any. Callers that read more
    than one batch keep `names` between them.
    """
    rows = _rows(conn, [one.file_id for one in files])
    known = known_of(conn, [row.lora_id for row in rows.values()], words=words, names=names)
    hashes = stored_digests(conn, list(rows))
    covers = {} if pictures is None else cover_of(conn, known, pictures)
    covered = {lora_id for lora_id, cover in covers.items() if (cover.level or 0) <= (pictures or 0)}
    return [
        _entry(row, one, hashes.get(one.file_id, {}), known[row.lora_id], preview=row.lora_id in covered)
        for one in files
        if (row := rows.get(one.file_id)) is not None and row.lora_id in known
    ]


def bare_entries(conn: Connection, files: Sequence[Listed]) -> list[Entry]:
    """Return entries that tell of the files and of their headers what lists are chosen and sorted by.

    What anybody said of the weights is not told, nor are hashes; those that are gone meanwhile are left out.
    """
    query: Select[Any] = select(
        FILE.c.id,
        FILE.c.size,
        FILE.c.mtime_ns,
        FILE.c.first_seen,
        corrections.ADAPTER.label("adapter"),
        corrections.BASE_MODEL.label("base_model"),
        HEADER.c.key_layout,
    ).select_from(
        FILE.join(LORA, LORA.c.id == FILE.c.lora_id).outerjoin(HEADER, HEADER.c.id == FILE.c.header_id)
    )
    rows: dict[int, Row[Any]] = {}
    for part in in_chunks([one.file_id for one in files]):
        rows.update((row.id, row) for row in conn.execute(query.where(FILE.c.id.in_(part))))
    return [_bare(one, row) for one in files if (row := rows.get(one.file_id)) is not None]


def plain_entries(files: Sequence[Listed]) -> list[Entry]:
    """Return entries that tell no more than where a file lies, for lists of names."""
    found = []
    for one in files:
        name, ext = _parted(one.path)
        shown = Shown(name)
        found.append(
            Entry(
                one.lora_id, one.file_id, one.root, one.path, name, ext, 0, 0, 0,
                one.kind, one.architecture, "unknown", shown,
            )
        )  # fmt: skip
    return found


def _bare(one: Listed, row: Row[Any]) -> Entry:
    name, ext = _parted(one.path)
    layout = row.key_layout
    return Entry(
        lora_id=one.lora_id,
        file_id=one.file_id,
        root=one.root,
        path=one.path,
        name=name,
        ext=ext,
        size=row.size,
        modified=row.mtime_ns // 1_000_000,
        added=row.first_seen,
        kind=one.kind,
        architecture=one.architecture,
        adapter=row.adapter or "unknown",
        shown=Shown(name),
        base_model=row.base_model,
        header={} if layout is None else {"key_layout": layout},
    )


def _listed(row: Sequence[Any], place: int) -> Listed:
    file_id, lora_id, _, path, kind, architecture, *_ = row
    return Listed(file_id, lora_id, place, path, kind, architecture or "unknown")


def _rows(conn: Connection, file_ids: Sequence[int]) -> dict[int, Row[Any]]:
    query: Select[Any] = (
        select(
            *(HEADER.c[name] for name in _COLUMNS),
            FILE.c.id.label("file_id"),
            FILE.c.lora_id,
            FILE.c.path,
            FILE.c.size,
            FILE.c.mtime_ns,
            FILE.c.first_seen,
            FILE.c.header_id,
            LORA.c.kind,
            *corrections.COLUMNS.values(),
        )
        .select_from(
            FILE.join(LORA, LORA.c.id == FILE.c.lora_id).outerjoin(HEADER, HEADER.c.id == FILE.c.header_id)
        )
        .where(FILE.c.state == "present")
    )
    found: dict[int, Row[Any]] = {}
    for part in in_chunks(file_ids):
        for row in conn.execute(query.where(FILE.c.id.in_(part))):
            found[row.file_id] = row
    return found


def _entry(row: Row[Any], listed: Listed, hashes: Mapping[str, str], known: Known, *, preview: bool) -> Entry:
    header = {name: value for name in _COLUMNS if (value := getattr(row, name)) is not None}
    identified = {"base_model": None, "kind": row.kind, **(header or _NO_HEADER)}
    told = corrections.corrected(identified, corrections.corrections(row))
    name, ext = _parted(row.path)
    link = known.link
    return Entry(
        lora_id=row.lora_id,
        file_id=row.file_id,
        root=listed.root,
        path=row.path,
        name=name,
        ext=ext,
        size=row.size,
        modified=row.mtime_ns // 1_000_000,
        added=row.first_seen,
        kind=told["kind"],
        architecture=told["architecture"] or "unknown",
        adapter=told["adapter"] or "unknown",
        shown=known.shown,
        base_model=told["base_model"],
        hashes=hashes,
        header=header,
        version=None if link is None or link.version is None else link.version.told,
        model=None if link is None or link.model is None else link.model.told,
        preview=preview,
    )


def _parted(path: str) -> tuple[str, str]:
    base = path.rpartition("/")[2]
    name, dot, ext = base.rpartition(".")
    return (name, dot + ext) if name else (base, "")
