"""Which pictures beside files and inside headers nobody has looked at yet, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, exists, func, select, tuple_

from registry.catalog import tables
from registry.catalog.changes import get_setting, set_setting
from registry.catalog.keys import in_chunks
from registry.catalog.picture_rows import BESIDE, HEADER, PICTURE, PICTURE_OF, Tie, forget_ties
from registry.catalog.problems import replace_problems
from registry.formats.packing import unpack_metadata
from registry.views import Note
from registry.wire.companions import PREVIEW

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row, Select

    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
FILE, COMPANION, TABLE_OF_HEADERS = (_TABLES[name] for name in ("file", "companion", "header"))
STAGE = "picture"
_SLUG = "bad-picture"
_LOOKED_UP_TO = "pictures_of_headers:"


class PreviewSeen(NamedTuple):
    """A preview beside a present file, and what it was when it was looked at, if it was.

    `thumbnail` is the size of that of its picture.
    """

    file_id: int
    name_raw: bytes
    root_id: int
    rel: bytes
    looked: int | None
    size: int | None
    mtime_ns: int | None
    key: str | None
    thumbnail: int | None

    @property
    def tie(self) -> Tie:
        """What a picture of it is of."""
        return Tie(BESIDE, self.file_id, self.name_raw)


_PLACE = (COMPANION.c.file_id, COMPANION.c.name_raw)
_TIED = and_(
    PICTURE_OF.c.kind == BESIDE,
    PICTURE_OF.c.of_id == COMPANION.c.file_id,
    PICTURE_OF.c.name == COMPANION.c.name_raw,
)
_PREVIEWS: Select[Any] = (
    select(
        *_PLACE,
        FILE.c.root_id,
        FILE.c.path_raw,
        PICTURE_OF.c.at,
        PICTURE_OF.c.size,
        PICTURE_OF.c.mtime_ns,
        PICTURE_OF.c.key,
        PICTURE.c.thumbnail,
    )
    .select_from(
        COMPANION.join(FILE, FILE.c.id == COMPANION.c.file_id)
        .outerjoin(PICTURE_OF, _TIED)
        .outerjoin(PICTURE, PICTURE.c.key == PICTURE_OF.c.key)
    )
    .where(COMPANION.c.kind == PREVIEW, FILE.c.state == "present")
    .order_by(*_PLACE)
)


def previews_after(
    conn: Connection, root_ids: Sequence[int], after: tuple[int, bytes], limit: int, *, new: bool = False
) -> list[PreviewSeen]:
    """Return the first previews of these roots behind a place (file id, raw name); only `new` ones if asked.

    New are those that nobody has looked at.
    """
    query = _PREVIEWS.where(FILE.c.root_id.in_(root_ids), tuple_(*_PLACE) > tuple_(*after))
    if new:
        query = query.where(PICTURE_OF.c.at.is_(None))
    return [PreviewSeen(*row) for row in conn.execute(query.limit(limit))]


def forget_gone_previews(unit: Unit) -> list[str]:
    """Forget previews that lie beside their files no longer; return the keys that are of nothing any more."""
    query = select(PICTURE_OF.c.of_id, PICTURE_OF.c.name).where(
        PICTURE_OF.c.kind == BESIDE,
        ~exists().where(COMPANION.c.file_id == PICTURE_OF.c.of_id, COMPANION.c.name_raw == PICTURE_OF.c.name),
    )
    gone = [Tie(BESIDE, row.of_id, bytes(row.name)) for row in unit.conn.execute(query)]
    unused = forget_ties(unit, gone)
    settle_problems(unit, {tie.of_id for tie in gone})
    return unused


def headers_after(conn: Connection, after: int, limit: int) -> list[tuple[int, dict[str, str]]]:
    """Return the metadata of the first headers above an id, by id."""
    query = select(TABLE_OF_HEADERS.c.id, TABLE_OF_HEADERS.c.metadata_packed)
    rows = conn.execute(
        query.where(TABLE_OF_HEADERS.c.id > after).order_by(TABLE_OF_HEADERS.c.id).limit(limit)
    )
    return [(row.id, unpack_metadata(row.metadata_packed)) for row in rows]


def count_previews(conn: Connection, root_ids: Sequence[int]) -> int:
    """Return how many previews lie beside the present files of these roots."""
    query = select(func.count()).select_from(COMPANION.join(FILE, FILE.c.id == COMPANION.c.file_id))
    here = (COMPANION.c.kind == PREVIEW, FILE.c.state == "present", FILE.c.root_id.in_(root_ids))
    return conn.execute(query.where(*here)).scalar_one()


def headers_looked_up_to(conn: Connection, machine_id: str) -> int:
    """Return the last header whose pictures a machine has looked at."""
    return int(get_setting(conn, _LOOKED_UP_TO + machine_id) or 0)


def note_headers(unit: Unit, machine_id: str, header_id: int) -> None:
    """Store the last header whose pictures a machine has looked at."""
    set_setting(unit, _LOOKED_UP_TO + machine_id, str(header_id))


def settle_problems(unit: Unit, file_ids: Iterable[int], header_ids: Iterable[int] = ()) -> None:
    """Make the problems of these files, and of those with these headers, those that their pictures have."""
    files = _files(unit.conn, FILE.c.id, file_ids) + _files(unit.conn, FILE.c.header_id, header_ids)
    by_id = {file.id: file for file in files}
    beside = _bad(unit.conn, BESIDE, by_id)
    inside = _bad(unit.conn, HEADER, {file.header_id for file in files if file.header_id is not None})
    by_root: dict[int, list[tuple[int, str, list[Note]]]] = {}
    for file in by_id.values():
        wrong = beside.get(file.id, []) + inside.get(file.header_id, [])
        notes = [Note(_SLUG, "; ".join(wrong))] if wrong else []
        by_root.setdefault(file.root_id, []).append((file.id, str(file.path), notes))
    for root_id, found in by_root.items():
        replace_problems(unit, STAGE, root_id, found)


def _files(conn: Connection, column: Any, ids: Iterable[int]) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    query: Select[Any] = select(FILE.c.id, FILE.c.root_id, FILE.c.path, FILE.c.header_id)
    for part in in_chunks(sorted(set(ids))):
        found += conn.execute(query.where(column.in_(part))).all()
    return found


def _bad(conn: Connection, kind: str, ids: Iterable[int]) -> dict[int, list[str]]:
    """Return what is wrong with pictures, in the order of their names."""
    query = select(PICTURE_OF.c.of_id, PICTURE_OF.c.name, PICTURE_OF.c.error)
    bad = query.where(PICTURE_OF.c.kind == kind, PICTURE_OF.c.error.is_not(None)).order_by(PICTURE_OF.c.name)
    found: dict[int, list[str]] = {}
    for part in in_chunks(sorted(ids)):
        for row in conn.execute(bad.where(PICTURE_OF.c.of_id.in_(part))):
            shown = bytes(row.name).decode("utf-8", "replace")
            what = shown if kind == BESIDE else f"picture {int(shown) + 1} in its header"
            found.setdefault(row.of_id, []).append(f"{what}: {row.error}")
    return found
