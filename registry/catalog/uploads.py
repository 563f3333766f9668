"""Pictures that were sent here to begin drawings with: kept for a while, though they are of nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import select

from registry.catalog.jobs import JOB, LIVE
from registry.catalog.picture_rows import PICTURE, PICTURE_OF, Looked, Tie, forget_ties, write_looked
from registry.formats.packing import unpack_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from registry.catalog.engine import Unit
    from registry.views import PictureKept

UPLOAD: Final = "upload"
"""The kind of what such a picture is tied by: its name is its key, and it is nobody's."""


class Size(NamedTuple):
    """How large a picture is, in pixels."""

    width: int
    height: int


def put_upload(unit: Unit, kept: PictureKept) -> None:
    """Keep a picture from now on as one that was sent."""
    write_looked(unit, [Looked(_tie(kept.key), kept)])


def forget_uploads(unit: Unit, before_ms: int) -> list[str]:
    """Forget what was sent before a time, but for what pictures that are to be drawn begin with.

    Return the keys of pictures that are of nothing any more: their files can go.
    """
    query = select(PICTURE_OF.c.key).where(PICTURE_OF.c.kind == UPLOAD, PICTURE_OF.c.at < before_ms)
    old = set(unit.conn.execute(query).scalars()) - {None}
    return forget_ties(unit, [_tie(key) for key in sorted(old - _wanted(unit.conn))]) if old else []


def size_of(conn: Connection, key: str) -> Size | None:
    """Return how large a picture is, `None` if it is not known here."""
    row = conn.execute(select(PICTURE.c.width, PICTURE.c.height).where(PICTURE.c.key == key)).first()
    return None if row is None or not row.width or not row.height else Size(row.width, row.height)


def _tie(key: str) -> Tie:
    return Tie(UPLOAD, 0, key.encode())


def _wanted(conn: Connection) -> set[object]:
    """Return the keys of pictures with which what is not finished begins."""
    specs = map(unpack_json, conn.execute(select(JOB.c.spec).where(JOB.c.state.in_(LIVE))).scalars())
    return {spec.get("start") for spec in specs if isinstance(spec, dict)}
