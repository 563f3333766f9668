"""Forgetting loras of which no file is left: all rows of theirs, and what only they had of Civitai."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, or_, select, update

from registry.catalog import tables
from registry.catalog.curation_rows import CURATION
from registry.catalog.headers import drop_unused_headers
from registry.catalog.keys import in_chunks
from registry.catalog.picture_rows import (
    BESIDE,
    CIVITAI,
    HEADER,
    PICTURE_OF,
    RENDER,
    USER,
    drop_unused,
)
from registry.catalog.written import WRITTEN, keep_written
from registry.curation import unpack_value
from registry.curation_values import CivitaiChoice
from registry.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Table

    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
LORA, FILE, ROOT, REDIRECT, DIGEST, HEADERS = (
    _TABLES[name] for name in ("lora", "file", "root", "lora_redirect", "digest", "header")
)
MODEL, VERSION, HASH, LOOKUP, MATCH = (
    _TABLES[name]
    for name in ("remote_model", "remote_version", "remote_hash", "remote_lookup", "remote_match")
)
_MOST_PATHS = 100


def _pointing_at(table: Table) -> list[Column[Any]]:
    """Return the columns of other tables that name a row of this one."""
    return [
        column
        for other in tables.METADATA.sorted_tables
        if other is not table
        for column in other.columns
        if column.references(table.c.id)
    ]


# What was written beside files is still there when they are not.
_OF_FILE = [column for column in _pointing_at(FILE) if column.table is not WRITTEN]
_OF_LORA = [column for column in _pointing_at(LORA) if column.table is not FILE]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A lora that somebody wants forgotten: where its files were, and which of them are not gone.

    It cannot be forgotten while there are any of the latter, for the next scan would bring it back.
    """

    id: int
    name: str
    identity: str
    paths: tuple[str, ...]
    there: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What was forgotten, or would be: loras, how many rows of each table, and pictures by their keys.

    `archive` is where the notes of them are, `None` if nothing was noted.
    """

    loras: list[Candidate]
    rows: dict[str, int]
    pictures: list[str] = field(default_factory=list)
    archive: str | None = None
    dry_run: bool = False


@dataclass(slots=True)
class Forgotten:
    """What went: loras, how many rows of each table, and the pictures that are of nothing any more."""

    loras: list[int] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    pictures: list[str] = field(default_factory=list)


def candidates_of(conn: Connection, lora_ids: Collection[int]) -> list[Candidate]:
    """Return what is there of loras, in the order of their ids; those that are not there are left out."""
    found = []
    for part in in_chunks(sorted(lora_ids)):
        files: dict[int, list[tuple[str, str]]] = {}
        query = (
            select(FILE.c.lora_id, FILE.c.state, ROOT.c.label, FILE.c.path)
            .join(ROOT, ROOT.c.id == FILE.c.root_id)
            .where(FILE.c.lora_id.in_(part))
            .order_by(FILE.c.lora_id, ROOT.c.label, FILE.c.path_raw)
        )
        for lora_id, state, label, path in conn.execute(query):
            files.setdefault(lora_id, []).append((state, f"{label}/{path}"))
        names = select(LORA.c.id, LORA.c.name, LORA.c.identity).where(LORA.c.id.in_(part))
        for lora_id, name, identity in conn.execute(names.order_by(LORA.c.id)):
            some = files.get(lora_id, [])
            paths = tuple([path for _, path in some])
            there = tuple([path for state, path in some if state != "missing"])
            found.append(Candidate(lora_id, name, identity, paths[:_MOST_PATHS], there[:_MOST_PATHS]))
    return found


def require_gone(conn: Connection, lora_ids: Collection[int]) -> list[Candidate]:
    """Return what is there of loras; Conflict where a file of one is not gone, NotFound for no lora."""
    found = candidates_of(conn, lora_ids)
    missing = set(lora_ids) - {one.id for one in found}
    if missing:
        raise NotFound(f"there is no lora {min(missing)}")
    for one in found:
        if one.there:
            raise Conflict(
                f"{one.name} has a file that is not gone: {one.there[0]}",
                remedy="the next scan would bring it back: delete or move the file first, or hide the lora",
            )
    return found


def forget(unit: Unit, lora_ids: Collection[int]) -> Forgotten:
    """Remove loras with all that is known of them; what led to them leads nowhere then.

    Which sidecars we wrote beside them stays known, for these are still there. Raises what `require_gone`
    does, before anything is removed.
    """
    require_gone(unit.conn, lora_ids)
    done = Forgotten()
    for part in in_chunks(sorted(lora_ids)):
        _forget(unit, part, done)
    return done


def _forget(unit: Unit, lora_ids: Sequence[int], done: Forgotten) -> None:
    conn = unit.conn
    files = conn.execute(select(FILE.c.id, FILE.c.header_id).where(FILE.c.lora_id.in_(lora_ids))).all()
    loras = conn.execute(select(LORA.c.id, LORA.c.header_id).where(LORA.c.id.in_(lora_ids))).all()
    before = conn.execute(select(REDIRECT.c.old_id).where(REDIRECT.c.new_id.in_(lora_ids))).scalars().all()
    file_ids = [row.id for row in files]
    hashes = _hashes_of(conn, file_ids)
    versions = _versions_of(conn, hashes) | _chosen(conn, CURATION.c.lora_id.in_(lora_ids))
    keys = _untie(unit, done, BESIDE, file_ids)
    for kind in (USER, RENDER):
        keys |= _untie(unit, done, kind, [*lora_ids, *before])
    keep_written(unit, file_ids)
    for part in in_chunks(file_ids):
        for column in _OF_FILE:
            _delete(unit, done, column.table, column.in_(part))
    for column in _OF_LORA:
        _delete(unit, done, column.table, column.in_(lora_ids))
    _delete(unit, done, FILE, FILE.c.lora_id.in_(lora_ids))
    _delete(unit, done, REDIRECT, REDIRECT.c.new_id.in_(lora_ids))
    conn.execute(update(LORA).where(LORA.c.replaces_id.in_(lora_ids)).values(replaces_id=None))
    _delete(unit, done, LORA, LORA.c.id.in_(lora_ids))
    headers = {row.header_id for row in (*files, *loras)} - {None}
    drop_unused_headers(unit, headers)
    gone = headers - _there(conn, HEADERS.c.id, headers)
    done.rows[HEADERS.name] += len(gone)
    keys |= _untie(unit, done, HEADER, gone) | _forget_answers(unit, done, hashes, versions)
    done.pictures += drop_unused(unit, keys)
    for row in loras:
        done.loras.append(row.id)
        unit.changed("lora", row.id, "removed", lora_id=row.id)


def _delete(unit: Unit, done: Forgotten, table: Any, where: ColumnElement[bool]) -> None:
    done.rows[table.name] += unit.conn.execute(delete(table).where(where)).rowcount


def _there(conn: Connection, column: Column[Any], values: Collection[Any]) -> set[Any]:
    """Return those of the values that a row has."""
    found: set[Any] = set()
    for part in in_chunks(sorted(values)):
        found.update(conn.execute(select(column).where(column.in_(part)).distinct()).scalars())
    return found


def _untie(unit: Unit, done: Forgotten, kind: str, of_ids: Collection[int]) -> set[str | None]:
    """Forget what pictures are of, and return the keys of these."""
    keys: set[str | None] = set()
    for part in in_chunks(sorted(of_ids)):
        where = and_(PICTURE_OF.c.kind == kind, PICTURE_OF.c.of_id.in_(part))
        keys.update(unit.conn.execute(select(PICTURE_OF.c.key).where(where)).scalars())
        _delete(unit, done, PICTURE_OF, where)
    return keys


def _hashes_of(conn: Connection, file_ids: Sequence[int]) -> set[str]:
    found: set[str] = set()
    for part in in_chunks(file_ids):
        query = select(DIGEST.c.value).where(DIGEST.c.file_id.in_(part), DIGEST.c.kind == "sha256")
        found.update(conn.execute(query).scalars())
    return found


def _versions_of(conn: Connection, hashes: Collection[str]) -> set[int]:
    found: set[int] = set()
    for part in in_chunks(sorted(hashes)):
        found.update(conn.execute(select(MATCH.c.version_id).where(MATCH.c.sha256.in_(part))).scalars())
    return found


def _chosen(conn: Connection, *where: ColumnElement[bool]) -> set[int]:
    """Return the versions that users chose for loras."""
    query = select(CURATION.c.value).where(CURATION.c.field == "civitai", *where)
    choices = map(unpack_value, conn.execute(query).scalars())
    return {one.version for one in choices if isinstance(one, CivitaiChoice) and one.version is not None}


def _forget_answers(
    unit: Unit, done: Forgotten, hashes: Collection[str], versions: Collection[int]
) -> set[str | None]:
    """Forget answers that are about nothing else; return the keys of pictures that they had.

    A model stays, with all its versions, as long as one of these is of a lora that is left.
    """
    left = set(hashes) - _there(unit.conn, DIGEST.c.value, set(hashes))
    for part in in_chunks(sorted(left)):
        _delete(unit, done, LOOKUP, LOOKUP.c.sha256.in_(part))
        _delete(unit, done, MATCH, MATCH.c.sha256.in_(part))
    gone, models = _unused(unit.conn, versions)
    for column, ids in ((HASH.c.version_id, gone), (VERSION.c.id, gone), (MODEL.c.id, models)):
        for some in in_chunks(sorted(ids)):
            _delete(unit, done, column.table, column.in_(some))
    return _untie(unit, done, CIVITAI, gone)


def _unused(conn: Connection, versions: Collection[int]) -> tuple[set[int], set[int]]:
    """Return which versions, of these and of their models, no lora has any more, and which models."""
    of_model: dict[int, int | None] = {}
    for part in in_chunks(sorted(versions)):
        models = select(VERSION.c.model_id).where(VERSION.c.id.in_(part), VERSION.c.model_id.is_not(None))
        some = select(VERSION.c.id, VERSION.c.model_id)
        some = some.where(or_(VERSION.c.id.in_(part), VERSION.c.model_id.in_(models)))
        of_model.update((key, model) for key, model in conn.execute(some))
    used = (_there(conn, MATCH.c.version_id, of_model) | _chosen(conn)) & of_model.keys()
    kept = {of_model[key] for key in used} - {None}
    gone = {
        key for key, model in of_model.items() if key not in used and (model is None or model not in kept)
    }
    return gone, {model for key in gone if (model := of_model[key]) is not None}
