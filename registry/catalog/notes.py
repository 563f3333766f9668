"""Notes of loras as the lines of an archive, and which lora of this catalog a line is about."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, or_, select

from registry.catalog import tables
from registry.catalog.changes import get_setting, set_setting
from registry.catalog.curation_history import history_of
from registry.catalog.curation_rows import CURATION, HISTORY, noted_of
from registry.catalog.keys import CHUNK, in_chunks
from registry.catalog.loras import PROVISIONAL
from registry.catalog.picture_rows import PICTURE_OF, REDIRECT, USER
from registry.errors import Conflict
from registry.formats.packing import pack_json
from registry.notes.lines import MAX_KEYS, MAX_PICTURES, Line, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Row, Select

    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
LORA, FILE, ROOT, DIGEST = (_TABLES[name] for name in ("lora", "file", "root", "digest"))
DATA, WHOLE = "data:", "file:"
MOST_GIVEN = 100
"""So many pictures can be given to one lora."""
_ID = "catalog_id"
# Pictures that were added to a lora stay with its id when it is merged into another one.
_BEFORE = select(REDIRECT.c.old_id).where(REDIRECT.c.new_id == LORA.c.id).correlate(LORA)
_ADDED = exists().where(
    PICTURE_OF.c.kind == USER, or_(PICTURE_OF.c.of_id == LORA.c.id, PICTURE_OF.c.of_id.in_(_BEFORE))
)
_NOTED = or_(exists().where(CURATION.c.lora_id == LORA.c.id), _ADDED)
_REMEMBERED = exists().where(HISTORY.c.lora_id == LORA.c.id)


def find_catalog_id(conn: Connection) -> str | None:
    """Return what tells this catalog from others; `None` if nobody asked for it yet."""
    return get_setting(conn, _ID)


def make_catalog_id(unit: Unit) -> str:
    """Return what tells this catalog from others, made at random if there is none."""
    known = find_catalog_id(unit.conn)
    if known is None:
        known = secrets.token_hex(16)
        set_setting(unit, _ID, known)
    return known


def noted_lines(conn: Connection, lora_ids: Sequence[int] | None = None) -> Iterator[Line]:
    """Give a line for each lora of which anything is noted, of these or of all, in a lasting order."""
    for rows in _pages(conn, lora_ids):
        ids = [row.id for row in rows]
        noted, pictures = noted_of(conn, ids), pictures_given(conn, ids)
        places, hashes = _places_of(conn, ids), _hashes_of(conn, ids)
        for row in rows:
            whole = [row.identity[len(WHOLE) :]] if row.identity.startswith(WHOLE) else []
            yield Line(
                row.identity[len(DATA) :] if row.identity.startswith(DATA) else None,
                tuple(dict.fromkeys([*whole, *hashes.get(row.id, ())])),
                tuple(places.get(row.id, ())),
                row.name,
                noted.get(row.id, {}),
                tuple(pictures.get(row.id, ())[-MAX_PICTURES:]),
            )


def _pages(conn: Connection, lora_ids: Sequence[int] | None) -> Iterator[Sequence[Row[Any]]]:
    query: Select[Any] = select(LORA.c.id, LORA.c.identity, LORA.c.name).where(_NOTED)
    query = query.order_by(LORA.c.identity)
    if lora_ids is not None:
        for part in in_chunks(sorted(lora_ids)):
            yield conn.execute(query.where(LORA.c.id.in_(part))).all()
        return
    after = ""
    while rows := conn.execute(query.where(LORA.c.identity > after).limit(CHUNK)).all():
        yield rows
        after = rows[-1].identity


def _places_of(conn: Connection, lora_ids: Sequence[int]) -> dict[int, list[Place]]:
    query = (
        select(FILE.c.lora_id, ROOT.c.label, FILE.c.path_raw, FILE.c.quick_key, FILE.c.size)
        .join(ROOT, ROOT.c.id == FILE.c.root_id)
        .where(FILE.c.lora_id.in_(lora_ids), FILE.c.quick_key.is_not(None))
        .order_by(FILE.c.lora_id, ROOT.c.label, FILE.c.path_raw, FILE.c.id)
    )
    found: dict[int, list[Place]] = {}
    for lora_id, *place in conn.execute(query):
        some = found.setdefault(lora_id, [])
        if len(some) < MAX_KEYS:
            some.append(Place(*place))
    return found


def _hashes_of(conn: Connection, lora_ids: Sequence[int]) -> dict[int, list[str]]:
    query = (
        select(FILE.c.lora_id, DIGEST.c.value)
        .join(DIGEST, DIGEST.c.file_id == FILE.c.id)
        .where(FILE.c.lora_id.in_(lora_ids), DIGEST.c.kind == "sha256")
        .distinct()
        .order_by(FILE.c.lora_id, DIGEST.c.value)
    )
    found: dict[int, list[str]] = {}
    for lora_id, value in conn.execute(query):
        some = found.setdefault(lora_id, [])
        if len(some) < MAX_KEYS - 1:
            some.append(value)
    return found


def pictures_given(conn: Connection, lora_ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the keys of the pictures that the user gave to loras, by lora, the foremost one last."""
    found: dict[int, list[tuple[int, str]]] = {}
    for part in in_chunks(lora_ids):
        moved = select(REDIRECT.c.old_id, REDIRECT.c.new_id).where(REDIRECT.c.new_id.in_(part))
        owners = {lora_id: lora_id for lora_id in part}
        owners.update((old, new) for old, new in conn.execute(moved))
        for ids in in_chunks(sorted(owners)):
            query = select(PICTURE_OF.c.of_id, PICTURE_OF.c.key, PICTURE_OF.c.at).where(
                PICTURE_OF.c.kind == USER, PICTURE_OF.c.of_id.in_(ids), PICTURE_OF.c.key.is_not(None)
            )
            for lora_id, key, at in conn.execute(query):
                found.setdefault(owners[lora_id], []).append((-at, key))
    return {
        lora_id: list(dict.fromkeys(key for _, key in sorted(keys)))[::-1] for lora_id, keys in found.items()
    }


