"""The rows of pictures: which are kept, what each of them is of, and what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, select, update

from registry.catalog import tables
from registry.catalog.changes import PICTURE as ENTITY
from registry.catalog.keys import in_chunks
from registry.formats.packing import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from registry.catalog.engine import Unit
    from registry.views import PictureKept

_TABLES = tables.TABLES
PICTURE, PICTURE_OF, DRAWN, FILE, DIGEST, MATCH, REDIRECT = (
    _TABLES[name]
    for name in ("picture", "picture_of", "drawn", "file", "digest", "remote_match", "lora_redirect")
)
CIVITAI, BESIDE, HEADER, USER, RENDER = "civitai", "file", "header", "user", "render"
# Their ids are those of loras.
_OF_LORAS = (USER, RENDER)
_MAX_ERROR = 500


class Tie(NamedTuple):
    """What a picture is of, as the table `picture_of` has it; `level` is what its source says of it."""

    kind: str
    of_id: int
    name: bytes
    place: int = 0
    level: int | None = None
    size: int | None = None
    mtime_ns: int | None = None

    @property
    def owner(self) -> tuple[str, int, bytes]:
        """What tells it from all others."""
        return self.kind, self.of_id, self.name


class Looked(NamedTuple):
    """What looking at a picture gave: what was kept, or why nothing was."""

    tie: Tie
    kept: PictureKept | None
    error: str | None = None


_OWNER = and_(
    PICTURE_OF.c.kind == bindparam("of_kind"),
    PICTURE_OF.c.of_id == bindparam("of_owner"),
    PICTURE_OF.c.name == bindparam("of_name"),
)


def write_looked(unit: Unit, found: Sequence[Looked]) -> list[str]:
    """Store what looking gave, in place of what was known; return the keys that are of nothing any more.

    What failed has no picture, and counts how often in a row it did.
    """
    before = {_owner(row): row for row in _known(unit.conn, [one.tie for one in found])}
    _write_pictures(unit, [one.kept for one in found if one.kept is not None])
    if found:
        unit.conn.execute(delete(PICTURE_OF).where(_OWNER), [_key(one.tie) for one in found])
    unit.insert(PICTURE_OF, [_row(unit, one, before.get(one.tie.owner)) for one in found])
    old = {one.tie.owner: None if one.kept is None else one.kept.key for one in found}
    moved = [row for owner, row in before.items() if row.key != old[owner]]
    fresh = [one.tie for one in found if one.tie.owner not in before and one.kept is not None]
    _tell(unit, [(row.kind, row.of_id) for row in moved] + [(tie.kind, tie.of_id) for tie in fresh])
    return drop_unused(unit, [row.key for row in moved])


def write_said(unit: Unit, ties: Sequence[Tie]) -> None:
    """Store what sources say now of pictures that are known: their place and level."""
    if not ties:
        return
    statement = (
        update(PICTURE_OF)
        .where(_OWNER)
        .values(place=bindparam("now_place"), nsfw_level=bindparam("now_level"))
    )
    rows = [{**_key(tie), "now_place": tie.place, "now_level": tie.level} for tie in ties]
    unit.conn.execute(statement, rows)
    _tell(unit, [(tie.kind, tie.of_id) for tie in ties])


def forget_ties(unit: Unit, ties: Sequence[Tie]) -> list[str]:
    """Forget what pictures are of; return the keys that are of nothing any more."""
    known = _known(unit.conn, ties)
    if known:
        unit.conn.execute(delete(PICTURE_OF).where(_OWNER), [_key(tie) for tie in ties])
        _tell(unit, [(row.kind, row.of_id) for row in known if row.key is not None])
    return drop_unused(unit, [row.key for row in known])


def drop_unused(unit: Unit, keys: Iterable[str | None]) -> list[str]:
    """Forget those of the pictures that are of nothing, and return their keys: their files can go."""
    dropped: list[str] = []
    for part in in_chunks(sorted({key for key in keys if key is not None})):
        where = PICTURE.c.key.in_(part) & ~exists().where(PICTURE_OF.c.key == PICTURE.c.key)
        unused = list(unit.conn.execute(select(PICTURE.c.key).where(where)).scalars())
        unit.conn.execute(delete(DRAWN).where(DRAWN.c.picture.in_(unused)))
        unit.conn.execute(delete(PICTURE).where(PICTURE.c.key.in_(unused)))
        dropped += unused
    return dropped


def ties_of(conn: Connection, kind: str, of_ids: Iterable[int]) -> dict[int, dict[bytes, Row[Any]]]:
    """Return what is known of the pictures of these, by id and name."""
    found: dict[int, dict[bytes, Row[Any]]] = {}
    for part in in_chunks(sorted(set(of_ids))):
        query = select(PICTURE_OF).where(PICTURE_OF.c.kind == kind, PICTURE_OF.c.of_id.in_(part))
        for row in conn.execute(query):
            found.setdefault(row.of_id, {})[row.name] = row
    return found


def with_renders(conn: Connection, lora_ids: Sequence[int]) -> set[int]:
    """Return those of the loras of which pictures were drawn, or of those that were merged into them."""
    found: set[int] = set()
    drawn = select(PICTURE_OF.c.of_id).where(PICTURE_OF.c.kind == RENDER, PICTURE_OF.c.key.is_not(None))
    for part in in_chunks(lora_ids):
        found.update(conn.execute(drawn.where(PICTURE_OF.c.of_id.in_(part))).scalars())
        merged = select(REDIRECT.c.new_id).where(REDIRECT.c.new_id.in_(part), REDIRECT.c.old_id.in_(drawn))
        found.update(conn.execute(merged).scalars())
    return found


def user_picture(conn: Connection, lora_id: int, key: str) -> Tie | None:
    """Return what a picture is tied by that the user gave to a lora, or to one that was merged into it."""
    merged = select(REDIRECT.c.old_id).where(REDIRECT.c.new_id == lora_id)
    ids = [lora_id, *conn.execute(merged).scalars()]
    found = ties_of(conn, USER, ids)
    return next((Tie(USER, of_id, key.encode()) for of_id in found if key.encode() in found[of_id]), None)


def owners_of(conn: Connection, ties: Iterable[tuple[str, int]]) -> set[int]:
    """Return the loras of which the pictures are that are tied to these kinds and ids."""
    ids: dict[str, set[int]] = {}
    for kind, of_id in ties:
        ids.setdefault(kind, set()).add(of_id)
    moved = select(REDIRECT.c.new_id, REDIRECT.c.old_id)
    same = FILE.join(DIGEST, DIGEST.c.file_id == FILE.c.id).join(MATCH, MATCH.c.sha256 == DIGEST.c.value)
    matched = select(FILE.c.lora_id).select_from(same).where(DIGEST.c.kind == "sha256")
    queries: Mapping[str, Any] = {
        BESIDE: (select(FILE.c.lora_id), FILE.c.id),
        HEADER: (select(FILE.c.lora_id), FILE.c.header_id),
        CIVITAI: (matched, MATCH.c.version_id),
    }
    own = {of_id for kind in _OF_LORAS for of_id in ids.get(kind, ()) if of_id}
    found = set(own)
    for kind, (query, column) in queries.items():
        for part in in_chunks(sorted(ids.get(kind, ()))):
            found.update(conn.execute(query.where(column.in_(part)).distinct()).scalars())
    for part in in_chunks(sorted(own)):
        for new, old in conn.execute(moved.where(REDIRECT.c.old_id.in_(part))):
            found.discard(old)
            found.add(new)
    return found


def _tell(unit: Unit, ties: Iterable[tuple[str, int]]) -> None:
    """Log whose pictures changed: lists of files stay as they were, and so does what is searched."""
    for lora_id in sorted(owners_of(unit.conn, ties)):
        unit.changed(ENTITY, lora_id, "changed")


def _known(conn: Connection, ties: Sequence[Tie]) -> list[Row[Any]]:
    wanted = {tie.owner for tie in ties}
    found: list[Row[Any]] = []
    for kind in sorted({tie.kind for tie in ties}):
        known = ties_of(conn, kind, [tie.of_id for tie in ties if tie.kind == kind])
        found += [row for some in known.values() for row in some.values() if _owner(row) in wanted]
    return found


def _write_pictures(unit: Unit, kept: Sequence[PictureKept]) -> None:
    known: dict[str, Row[Any]] = {}
    by_key = {one.key: one for one in kept}
    for part in in_chunks(list(by_key)):
        rows: Any = unit.conn.execute(select(PICTURE).where(PICTURE.c.key.in_(part)))
        known.update((row.key, row) for row in rows)
        unit.conn.execute(delete(PICTURE).where(PICTURE.c.key.in_(part)))
    unit.insert(PICTURE, [_picture(unit, one, known.get(one.key)) for one in by_key.values()])


def _picture(unit: Unit, kept: PictureKept, before: Row[Any] | None) -> dict[str, object]:
    return {
        "key": kept.key,
        "media_type": kept.media_type,
        "width": kept.width,
        "height": kept.height,
        "size": kept.size,
        "thumbnail": kept.thumbnail,
        # What was kept once stays kept.
        "original": int(kept.original or (before is not None and bool(before.original))),
        "stored_at": unit.now if before is None else before.stored_at,
    }


def _row(unit: Unit, one: Looked, before: Row[Any] | None) -> dict[str, object]:
    tries = 0 if before is None else before.tries
    return {
        "kind": one.tie.kind,
        "of_id": one.tie.of_id,
        "name": one.tie.name,
        "place": one.tie.place,
        "key": None if one.kept is None else one.kept.key,
        "nsfw_level": one.tie.level,
        "size": one.tie.size,
        "mtime_ns": one.tie.mtime_ns,
        "at": unit.now,
        "tries": 0 if one.kept is not None else tries + 1,
        "error": None if one.error is None else clean_text(one.error[:_MAX_ERROR]),
    }


def _key(tie: Tie) -> dict[str, object]:
    return {"of_kind": tie.kind, "of_owner": tie.of_id, "of_name": tie.name}


def _owner(row: Row[Any]) -> tuple[str, int, bytes]:
    return row.kind, row.of_id, bytes(row.name)
