"""Versions and models of a service as they are kept: what was sent, compressed, and what it says, packed.

Nothing that was known is lost: what is no longer there is marked as gone, with the time.
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import zstandard
from sqlalchemy import bindparam, delete, exists, select, update

from registry.catalog import tables
from registry.catalog.choices import tell_choosers, tell_choosers_of_model
from registry.catalog.keys import in_chunks
from registry.catalog.lookups import mark_changed, versions_matched
from registry.formats.packing import clean_text, pack_json, unpack_json
from registry.told import Licence, RemoteFile, RemoteImage, RemoteModel, RemoteVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Row, Select

    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
MODEL, VERSION, HASH, MATCH = (
    _TABLES[name] for name in ("remote_model", "remote_version", "remote_hash", "remote_match")
)
MAX_RAW = 64 << 20
_HASHES = ("sha256", "autov3")
_LEVEL = 3


class Sent(NamedTuple):
    """A version as it was sent and as it is understood."""

    raw: bytes
    told: RemoteVersion


class StoredModel(NamedTuple):
    """When a model was asked for last, when its newest version appeared, and whether it is gone."""

    checked_at: int
    newest_at: int | None
    gone: bool


def store_versions(unit: Unit, found: Sequence[Sent], source: str) -> None:
    """Store versions, in place of what was known of them; those without an id are left out."""
    sent = {one.told.id: one for one in found if one.told.id is not None}
    known = _known_versions(unit.conn, list(sent))
    compress = zstandard.ZstdCompressor(level=_LEVEL).compress
    rows, news = [], []
    for version_id, one in sent.items():
        told, before = one.told, known.get(version_id)
        facts = pack_version(told)
        rows.append(
            {
                **columns_of(told),
                "source": source,
                "listed": 1 if before is None or before.source != source else before.listed,
                "raw": compress(one.raw),
                "facts": facts,
                "images": pack_images(told.images),
                "fetched_at": unit.now,
                "gone_at": None,
            }
        )
        if before is None or before.gone_at is not None or _says(before.facts) != _says(facts):
            news.append(version_id)
    _replace(unit, list(sent), rows)
    _store_hashes(unit, [one.told for one in sent.values()])
    tell(unit, news)


def store_model(unit: Unit, raw: bytes, told: RemoteModel, source: str) -> None:
    """Store a model and which versions it has; one without an id is left out.

    Versions that are known from their model alone become rows without facts.
    """
    if told.id is None:
        return
    model_id = told.id
    query = select(MODEL.c.facts, MODEL.c.gone_at).where(MODEL.c.id == model_id)
    before = unit.conn.execute(query).first()
    facts = pack_json(replace(told, versions=()))
    newest = max((one.published_at for one in told.versions if one.published_at is not None), default=None)
    row = {
        "id": model_id,
        "source": source,
        "raw": pack_raw(raw),
        "facts": facts,
        "newest_at": newest,
        "fetched_at": unit.now,
        "checked_at": unit.now,
        "gone_at": None,
    }
    unit.conn.execute(delete(MODEL).where(MODEL.c.id == model_id))
    unit.insert(MODEL, [row])
    listed = _list_versions(unit, told, model_id, source)
    if listed or before is None or before.gone_at is not None or _says(before.facts) != _says(facts):
        tell_model(unit, model_id)


def model_is_gone(unit: Unit, model_id: int, source: str) -> None:
    """Mark a model as one that is no longer there; what was known of it stays."""
    query = select(MODEL.c.gone_at).where(MODEL.c.id == model_id)
    before = unit.conn.execute(query).first()
    if before is None:
        row = {"id": model_id, "source": source, "raw": None, "facts": None, "newest_at": None}
        unit.insert(MODEL, [{**row, "fetched_at": None, "checked_at": unit.now, "gone_at": unit.now}])
    else:
        values = {"checked_at": unit.now, "gone_at": before.gone_at or unit.now}
        unit.conn.execute(update(MODEL).where(MODEL.c.id == model_id).values(values))
    if before is None or before.gone_at is None:
        tell_model(unit, model_id)


def versions_are_gone(unit: Unit, version_ids: Iterable[int]) -> None:
    """Mark versions as no longer there; what was known of them stays."""
    ids = sorted(version_ids)
    for part in in_chunks(ids):
        where = VERSION.c.id.in_(part) & VERSION.c.gone_at.is_(None)
        gone = list(unit.conn.execute(select(VERSION.c.id).where(where)).scalars())
        unit.conn.execute(update(VERSION).where(where).values(gone_at=unit.now))
        tell(unit, gone)


def fetched_at(conn: Connection, version_ids: Sequence[int]) -> dict[int, int]:
    """Return when the details of versions were fetched, of those whose details are known."""
    found: dict[int, int] = {}
    for part in in_chunks(version_ids):
        query = select(VERSION.c.id, VERSION.c.fetched_at).where(VERSION.c.id.in_(part))
        found.update((key, at) for key, at in conn.execute(query) if at is not None)
    return found


def images_of(conn: Connection, sha256s: Sequence[str], source: str) -> dict[int, tuple[RemoteImage, ...]]:
    """Return the images of the versions that have these files, by version, as `source` told them.

    Versions that are gone, and those without images, are left out.
    """
    there = select(MATCH.c.version_id).where(MATCH.c.believed == 1)
    query = _with_images(source)
    found: dict[int, tuple[RemoteImage, ...]] = {}
    for part in in_chunks(sha256s):
        for row in conn.execute(query.where(VERSION.c.id.in_(there.where(MATCH.c.sha256.in_(part))))):
            found[row.id] = _unpack_images(row.images)
    return found


def images_of_versions(
    conn: Connection, version_ids: Sequence[int], source: str
) -> dict[int, tuple[RemoteImage, ...]]:
    """Return the images of these versions as `images_of` does."""
    found: dict[int, tuple[RemoteImage, ...]] = {}
    query = _with_images(source)
    for part in in_chunks(version_ids):
        rows: Any = conn.execute(query.where(VERSION.c.id.in_(part)))
        found.update((row.id, _unpack_images(row.images)) for row in rows)
    return found


def matched_models(conn: Connection, after: int, limit: int) -> list[tuple[int, StoredModel | None]]:
    """Return the first models above the id `after` that have a file of ours, and what is known of each."""
    there = exists().where(MATCH.c.version_id == VERSION.c.id, MATCH.c.believed == 1)
    ids = select(VERSION.c.model_id).where(VERSION.c.model_id > after, there).distinct()
    wanted = list(conn.execute(ids.order_by(VERSION.c.model_id).limit(limit)).scalars())
    known = stored_models(conn, wanted)
    return [(key, known.get(key)) for key in wanted]


def models_of_hashes(conn: Connection, sha256s: Sequence[str]) -> list[int]:
    """Return the models that have these files, in order."""
    found: set[int] = set()
    for part in in_chunks(sha256s):
        query = (
            select(VERSION.c.model_id)
            .join(MATCH, MATCH.c.version_id == VERSION.c.id)
            .where(MATCH.c.sha256.in_(part), MATCH.c.believed == 1, VERSION.c.model_id.is_not(None))
        )
        found.update(conn.execute(query).scalars())
    return sorted(found)


def stored_models(conn: Connection, model_ids: Sequence[int]) -> dict[int, StoredModel]:
    """Return what is known of asking for models, of those that were asked for."""
    found: dict[int, StoredModel] = {}
    for part in in_chunks(model_ids):
        query = select(MODEL.c.id, MODEL.c.checked_at, MODEL.c.newest_at, MODEL.c.gone_at)
        for key, checked_at, newest_at, gone_at in conn.execute(query.where(MODEL.c.id.in_(part))):
            found[key] = StoredModel(checked_at, newest_at, gone_at is not None)
    return found


def pack_raw(raw: bytes) -> bytes:
    """Return an answer as it is kept."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(raw)


