"""Versions and models as a second source has them: they fill gaps, and take the place of nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from registry.catalog import tables
from registry.catalog.remote import (
    columns_of,
    hashes_of,
    pack_images,
    pack_raw,
    pack_version,
    tell,
    tell_model,
)
from registry.formats.packing import pack_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.catalog.engine import Unit
    from registry.told import RemoteModel, RemoteVersion

_TABLES = tables.TABLES
MODEL, VERSION, HASH = (_TABLES[name] for name in ("remote_model", "remote_version", "remote_hash"))


def store_archived(
    unit: Unit, raw: bytes, told: RemoteVersion, model: RemoteModel | None, source: str
) -> None:
    """Store a version and its model from one answer, each where there are no facts of it yet.

    What is gone stays gone. A version that no model names is not told to be published, and a model that is
    new here is due at the first source.
    """
    if told.id is None:
        return
    _store_version(unit, raw, told, told.id, source)
    if model is not None and model.id is not None and model.id == told.model_id:
        _store_model(unit, raw, model, model.id, source)


def _store_version(unit: Unit, raw: bytes, told: RemoteVersion, version_id: int, source: str) -> None:
    before = unit.conn.execute(select(VERSION).where(VERSION.c.id == version_id)).mappings().first()
    if before is not None and before["facts"] is not None:
        return
    facts = {
        "source": source,
        "raw": pack_raw(raw),
        "facts": pack_version(told),
        "images": pack_images(told.images),
        "fetched_at": unit.now,
    }
    if before is None:
        unit.insert(VERSION, [{**columns_of(told), "listed": 0, "gone_at": None, **facts}])
    else:
        unit.conn.execute(
            update(VERSION).where(VERSION.c.id == version_id).values(**_missing(before, told), **facts)
        )
    _add_hashes(unit, told, version_id)
    tell(unit, [version_id])


def _missing(before: Mapping[Any, Any], told: RemoteVersion) -> dict[str, object]:
    return {name: value for name, value in columns_of(told).items() if before[name] is None}


def _add_hashes(unit: Unit, told: RemoteVersion, version_id: int) -> None:
    known = set(unit.conn.execute(select(HASH.c.value).where(HASH.c.version_id == version_id)).scalars())
    kinds = {value: kind for kind, value in hashes_of(told) if value not in known}
    unit.insert(
        HASH, [{"value": value, "version_id": version_id, "kind": kind} for value, kind in kinds.items()]
    )


def _store_model(unit: Unit, raw: bytes, told: RemoteModel, model_id: int, source: str) -> None:
    before = unit.conn.execute(select(MODEL.c.facts).where(MODEL.c.id == model_id)).first()
    if before is not None and before.facts is not None:
        return
    facts = {
        "source": source,
        "raw": pack_raw(raw),
        "facts": pack_json(replace(told, versions=())),
        "fetched_at": unit.now,
    }
    if before is None:
        unit.insert(MODEL, [{"id": model_id, "newest_at": None, "checked_at": 0, "gone_at": None, **facts}])
    else:
        unit.conn.execute(update(MODEL).where(MODEL.c.id == model_id).values(**facts))
    tell_model(unit, model_id)
