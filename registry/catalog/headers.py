"""Header rows: one for each distinct header, written again when the rules that read it get better."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, delete, exists, select, update

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.catalog.tags import pack_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import BindParameter

    from registry.catalog.engine import Unit
    from registry.catalog.tags import TagIds
    from registry.views import HeaderFacts

_TABLES = tables.TABLES
FILE, HEADER, LORA = _TABLES["file"], _TABLES["header"], _TABLES["lora"]
_NAME = itemgetter(0)


class StoredHeader(NamedTuple):
    """The row of a header, the kind of weights it describes, and whether it was just written anew."""

    id: int
    kind: str
    renewed: bool = False


def store_headers(
    unit: Unit, tag_ids: TagIds, facts: Sequence[HeaderFacts], derived_version: int
) -> dict[bytes, StoredHeader]:
    """Make sure that each header has a row of this version or a later one; return the rows by digest."""
    by_digest = {fact.digest: fact for fact in facts}
    known: dict[bytes, tuple[int, int, str]] = {}
    for part in in_chunks(list(by_digest)):
        query = select(HEADER.c.digest, HEADER.c.id, HEADER.c.derived_version, HEADER.c.kind)
        rows = unit.conn.execute(query.where(HEADER.c.digest.in_(part)))
        known.update((digest, (key, version, kind)) for digest, key, version, kind in rows)
    new = [fact for fact in by_digest.values() if fact.digest not in known]
    old = [
        fact
        for fact in by_digest.values()
        if fact.digest in known and known[fact.digest][1] < derived_version
    ]
    names: set[str] = set()
    for fact in (*new, *old):
        names.update(map(_NAME, fact.tags))
    ids = tag_ids.resolve(unit, names)
    stored = {digest: StoredHeader(key, kind) for digest, (key, _, kind) in known.items()}
    rows_new: list[dict[str, object]] = []
    for key, fact in zip(unit.allocate("header", len(new)), new, strict=True):
        rows_new.append({"id": key, **_row(fact, ids, derived_version)})
        stored[fact.digest] = StoredHeader(key, str(fact.columns["kind"]))
    unit.insert(HEADER, rows_new)
    rows_old: list[dict[str, object]] = []
    for fact in old:
        key = known[fact.digest][0]
        rows_old.append({"row_id": key, **_row(fact, ids, derived_version)})
        stored[fact.digest] = StoredHeader(key, str(fact.columns["kind"]), renewed=True)
    if rows_old:
        columns: dict[str, BindParameter[object]] = {
            name: bindparam(name) for name in rows_old[0] if name != "row_id"
        }
        unit.conn.execute(update(HEADER).where(HEADER.c.id == bindparam("row_id")).values(columns), rows_old)
    return stored


def drop_unused_headers(unit: Unit, header_ids: Iterable[int | None]) -> None:
    """Forget those of the headers that neither a file nor a lora has any more."""
    for part in in_chunks(sorted(key for key in set(header_ids) if key is not None)):
        unused = ~exists().where(FILE.c.header_id == HEADER.c.id) & ~exists().where(
            LORA.c.header_id == HEADER.c.id
        )
        unit.conn.execute(delete(HEADER).where(HEADER.c.id.in_(part), unused))


def _row(fact: HeaderFacts, ids: Mapping[str, int], derived_version: int) -> dict[str, object]:
    return {
        **fact.columns,
        "digest": fact.digest,
        "derived_version": derived_version,
        "tags": pack_tags([(ids[tag], count) for tag, count in fact.tags]),
        "tag_count": len(fact.tags),
    }