def raw_of(row: Row[Any]) -> object:
    """Return the answer as it was sent, parsed; `None` if there is none."""
    if row.raw is None:
        return None
    return unpack_json(zstandard.ZstdDecompressor().decompress(row.raw, max_output_size=MAX_RAW))


def unpack_version(facts: bytes, images: bytes | None = None) -> RemoteVersion:
    """Return a version that was packed; without `images` it has none."""
    found = cast("dict[str, Any]", unpack_json(facts))
    found.update(
        trained_words=tuple(found["trained_words"]),
        files=tuple([RemoteFile(**file) for file in found["files"]]),
        images=_unpack_images(images),
    )
    return RemoteVersion(**found)


def unpack_model(facts: bytes) -> RemoteModel:
    """Return a model that was packed, without its versions."""
    found = cast("dict[str, Any]", unpack_json(facts))
    licence = found["licence"]
    if licence["commercial_use"] is not None:
        licence["commercial_use"] = tuple(licence["commercial_use"])
    found.update(tags=tuple(found["tags"]), licence=Licence(**licence), versions=())
    return RemoteModel(**found)


def pack_version(told: RemoteVersion) -> bytes:
    """Return what `unpack_version` takes, without the images."""
    return pack_json(replace(told, images=()))


def pack_images(images: Sequence[RemoteImage]) -> bytes | None:
    """Return images as `unpack_version` takes them, `None` for none."""
    return zlib.compress(pack_json([asdict(image) for image in images])) if images else None


def _with_images(source: str) -> Select[Any]:
    """Return the query for versions that are there and have images."""
    return select(VERSION.c.id, VERSION.c.images).where(
        VERSION.c.source == source, VERSION.c.gone_at.is_(None), VERSION.c.images.is_not(None)
    )


def _unpack_images(images: bytes | None) -> tuple[RemoteImage, ...]:
    shown = [] if images is None else cast("list[dict[str, Any]]", unpack_json(zlib.decompress(images)))
    return tuple([RemoteImage(**image) for image in shown])


