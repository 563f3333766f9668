"""Reading what can be searched: whole records by the batch, which loras have one, tags of a sample."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import exists, func, select

from registry.catalog import corrections, tables
from registry.catalog.curation import curation_of
from registry.catalog.digests import stored_digests
from registry.catalog.fingerprints import health_of
from registry.catalog.keys import in_chunks
from registry.catalog.links import links_of
from registry.catalog.picture_rows import with_renders
from registry.catalog.reading import IDENTIFIED, TRAINING, file_place
from registry.catalog.sidecars import facts_of, is_hashed
from registry.catalog.tag_lists import TagNames, tags_of
from registry.formats.packing import clean_text, unpack_json
from registry.formats.showing import Beside, Voices, level_of
from registry.formats.verdicts import DIFFERS, verdict
from registry.views import SearchFile, SearchRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Row, ScalarSelect, Select

    from registry.formats.nsfw import Words
    from registry.told import SidecarFacts

_TABLES = tables.TABLES
LORA, HEADER, FILE, ROOT, COMPANION, DIGEST = (
    _TABLES[name] for name in ("lora", "header", "file", "root", "companion", "digest")
)
# Columns of the header that a record gives by name.
COLUMNS = (*IDENTIFIED, *TRAINING)
# What lists show of files without a header.
_NO_HEADER = {"architecture": "none", "adapter": "none"}
_NO_CLAIMS = b"[]"


def searchable_ids(conn: Connection, after: int, limit: int) -> list[int]:
    """Return the first `limit` ids above `after` of loras that can be searched, in ascending order."""
    query = select(LORA.c.id).where(LORA.c.id > after, _searchable()).order_by(LORA.c.id).limit(limit)
    return list(conn.execute(query).scalars())


def count_searchable(conn: Connection) -> int:
    """Return how many loras can be searched: those with a file in a root of the catalog."""
    return conn.execute(select(func.count()).select_from(LORA).where(_searchable())).scalar_one()


def _searchable() -> ColumnElement[bool]:
    kept = select(ROOT.c.id).where(ROOT.c.removed_at.is_(None))
    return exists().where(FILE.c.lora_id == LORA.c.id, FILE.c.root_id.in_(kept))


def search_records(
    conn: Connection,
    lora_ids: Sequence[int],
    names: TagNames | None = None,
    words: Words | None = None,
) -> list[SearchRecord]:
    """Return what can be searched of these loras, in this order; those that cannot be searched are left out.

    Of a lora whose files lie in several roots only those in roots of the catalog count. Callers that read
    more than one batch keep `names` between them. Without `words` no level is estimated.
    """
    names = names or TagNames()
    found: dict[int, SearchRecord] = {}
    for part in in_chunks(list(dict.fromkeys(lora_ids))):
        rows = conn.execute(_LORAS.where(LORA.c.id.in_(part))).all()
        files = _files(conn, rows)
        rows = [row for row in rows if row.id in files]
        sidecars = _sidecars(conn, files)
        curations = curation_of(conn, files)
        choices = {key: one.civitai for key, one in curations.items() if one.civitai is not None}
        links = links_of(conn, {key: [one.id for one in some] for key, some in files.items()}, choices)
        health = health_of(conn, list(files))
        rendered = with_renders(conn, list(files))
        tags = tags_of(conn, [row.tags or b"" for row in rows], names)
        for row, tagged in zip(rows, tags, strict=True):
            record = _record(row, files[row.id], tagged, sidecars.get(row.id, ()))
            known = replace(record, curation=curations.get(row.id), link=links.get(row.id))
            found[row.id] = replace(
                known,
                nsfw=level_of(_voices(known), words),
                health=health.get(row.id, ()),
                rendered=row.id in rendered,
            )
    return [found[lora_id] for lora_id in lora_ids if lora_id in found]


_LORAS: Select[Any] = select(
    *(HEADER.c[name] for name in COLUMNS),
    LORA.c.id,
    LORA.c.identity,
    LORA.c.kind,
    LORA.c.name,
    LORA.c.size,
    LORA.c.mtime_ns,
    LORA.c.first_seen,
    LORA.c.primary_file_id,
    *corrections.COLUMNS.values(),
    HEADER.c.identification,
    HEADER.c.triggers,
    HEADER.c.tags,
    HEADER.c.description,
).select_from(LORA.outerjoin(HEADER, HEADER.c.id == LORA.c.header_id))


def _sidecars(
    conn: Connection, files: Mapping[int, Sequence[SearchFile]]
) -> dict[int, tuple[SidecarFacts, ...]]:
    """Return what the sidecars of each lora say, without those that were written for another file."""
    beside = {file.id: (lora_id, file) for lora_id, some in files.items() for file in some}
    told = facts_of(conn, beside)
    # Those of records tell more than what was computed of this file.
    digests = stored_digests(conn, list(told))
    found: dict[int, list[SidecarFacts]] = {}
    for file_id, some in told.items():
        lora_id, file = beside[file_id]
        known = digests.get(file_id, {}).values()
        for facts in some:
            if verdict(facts.hashes, known, hashed=file.hashed) != DIFFERS:
                found.setdefault(lora_id, []).append(facts)
    return {lora_id: tuple(some) for lora_id, some in found.items()}


def _record(
    row: Row[Any],
    files: tuple[SearchFile, ...],
    tags: tuple[tuple[str, int], ...],
    sidecars: tuple[SidecarFacts, ...],
) -> SearchRecord:
    words = trigger_words(row.triggers) if row.triggers else {}
    found = {name: value for name, value in zip(COLUMNS, row, strict=False) if value is not None}
    kind, header = corrected_facts(row, found or _NO_HEADER)
    return SearchRecord(
        id=row.id,
        kind=kind,
        name=row.name,
        size=row.size,
        date=row.mtime_ns // 1_000_000,
        added=row.first_seen,
        files=files,
        header=header,
        targets=_targets(row.identification) if row.identification else (),
        claimed=claimed_texts(words.get("claimed", ())),
        datasets=claimed_texts(words.get("folders", ())),
        tags=tags,
        description=row.description,
        sidecars=sidecars,
    )


def corrected_facts(row: Row[Any], header: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """Return the kind and the columns of a header as the user corrected them."""
    said = corrections.corrections(row)
    if not said:
        return row.kind, header
    shown = corrections.corrected({"base_model": None, "kind": row.kind, **header}, said)
    kind = str(shown.pop("kind"))
    return kind, {name: value for name, value in shown.items() if value is not None}


def _voices(record: SearchRecord) -> Voices:
    return Voices(
        record.name,
        record.header,
        tags=record.tags,
        sidecars=[Beside(told) for told in record.sidecars],
        link=record.link,
        curation=record.curation,
    )


@lru_cache(maxsize=4096)
def _targets(identification: bytes) -> tuple[str, ...]:
    # Files of one layout and rank are identified in the same words.
    return tuple(cast("dict[str, list[str]]", unpack_json(identification)).get("targets", ()))


def trigger_words(packed: bytes) -> dict[str, Any]:
    """Unpack trigger words without the tags that end them: they are most of it, and stand in a column too."""
    words, cut, _ = packed.partition(b',"tags":[')
    return cast("dict[str, Any]", unpack_json(words + b"}" if cut else packed))


def claimed_texts(words: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return trigger words as texts, without what not every database and index can hold."""
    return tuple([clean_text(word["word"]) for word in words])


