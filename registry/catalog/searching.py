"""Reading what can be searched: whole records by the batch, which loras have one, tags of a sample."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from sqlalchemy import exists, func, select

from registry.catalog import tables
from registry.catalog.digests import stored_digests
from registry.catalog.keys import in_chunks
from registry.catalog.reading import IDENTIFIED, TRAINING, file_place
from registry.catalog.sidecars import facts_of, is_hashed
from registry.catalog.tags import tag_names
from registry.formats.packing import clean_text, unpack_json
from registry.formats.verdicts import DIFFERS, verdict
from registry.views import SearchFile, SearchRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Column, ColumnElement, Connection, Row, ScalarSelect, Select

    from registry.told import SidecarFacts

_TABLES = tables.TABLES
LORA, HEADER, FILE, ROOT, COMPANION, DIGEST = (
    _TABLES[name] for name in ("lora", "header", "file", "root", "companion", "digest")
)
SAMPLE = 2000
"""Of so many loras at most tags are counted."""
TOP_TAGS = 50
# Columns of the header that a record gives by name.
COLUMNS = (*IDENTIFIED, *TRAINING)
# What lists show of files without a header.
_NO_HEADER = {"architecture": "none", "adapter": "none"}
_NO_CLAIMS = b"[]"
_NOTHING = np.array(None, object)


class TagNames:
    """Names of tags by id with a bounded memory; belongs to one catalog, may be shared between threads."""

    def __init__(self, keep: int = 200_000) -> None:
        self._keep = keep
        self._count = 0
        self._names: NDArray[np.object_] = np.empty(0, object)

    def of(self, conn: Connection, ids: NDArray[np.int64]) -> list[str]:
        """Return the name of each id; an empty one for what is no tag."""
        names = self._names
        short = int(ids.max(initial=-1)) + 1 - len(names)
        if short > 0:
            self._names = names = np.concatenate((names, np.empty(short + len(names) // 8, object)))
        found = names[ids]
        missing = ids[np.equal(found, _NOTHING)]
        if len(missing):
            learned = tag_names(conn, np.unique(missing).tolist())
            self._count += len(learned)
            if self._count > self._keep:
                # Others may still read the old ones.
                self._names, self._count = np.empty(0, object), 0
            names[list(learned)] = list(learned.values())
            found = names[ids]
            found[np.equal(found, _NOTHING)] = ""
        shown: list[str] = found.tolist()
        return shown


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
    conn: Connection, lora_ids: Sequence[int], names: TagNames | None = None
) -> list[SearchRecord]:
    """Return what can be searched of these loras, in this order; those that cannot be searched are left out.

    Of a lora whose files lie in several roots only those in roots of the catalog count. Callers that read
    more than one batch keep `names` between them.
    """
    names = names or TagNames()
    found: dict[int, SearchRecord] = {}
    for part in in_chunks(list(dict.fromkeys(lora_ids))):
        rows = conn.execute(_LORAS.where(LORA.c.id.in_(part))).all()
        files = _files(conn, rows)
        rows = [row for row in rows if row.id in files]
        sidecars = _sidecars(conn, files)
        tags = _tags(conn, [row.tags or b"" for row in rows], names)
        for row, tagged in zip(rows, tags, strict=True):
            found[row.id] = _record(row, files[row.id], tagged, sidecars.get(row.id, ()))
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
    words = _words(row.triggers) if row.triggers else {}
    return SearchRecord(
        id=row.id,
        kind=row.kind,
        name=row.name,
        size=row.size,
        date=row.mtime_ns // 1_000_000,
        added=row.first_seen,
        files=files,
        header={name: value for name, value in zip(COLUMNS, row, strict=False) if value is not None}
        or _NO_HEADER,
        targets=_targets(row.identification) if row.identification else (),
        claimed=_texts(words.get("claimed", ())),
        datasets=_texts(words.get("folders", ())),
        tags=tags,
        description=row.description,
        sidecars=sidecars,
    )


@lru_cache(maxsize=4096)
def _targets(identification: bytes) -> tuple[str, ...]:
    # Files of one layout and rank are identified in the same words.
    return tuple(cast("dict[str, list[str]]", unpack_json(identification)).get("targets", ()))


def _words(packed: bytes) -> dict[str, Any]:
    """Unpack trigger words without the tags that end them: they are most of it, and stand in a column too."""
    words, cut, _ = packed.partition(b',"tags":[')
    return cast("dict[str, Any]", unpack_json(words + b"}" if cut else packed))


def _texts(words: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    # They are as the header has them, and not all that JSON can say can be indexed.
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


def _tags(conn: Connection, blobs: Sequence[bytes], names: TagNames) -> Iterator[tuple[tuple[str, int], ...]]:
    """Yield the tags of each blob with their counts, in the order of the blob.

    What an author wrote between full-width commas are several tags: trainers split captions at ASCII ones.
    """
    packed = _Packed(blobs)
    written = names.of(conn, packed.ids())
    pairs = [*zip(written, packed.counts().tolist(), strict=True)]
    start = 0
    for end in packed.pairs_up_to():
        text = "\n".join(written[start:end])
        joined = any(comma in text for comma in _FULL_WIDTH)
        yield _apart(pairs[start:end]) if joined else tuple(pairs[start:end])
        start = end


_FULL_WIDTH = "，、"
_COMMAS = re.compile(f"[{_FULL_WIDTH}]")


def _apart(pairs: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for written, count in pairs:
        if _COMMAS.search(written) is None:
            found[written] = found.get(written, 0) + count
            continue
        for part in _COMMAS.split(written):
            if tag := part.strip():
                found[tag] = found.get(tag, 0) + count
    return tuple(found.items())


class _Packed:
    """Blobs that `pack_tags` made, unpacked together: one by one it takes longer than all the rest."""

    def __init__(self, blobs: Sequence[bytes]) -> None:
        self._sizes = np.fromiter(map(len, blobs), np.int64, len(blobs))
        self._bytes = np.frombuffer(b"".join(blobs), np.uint8)
        # Where each number ends, and how many bytes it has.
        self._last = np.flatnonzero(self._bytes < 0x80)
        self._lengths = self._last + 1
        self._lengths[1:] -= self._lengths[:-1].copy()

    def ids(self) -> NDArray[np.int64]:
        """Return the tag ids of all blobs."""
        return self._numbers(self._last[::2], self._lengths[::2])

    def counts(self) -> NDArray[np.int64]:
        """Return the counts of all blobs."""
        return self._numbers(self._last[1::2], self._lengths[1::2])

    def pairs_up_to(self) -> list[int]:
        """Return how many pairs there are up to the end of each blob."""
        ends: list[int] = (np.searchsorted(self._last, np.cumsum(self._sizes)) // 2).tolist()
        return ends

    def _numbers(self, last: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        numbers = self._bytes[last].astype(np.int64)
        back, longer = 1, np.flatnonzero(lengths > 1)
        while len(longer):
            numbers[longer] = numbers[longer] << 7 | self._bytes[last[longer] - back] & 0x7F
            back += 1
            longer = longer[lengths[longer] > back]
        return numbers


class TagSample(NamedTuple):
    """Tags of some loras with how many of these have each, most first; `distinct` tells how many there are.

    `loras` tells how many loras were looked at.
    """

    tags: list[tuple[str, int]]
    distinct: int
    loras: int


def tags_sample(conn: Connection, lora_ids: Sequence[int], *, top: int = TOP_TAGS) -> TagSample:
    """Return the `top` tags that most of these loras have; only the first 2,000 loras are looked at.

    What an author wrote between full-width commas is found by its parts, so it is no tag to choose.
    """
    looked_at = lora_ids[:SAMPLE]
    blobs: list[bytes] = []
    for part in in_chunks(looked_at):
        query = select(HEADER.c.tags).join(LORA, LORA.c.header_id == HEADER.c.id).where(LORA.c.id.in_(part))
        blobs += conn.execute(query).scalars().all()
    ids, counts = np.unique(_Packed(blobs).ids(), return_counts=True)
    most = np.argsort(-counts, kind="stable")[:top].tolist()
    names = tag_names(conn, [int(ids[place]) for place in most])
    found = [(names.get(int(ids[place]), ""), int(counts[place])) for place in most]
    tags = [(name, count) for name, count in found if name and not _COMMAS.search(name)]
    return TagSample(tags, len(ids) - (len(found) - len(tags)), len(looked_at))