def _says(facts: bytes | None) -> object:
    """Return what is compared to tell whether something changed: all but the counters, which always do."""
    if facts is None:
        return None
    found = cast("dict[str, object]", unpack_json(facts))
    return {name: value for name, value in found.items() if name != "stats"}


def columns_of(told: RemoteVersion) -> dict[str, object]:
    """Return what a version says in columns of its own."""
    return {
        "id": told.id,
        "model_id": told.model_id,
        "name": None if told.name is None else clean_text(told.name),
        "base_model": told.base_model,
        "published_at": told.published_at,
        "early_until": told.early_access_until,
    }


def _known_versions(conn: Connection, version_ids: Sequence[int]) -> dict[int, Row[Any]]:
    found: dict[int, Row[Any]] = {}
    columns = (VERSION.c.id, VERSION.c.facts, VERSION.c.gone_at, VERSION.c.listed, VERSION.c.source)
    for part in in_chunks(version_ids):
        rows: Any = conn.execute(select(*columns).where(VERSION.c.id.in_(part)))
        found.update((row.id, row) for row in rows)
    return found


def _replace(unit: Unit, version_ids: Sequence[int], rows: Sequence[Mapping[str, object]]) -> None:
    for part in in_chunks(version_ids):
        unit.conn.execute(delete(VERSION).where(VERSION.c.id.in_(part)))
    unit.insert(VERSION, rows)


def _list_versions(unit: Unit, told: RemoteModel, model_id: int, source: str) -> bool:
    """Store which versions a model has; return whether these are others than before."""
    versions = {one.id: one for one in told.versions if one.id is not None}
    query = select(VERSION.c.id, VERSION.c.listed, VERSION.c.published_at, VERSION.c.early_until)
    before = {row.id: row for row in unit.conn.execute(query.where(VERSION.c.model_id == model_id))}
    elsewhere = _known_versions(unit.conn, [key for key in versions if key not in before])
    fresh = [one for key, one in versions.items() if key not in before and key not in elsewhere]
    nothing = {"raw": None, "facts": None, "images": None, "fetched_at": None, "gone_at": None}
    unit.insert(VERSION, [{**columns_of(one), "source": source, "listed": 1, **nothing} for one in fresh])
    known = [one for key, one in versions.items() if key in before or key in elsewhere]
    if known:
        unit.conn.execute(_RELIST, [{"key": one.id, "of": model_id, **_listing(one)} for one in known])
    unlisted = [key for key, row in before.items() if row.listed and key not in versions]
    for part in in_chunks(unlisted):
        unit.conn.execute(update(VERSION).where(VERSION.c.id.in_(part)).values(listed=0))
    _store_hashes(unit, fresh)
    moved = any(
        (before[one.id].published_at, before[one.id].early_until, before[one.id].listed)
        != (one.published_at, one.early_access_until, 1)
        for one in known
        if one.id in before
    )
    return bool(fresh or unlisted or moved)


_RELIST = (
    update(VERSION)
    .where(VERSION.c.id == bindparam("key"))
    .values(
        model_id=bindparam("of"),
        listed=1,
        published_at=bindparam("published"),
        early_until=bindparam("early"),
    )
)


def _listing(told: RemoteVersion) -> dict[str, object]:
    return {"published": told.published_at, "early": told.early_access_until}


def _store_hashes(unit: Unit, versions: Sequence[RemoteVersion]) -> None:
    ids = [one.id for one in versions if one.id is not None]
    for part in in_chunks(ids):
        unit.conn.execute(delete(HASH).where(HASH.c.version_id.in_(part)))
    rows = {
        (value, one.id): {"value": value, "version_id": one.id, "kind": kind}
        for one in versions
        for kind, value in hashes_of(one)
    }
    unit.insert(HASH, list(rows.values()))


def hashes_of(told: RemoteVersion) -> Iterator[tuple[str, str]]:
    """Yield the kind and the value of each hash by which files are known to be of a version."""
    for file in told.files:
        for kind in _HASHES:
            if value := file.hashes.get(kind):
                yield kind, value


def tell(unit: Unit, version_ids: Sequence[int]) -> None:
    """Log that the loras changed whose files these versions have, or for which they were chosen."""
    matched = versions_matched(unit.conn, version_ids)
    mark_changed(unit, [sha256 for some in matched.values() for sha256 in some])
    tell_choosers(unit, version_ids)


def tell_model(unit: Unit, model_id: int) -> None:
    """Log that the loras changed whose files any version of a model has, or for which one was chosen."""
    query = (
        select(MATCH.c.sha256)
        .join(VERSION, VERSION.c.id == MATCH.c.version_id)
        .where(VERSION.c.model_id == model_id)
    )
    mark_changed(unit, unit.conn.execute(query.distinct()).scalars().all())
    tell_choosers_of_model(unit, model_id)