def _files(conn: Connection, rows: Sequence[Row[Any]]) -> dict[int, tuple[SearchFile, ...]]:
    """Return the files of these loras that lie in roots of the catalog, by lora, the primary one first."""
    loras = {row.id: row for row in rows}
    grouped: dict[int, list[Row[Any]]] = {}
    for row in conn.execute(_FILES.where(FILE.c.lora_id.in_(loras))):
        grouped.setdefault(row.lora_id, []).append(row)
    made: dict[int, tuple[SearchFile, ...]] = {}
    for lora_id, files in grouped.items():
        lora = loras[lora_id]
        if len(files) > 1:
            files.sort(key=partial(file_place, lora.primary_file_id))
        first = _file(files[0])
        kind, _, known = lora.identity.partition(":")
        if kind != "new" and known not in first.hashes:
            # What names the weights is their hash, also while none of the files is hashed (again).
            first = replace(first, hashes=(*first.hashes, known))
        made[lora_id] = (first, *map(_file, files[1:]))
    return made


def _file(row: Row[Any]) -> SearchFile:
    return SearchFile(
        id=row.id,
        root_id=row.root_id,
        root=row.label,
        path=row.path,
        folder=row.folder,
        name=row.name,
        state=row.state,
        hashed=is_hashed(row.verified, row.hash_state),
        hashes=_distinct(row.hashes),
        verdicts=_verdicts(row.claims),
        companions=_distinct(row.companions),
    )


def _listed(column: Column[str]) -> ScalarSelect[str]:
    """Return the texts of a column that belong to a file as one text, with a comma between each two."""
    table = column.table
    query = select(func.aggregate_strings(column, ",")).where(table.c.file_id == FILE.c.id)
    return query.correlate(FILE).scalar_subquery()


def _distinct(listed: str | None) -> tuple[str, ...]:
    return tuple(sorted(set(listed.split(",")))) if listed else ()


_FILES: Select[Any] = (
    select(
        FILE.c.id,
        FILE.c.lora_id,
        FILE.c.root_id,
        ROOT.c.label,
        FILE.c.path,
        FILE.c.folder,
        FILE.c.name,
        FILE.c.state,
        FILE.c.first_seen,
        FILE.c.verified,
        FILE.c.hash_state,
        FILE.c.claims,
        _listed(DIGEST.c.value).label("hashes"),
        _listed(COMPANION.c.kind).label("companions"),
    )
    .join(ROOT, ROOT.c.id == FILE.c.root_id)
    .where(ROOT.c.removed_at.is_(None))
)


def _verdicts(claims: bytes | None) -> tuple[str, ...]:
    if claims is None or claims == _NO_CLAIMS:
        return ()
    found = cast("list[dict[str, str]]", unpack_json(claims))
    return tuple(dict.fromkeys([claim["verdict"] for claim in found]))
