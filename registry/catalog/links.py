"""Which versions of a service loras are: what asking found, what the user says, and what is newer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, select

from registry.asked import AMBIGUOUS, FAILED, FOUND, GONE, MATCHED, NOT_FOUND, UNMATCHED
from registry.catalog import tables
from registry.catalog.choices import models_of
from registry.catalog.keys import in_chunks
from registry.catalog.remote import unpack_model, unpack_version
from registry.links import LINKED, UNLINKED, Link, LinkedModel, LinkedVersion, Update

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from registry.catalog.engine import Unit
    from registry.curation_values import CivitaiChoice

_TABLES = tables.TABLES
LOOKUP, MATCH, VERSION, MODEL, HASH, DIGEST, FILE, ROOT = (
    _TABLES[name]
    for name in (
        "remote_lookup", "remote_match", "remote_version", "remote_model", "remote_hash", "digest", "file",
        "root",
    )
)  # fmt: skip
# What is told of a file that several outcomes fit: the first of these.
_BEST = (FOUND, AMBIGUOUS, GONE, NOT_FOUND, UNMATCHED, MATCHED, FAILED)


def links_of(
    conn: Connection,
    files: Mapping[int, Sequence[int]],
    choices: Mapping[int, CivitaiChoice] | None = None,
    *,
    images: bool = False,
) -> dict[int, Link]:
    """Return the links of those loras that have one; `files` are the ids of the files of each lora.

    `choices` are what the user says: that link goes before what was found. Without `images` versions have
    none.
    """
    choices = choices or {}
    asked = _asked(conn, [file_id for some in files.values() for file_id in some])
    chosen = [choice.version for choice in choices.values() if choice.version is not None]
    matched = _matched(conn, [row.sha256 for row in asked.values()])
    versions = _versions(conn, {*chosen, *(key for some in matched.values() for key in some)}, images=images)
    models = _models(conn, {one.told.model_id for one in versions.values()})
    of_model = models_of(conn, chosen) if chosen else {}
    found: dict[int, Link] = {}
    for lora_id, some in files.items():
        link = _link(some, asked, matched, versions, choices.get(lora_id))
        if link is not None and link.version_id is not None:
            link = replace(link, model_id=of_model.get(link.version_id, link.model_id))
        if link is not None:
            found[lora_id] = link
    newer = _updates(conn, [one.version.told for one in found.values() if one.version is not None])
    return {lora_id: _complete(link, models, newer) for lora_id, link in found.items()}


def tell_siblings(unit: Unit, sha256: str) -> None:
    """Log that loras changed which are other versions of the model that a file is of: one is there now."""
    _tell(unit, HASH.c.value == sha256)


def tell_siblings_of(unit: Unit, file_ids: Sequence[int]) -> None:
    """Log the same for files whose presence changed, in one statement for each part of them."""
    mine = DIGEST.alias("mine")
    for part in in_chunks(file_ids):
        values = select(mine.c.value).where(mine.c.file_id.in_(part), mine.c.kind == "sha256")
        _tell(unit, HASH.c.value.in_(values))


def _tell(unit: Unit, where: ColumnElement[bool]) -> None:
    same = VERSION.alias("same")
    query = (
        select(FILE.c.lora_id)
        .select_from(HASH)
        .join(VERSION, VERSION.c.id == HASH.c.version_id)
        .join(same, same.c.model_id == VERSION.c.model_id)
        .join(MATCH, MATCH.c.version_id == same.c.id)
        .join(DIGEST, and_(DIGEST.c.value == MATCH.c.sha256, DIGEST.c.kind == "sha256"))
        .join(FILE, FILE.c.id == DIGEST.c.file_id)
        .where(where)
        .distinct()
    )
    for lora_id in unit.conn.execute(query).scalars():
        unit.changed("lora", lora_id, "changed", lora_id=lora_id)


def _asked(conn: Connection, file_ids: Sequence[int]) -> dict[int, Row[Any]]:
    found: dict[int, Row[Any]] = {}
    query = select(DIGEST.c.file_id, LOOKUP).join(LOOKUP, LOOKUP.c.sha256 == DIGEST.c.value)
    for part in in_chunks(file_ids):
        where = DIGEST.c.file_id.in_(part) & (DIGEST.c.kind == "sha256")
        rows: Iterable[Any] = conn.execute(query.where(where))
        found.update((row.file_id, row) for row in rows)
    return found


def _matched(conn: Connection, sha256s: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for part in in_chunks(sha256s):
        query = select(MATCH.c.sha256, MATCH.c.version_id)
        for sha256, version_id in conn.execute(query.where(MATCH.c.sha256.in_(part), MATCH.c.believed == 1)):
            found.setdefault(sha256, []).append(version_id)
    return found


def _versions(conn: Connection, ids: set[int], *, images: bool) -> dict[int, LinkedVersion]:
    columns = [VERSION.c.id, VERSION.c.facts, VERSION.c.fetched_at, VERSION.c.gone_at, VERSION.c.source]
    query: Select[Any] = select(*columns, *([VERSION.c.images] if images else ()))
    found: dict[int, LinkedVersion] = {}
    for part in in_chunks(sorted(ids)):
        for row in conn.execute(query.where(VERSION.c.id.in_(part), VERSION.c.facts.is_not(None))):
            told = unpack_version(row.facts, row.images if images else None)
            found[row.id] = LinkedVersion(told, row.fetched_at, row.gone_at, row.source)
    return found


def _models(conn: Connection, ids: set[int | None]) -> dict[int, LinkedModel]:
    found: dict[int, LinkedModel] = {}
    query = select(MODEL.c.id, MODEL.c.facts, MODEL.c.fetched_at, MODEL.c.gone_at, MODEL.c.source)
    for part in in_chunks(sorted(key for key in ids if key is not None)):
        for row in conn.execute(query.where(MODEL.c.id.in_(part), MODEL.c.facts.is_not(None))):
            found[row.id] = LinkedModel(unpack_model(row.facts), row.fetched_at, row.gone_at, row.source)
    return found


def _link(
    file_ids: Sequence[int],
    asked: Mapping[int, Row[Any]],
    matched: Mapping[str, Sequence[int]],
    versions: Mapping[int, LinkedVersion],
    choice: CivitaiChoice | None,
) -> Link | None:
    if choice is not None and choice.version is None:
        return Link(UNLINKED)
    rows = sorted((asked[key] for key in file_ids if key in asked), key=lambda row: _BEST.index(row.state))
    if choice is not None and choice.version is not None:
        linked = versions.get(choice.version)
        row = rows[0] if rows else None
        known = () if linked is None else (linked,)
        return Link(
            LINKED,
            asked_at=None if row is None else row.asked_at,
            versions=known,
            version_id=choice.version,
            model_id=choice.model,
        )
    if not rows:
        return None
    first = rows[0]
    found = [versions[key] for key in matched.get(first.sha256, ()) if key in versions]
    found.sort(key=_appeared)
    return Link(
        first.state,
        first.by,
        first.asked_at,
        first.gone_at if first.state == GONE else None,
        first.error,
        tuple(found),
    )


def _appeared(one: LinkedVersion) -> tuple[int, int]:
    moment = one.told.published_at or one.told.created_at
    return 1 << 62 if moment is None else moment, one.told.id or 0


def _complete(
    link: Link, models: Mapping[int, LinkedModel], newer: Mapping[tuple[int, str], Sequence[Update]]
) -> Link:
    version = link.version
    if version is None:
        return link
    told = version.told
    updates: Sequence[Update] = ()
    if told.model_id is not None and told.base_model is not None and told.published_at is not None:
        later = newer.get((told.model_id, told.base_model), ())
        updates = [each for each in later if each.published_at > told.published_at]
    model = None if told.model_id is None else models.get(told.model_id)
    return replace(link, model=model, updates=tuple(updates))


def _updates(conn: Connection, versions: Sequence[Any]) -> dict[tuple[int, str], list[Update]]:
    """Return the versions of models that these versions are of, by model and base, the oldest first."""
    ids = sorted({told.model_id for told in versions if told.model_id is not None})
    have = exists().where(
        HASH.c.version_id == VERSION.c.id,
        HASH.c.kind == "sha256",
        DIGEST.c.value == HASH.c.value,
        DIGEST.c.kind == "sha256",
        FILE.c.id == DIGEST.c.file_id,
        FILE.c.state != "missing",
        ROOT.c.id == FILE.c.root_id,
        ROOT.c.removed_at.is_(None),
    )
    query: Select[Any] = select(
        VERSION.c.model_id,
        VERSION.c.base_model,
        VERSION.c.id,
        VERSION.c.name,
        VERSION.c.published_at,
        VERSION.c.early_until,
        have.label("have"),
    ).where(
        VERSION.c.listed == 1,
        VERSION.c.gone_at.is_(None),
        VERSION.c.published_at.is_not(None),
        VERSION.c.base_model.is_not(None),
    )
    found: dict[tuple[int, str], list[Update]] = {}
    for part in in_chunks(ids):
        for row in conn.execute(query.where(VERSION.c.model_id.in_(part)).order_by(VERSION.c.published_at)):
            update = Update(row.id, row.name, row.published_at, row.early_until, bool(row.have))
            found.setdefault((row.model_id, row.base_model), []).append(update)
    return found
