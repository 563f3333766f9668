"""Which versions of Civitai users chose for loras, and which of these a sync may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.curation import unpack_value
from registry.curation_values import CivitaiChoice

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection

    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
CURATION, FILE, ROOT, DIGEST, VERSION = (
    _TABLES[name] for name in ("curation", "file", "root", "digest", "remote_version")
)
_OF_LORA = exists().where(FILE.c.lora_id == CURATION.c.lora_id, ROOT.c.id == FILE.c.root_id)
# Of a lora that has a file in a private root nothing is asked, wherever else it lies.
_ASKABLE = and_(_OF_LORA.where(ROOT.c.removed_at.is_(None)), ~_OF_LORA.where(ROOT.c.private == 1))


def askable_choices(conn: Connection, sha256s: Sequence[str] | None = None) -> list[int]:
    """Return the versions, in order, that were chosen for loras that a service may be asked for.

    With `sha256s` only those of loras that have one of these files.
    """
    if sha256s is None:
        return sorted(_chosen(conn, _ASKABLE))
    found: set[int] = set()
    for part in in_chunks(sha256s):
        with_file = (
            select(FILE.c.lora_id)
            .join(DIGEST, DIGEST.c.file_id == FILE.c.id)
            .where(DIGEST.c.value.in_(part), DIGEST.c.kind == "sha256")
        )
        found.update(_chosen(conn, _ASKABLE, CURATION.c.lora_id.in_(with_file)))
    return sorted(found)


def unfetched(conn: Connection, version_ids: Sequence[int]) -> list[int]:
    """Return those of the versions whose details are not known, in their order."""
    known: set[int] = set()
    for part in in_chunks(version_ids):
        query = select(VERSION.c.id).where(VERSION.c.id.in_(part), VERSION.c.facts.is_not(None))
        known.update(conn.execute(query).scalars())
    return [key for key in version_ids if key not in known]


def models_of(conn: Connection, version_ids: Collection[int]) -> dict[int, int]:
    """Return the models of versions, of those whose model is known."""
    found: dict[int, int] = {}
    for part in in_chunks(sorted(version_ids)):
        query = select(VERSION.c.id, VERSION.c.model_id).where(VERSION.c.id.in_(part))
        found.update((key, model) for key, model in conn.execute(query) if model is not None)
    return found


def tell_choosers(unit: Unit, version_ids: Collection[int]) -> None:
    """Log that the loras changed for which one of these versions was chosen."""
    chosen = _chosen(unit.conn) if version_ids else {}
    for version_id in chosen.keys() & set(version_ids):
        for lora_id in chosen[version_id]:
            unit.changed("lora", lora_id, "changed", lora_id=lora_id)


def tell_choosers_of_model(unit: Unit, model_id: int) -> None:
    """Log that the loras changed for which any version of a model was chosen."""
    models = models_of(unit.conn, _chosen(unit.conn))
    tell_choosers(unit, [key for key, model in models.items() if model == model_id])


def _chosen(conn: Connection, *where: ColumnElement[bool]) -> dict[int, list[int]]:
    """Return the versions that were chosen, each with the loras that it was chosen for."""
    query = select(CURATION.c.lora_id, CURATION.c.value).where(CURATION.c.field == "civitai", *where)
    found: dict[int, list[int]] = {}
    for lora_id, packed in conn.execute(query):
        choice = unpack_value(packed)
        if isinstance(choice, CivitaiChoice) and choice.version is not None:
            found.setdefault(choice.version, []).append(lora_id)
    return found