def require_room(conn: Connection, lora_id: int, key: str) -> None:
    """Raise Conflict where a lora has as many given pictures as it can have, and this one is none of them."""
    given = pictures_given(conn, [lora_id]).get(lora_id, [])
    if len(given) >= MOST_GIVEN and key not in given:
        raise Conflict(f"{MOST_GIVEN} pictures were given to it already", remedy="take some back first")


def remembered_lines(conn: Connection, lora_ids: Sequence[int]) -> Iterator[bytes]:
    """Give what happened to the notes of loras, the latest first, a line for each change."""
    for part in in_chunks(sorted(lora_ids)):
        query = select(LORA.c.id, LORA.c.identity).where(LORA.c.id.in_(part), _REMEMBERED)
        for lora_id, identity in conn.execute(query.order_by(LORA.c.identity)).all():
            before: int | None = None
            while entries := history_of(conn, lora_id, limit=CHUNK, before=before):
                for entry in entries:
                    told = {name: getattr(entry, name) for name in entry.__slots__ if name != "id"}
                    yield pack_json({"lora": identity, **told})
                before = entries[-1].id


def loras_of_lines(conn: Connection, lines: Sequence[Line]) -> list[int | None]:
    """Return the lora that each line is about, `None` for lines about none that is here.

    The SHA-256 of the weights decides, then those of files, then where a file is if it is the same one. A
    lora that is known to have other hashes is none of a line's.
    """
    identities = [name for line in lines for name in identities_of(line)]
    by_identity: dict[str, int] = {}
    for names in in_chunks(list(dict.fromkeys(identities))):
        query = select(LORA.c.identity, LORA.c.id).where(LORA.c.identity.in_(names))
        by_identity.update((name, lora_id) for name, lora_id in conn.execute(query))
    by_hash: dict[str, int] = {}
    for values in in_chunks(list(dict.fromkeys(value for line in lines for value in line.sha256))):
        hits = select(DIGEST.c.value, FILE.c.lora_id).join(FILE, FILE.c.id == DIGEST.c.file_id)
        hits = hits.where(DIGEST.c.value.in_(values), DIGEST.c.kind == "sha256")
        for value, lora_id in conn.execute(hits.order_by(FILE.c.lora_id)):
            by_hash.setdefault(value, lora_id)
    by_place = _by_place(conn, lines)
    return [_lora_of(line, by_identity, by_hash, by_place) for line in lines]


def identities_of(line: Line) -> list[str]:
    """Return the identities that the lora of a line may have, the strongest first."""
    first = [] if line.data_sha256 is None else [DATA + line.data_sha256]
    return first + [WHOLE + value for value in line.sha256]


def _lora_of(
    line: Line,
    by_identity: dict[str, int],
    by_hash: dict[str, int],
    by_place: dict[tuple[str, Place], int],
) -> int | None:
    for name in identities_of(line):
        if name in by_identity:
            return by_identity[name]
    for value in line.sha256:
        if value in by_hash:
            return by_hash[value]
    states = (PROVISIONAL,) if line.hashed else (PROVISIONAL, "")
    return next(
        (by_place[state, place] for place in line.places for state in states if (state, place) in by_place),
        None,
    )


def _by_place(conn: Connection, lines: Sequence[Line]) -> dict[tuple[str, Place], int]:
    """Return the loras of files by where these are, apart by whether they are hashed."""
    wanted = {place for line in lines for place in line.places}
    found: dict[tuple[str, Place], int] = {}
    for keys in in_chunks(sorted({place.quick_key for place in wanted})):
        query = (
            select(LORA.c.identity, LORA.c.id, ROOT.c.label, FILE.c.path_raw, FILE.c.quick_key, FILE.c.size)
            .select_from(FILE)
            .join(ROOT, ROOT.c.id == FILE.c.root_id)
            .join(LORA, LORA.c.id == FILE.c.lora_id)
            .where(FILE.c.quick_key.in_(keys))
            .order_by(FILE.c.id)
        )
        for identity, lora_id, *told in conn.execute(query):
            place = Place(*told)
            if place in wanted:
                state = PROVISIONAL if identity.startswith(PROVISIONAL) else ""
                found.setdefault((state, place), lora_id)
    return found
