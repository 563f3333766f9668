"""What the header phase writes: files, their headers, provisional loras, companions and problems.

A file that is not hashed yet belongs to a provisional lora (`new:<file id>`), unless its inode or its quick
key says that it is one we know: then it shows that lora at once, not yet verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, select, update

from registry.catalog import tables
from registry.catalog.claims import judge_again, unchecked_claims
from registry.catalog.companions import write_companions
from registry.catalog.digests import stored_digests
from registry.catalog.filerows import (
    facts_columns,
    hash_state,
    kind_of,
    lora_columns,
    path_columns,
    stat_columns,
)
from registry.catalog.headers import drop_unused_headers, store_headers
from registry.catalog.keys import in_chunks
from registry.catalog.links import tell_siblings_of
from registry.catalog.loras import PROVISIONAL, refresh_loras
from registry.catalog.problems import copy_problems, move_problems, replace_problems
from registry.catalog.sidecars import forget_sidecars
from registry.hashing.claims import DIFFERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from registry.catalog.engine import Unit
    from registry.catalog.headers import StoredHeader
    from registry.catalog.tags import TagIds
    from registry.views import FileFacts, FileSeen, Note, RootView

_TABLES = tables.TABLES
FILE, LORA, DIGEST = (_TABLES[name] for name in ("file", "lora", "digest"))
# What a hard link has from the row of its other name.
_SHARED = ("header_id", "quick_key", "tail", "data_size", "cause", "derived_version", "lora_id", "claims")
_HASHED = ("hash_state", "hashed_at", "verified")
_UNFINISHED = frozenset({"all-zeros", "empty-file", "too-small", "truncated-data", "truncated-header"})
_NO_FACTS = dict.fromkeys(("header_id", "quick_key", "tail", "data_size", "cause"))
_UNSEEN = ("id", "device", "inode", "nlink", "derived_version")
_VISIBLE = tuple(column.name for column in FILE.columns if column.name not in _UNSEEN)
# What a rename leaves alone; a copy whose original is gone is hashed once more.
_SAME_FILE = ("device", "inode", "size", "mtime_ns", "quick_key")
_UPDATE_FILE = (
    update(FILE)
    .where(FILE.c.id == bindparam("row_id"))
    .values({column.name: bindparam(column.name) for column in FILE.columns if column.name != "id"})
)


@dataclass(frozen=True, slots=True)
class Observation:
    """A file as met now; `facts` is `None` where nothing had to be read.

    `moved_from` is the row of a file whose path is gone and whose inode or quick key is this one's, `twin`
    the row of another name of the same inode.
    """

    seen: FileSeen
    facts: FileFacts | None = None
    moved_from: int | None = None
    twin: int | None = None


@dataclass(slots=True)
class Recorded:
    """Counts of one batch."""

    new: int = 0
    changed: int = 0
    moved: int = 0
    restored: int = 0


def record_files(
    unit: Unit, tag_ids: TagIds, root: RootView, batch: Sequence[Observation], derived_version: int
) -> Recorded:
    """Write one batch of met files in one unit; return what happened."""
    facts = [met.facts.header for met in batch if met.facts and met.facts.header]
    headers = store_headers(unit, tag_ids, facts, derived_version)
    existing = _rows(unit.conn, FILE.c.path_raw, [met.seen.rel for met in batch], FILE.c.root_id == root.id)
    moving = _rows(unit.conn, FILE.c.id, [met.moved_from for met in batch if met.moved_from is not None])
    twins = _rows(unit.conn, FILE.c.id, [met.twin for met in batch if met.twin is not None])
    writer = _BatchWriter(unit, root, headers, derived_version)
    for met in batch:
        row = existing.get(met.seen.rel)
        if row is not None:
            writer.known(met, row)
        elif met.moved_from is not None and met.moved_from in moving:
            writer.moved(met, moving[met.moved_from])
        else:
            writer.new(met, twins.get(met.twin))
    writer.renewed([header.id for header in headers.values() if header.renewed])
    writer.finish()
    return writer.counts


def _rows(
    conn: Connection, column: ColumnElement[Any], values: Sequence[Any], *where: ColumnElement[bool]
) -> dict[Any, Row[Any]]:
    found: dict[Any, Row[Any]] = {}
    for part in in_chunks(values):
        for row in conn.execute(select(column, FILE).where(column.in_(part), *where)):
            found[row[0]] = row
    return found


class _BatchWriter:
    """Collects the rows of one batch so that each table is written with few statements."""

    def __init__(
        self, unit: Unit, root: RootView, headers: Mapping[bytes, StoredHeader], version: int
    ) -> None:
        self.counts = Recorded()
        self._unit = unit
        self._root = root
        self._headers = headers
        self._version = version
        self._updates: list[dict[str, Any]] = []
        self._fresh: list[tuple[Observation, Row[Any] | None]] = []
        self._replaced: list[tuple[dict[str, Any], Observation]] = []
        self._stale: list[int] = []
        self._judged: list[tuple[dict[str, Any], FileFacts]] = []
        self._renamed: list[tuple[int, str]] = []
        self._touched: set[int | None] = set()
        self._old_headers: set[int | None] = set()
        self._returned: list[int] = []
        self._companions: list[tuple[int, FileSeen]] = []
        self._problems: list[tuple[int, str, Sequence[Note]]] = []

    def known(self, met: Observation, row: Row[Any]) -> None:
        """Take a file at a path that has a row."""
        seen, facts = met.seen, met.facts
        values = self._row_values(row, seen)
        if row.state != "present":
            self.counts.restored += 1
            self._returned.append(row.id)
        if facts is not None:
            values.update(facts_columns(facts, self._headers), derived_version=self._version)
            self._problems.append((row.id, row.path, facts.problems))
            self._judged.append((values, facts))
        same_stat = (row.size, row.mtime_ns) == (seen.stat.size, seen.stat.mtime_ns)
        same_key = facts is None or (row.quick_key is not None and facts.quick_key in (None, row.quick_key))
        if not (same_stat and same_key):
            self.counts.changed += 1
            values.update(hash_state=hash_state(seen), verified=0)
            if not same_key:
                self._stale.append(row.id)
            if facts is not None and _other_weights(row, facts) and not self._was_unfinished(row):
                self._replaced.append((values, met))
        self._keep(row, values, met)

    def moved(self, met: Observation, row: Row[Any]) -> None:
        """Take a file whose row has another path that is gone now."""
        seen, facts = met.seen, met.facts
        values = {**self._row_values(row, seen), **path_columns(seen.rel), "root_id": self._root.id}
        if facts is not None:
            values.update(facts_columns(facts, self._headers), derived_version=self._version)
            self._problems.append((row.id, str(values["path"]), facts.problems))
            self._judged.append((values, facts))
        if any(values[name] != getattr(row, name) for name in _SAME_FILE):
            values.update(hash_state=hash_state(seen), verified=0)
        self.counts.moved += 1
        self._renamed.append((row.id, str(values["path"])))
        self._keep(row, values, met)

    def new(self, met: Observation, twin: Row[Any] | None) -> None:
        """Take a file that has no row yet."""
        self.counts.new += 1
        self._fresh.append((met, twin))

    def renewed(self, header_ids: Sequence[int]) -> None:
        """Take headers that better rules wrote anew: files that are not met now may share them."""
        for part in in_chunks(header_ids):
            query = select(LORA.c.id).where(LORA.c.header_id.in_(part))
            self._touched.update(self._unit.conn.execute(query).scalars())

    def finish(self) -> None:
        """Write everything."""
        digests = stored_digests(self._unit.conn, [twin.id for _, twin in self._fresh if twin is not None])
        self._give_replacements()
        for part in in_chunks(self._stale):
            self._unit.conn.execute(delete(DIGEST).where(DIGEST.c.file_id.in_(part)))
        claimed = judge_again(self._unit.conn, self._judged)
        if self._updates:
            self._unit.conn.execute(_UPDATE_FILE, self._updates)
        self._insert_fresh(digests)
        if self._returned:
            tell_siblings_of(self._unit, self._returned)
        lora_of = {values["row_id"]: values["lora_id"] for values in self._updates}
        other = write_companions(self._unit, self._companions)
        forget_sidecars(self._unit, self._root.id, other)
        self._touched.update(lora_of.get(file_id) for file_id in other)
        move_problems(self._unit, self._root.id, self._renamed)
        replace_problems(self._unit, "header", self._root.id, self._problems)
        replace_problems(self._unit, "hash", self._root.id, claimed, slug=DIFFERS)
        touched = {lora_id for lora_id in self._touched if lora_id is not None}
        for lora_id in touched:
            self._unit.changed("lora", lora_id, "changed", lora_id=lora_id)
        refresh_loras(self._unit, touched)
        drop_unused_headers(self._unit, self._old_headers)

    def _was_unfinished(self, row: Row[Any]) -> bool:
        """Let the lora of a copy that stopped half-way start anew: there is nothing to replace."""
        if row.cause not in _UNFINISHED:
            return False
        where = (LORA.c.id == row.lora_id) & (LORA.c.files == 1)
        values = {"identity": f"{PROVISIONAL}{row.id}"}
        return bool(self._unit.conn.execute(update(LORA).where(where).values(values)).rowcount)

    def _row_values(self, row: Row[Any], seen: FileSeen) -> dict[str, Any]:
        values = {column.name: getattr(row, column.name) for column in FILE.columns}
        values["row_id"] = values.pop("id")
        values.update(stat_columns(seen))
        if row.state != "present":
            values.update(state="present", state_since=self._unit.now)
        if row.hash_state != "done":
            values["hash_state"] = hash_state(seen)
        return values

    def _keep(self, row: Row[Any], values: dict[str, Any], met: Observation) -> None:
        self._updates.append(values)
        # A new inode is nothing that anybody sees.
        if met.facts is not None or any(values[name] != getattr(row, name) for name in _VISIBLE):
            self._touched |= {row.lora_id, values["lora_id"]}
        if values["header_id"] != row.header_id:
            self._old_headers.add(row.header_id)
        if met.seen.companions is not None:
            self._companions.append((row.id, met.seen))

    def _give_replacements(self) -> None:
        """Give paths whose weights changed provisional loras of their own that name what they replace."""
        identities = [f"{PROVISIONAL}{values['row_id']}" for values, _ in self._replaced]
        known: dict[str, int] = {}
        for part in in_chunks(identities):
            query = select(LORA.c.identity, LORA.c.id).where(LORA.c.identity.in_(part))
            known.update(self._unit.conn.execute(query).all())
        ids = iter(self._unit.allocate("lora", len(identities) - len(known)))
        rows = []
        for identity, (values, met) in zip(identities, self._replaced, strict=True):
            replaced, lora_id = values["lora_id"], known.get(identity)
            if lora_id is None:
                lora_id = next(ids)
                rows.append(
                    {
                        "id": lora_id,
                        **lora_columns(identity, values["row_id"], values["name"], met.seen, self._unit.now),
                        "kind": kind_of(met.facts, self._headers),
                        "header_id": values["header_id"],
                        "replaces_id": replaced,
                    }
                )
                self._unit.changed("lora", lora_id, "added", lora_id=lora_id)
            values["lora_id"] = lora_id
            self._touched |= {replaced, lora_id}
        self._unit.insert(LORA, rows)

    def _insert_fresh(self, digests: Mapping[int, Mapping[str, str]]) -> None:
        known = self._loras_by_quick_key()
        file_ids = self._unit.allocate("file", len(self._fresh))
        lora_ids = iter(self._unit.allocate("lora", len(self._fresh)))
        files, loras, copied, twins = [], [], [], {}
        for file_id, (met, twin) in zip(file_ids, self._fresh, strict=True):
            seen, facts = met.seen, met.facts
            values = self._fresh_values(file_id, met)
            if twin is not None:
                shared = (*_SHARED, *_HASHED) if twin.hash_state == "done" else _SHARED
                values.update((name, getattr(twin, name)) for name in shared)
                copied += [(file_id, *digest) for digest in digests.get(twin.id, {}).items()]
                twins[file_id] = (twin.id, str(values["path"]))
                self._touched.add(twin.lora_id)
            elif facts is not None and facts.quick_key in known:
                values["lora_id"] = known[facts.quick_key]
                self._touched.add(known[facts.quick_key])
            else:
                values["lora_id"] = lora_id = next(lora_ids)
                identity, name = f"{PROVISIONAL}{file_id}", str(values["name"])
                lora = lora_columns(identity, file_id, name, seen, self._unit.now)
                lora.update(id=lora_id, kind=kind_of(facts, self._headers), header_id=values["header_id"])
                loras.append(lora)
                self._unit.changed("lora", lora_id, "added", lora_id=lora_id)
            files.append(values)
            if seen.companions:
                self._companions.append((file_id, seen))
            if facts is not None and facts.problems:
                self._problems.append((file_id, str(values["path"]), facts.problems))
        self._unit.insert(LORA, loras)
        self._unit.insert(FILE, files)
        self._unit.insert(
            DIGEST, [dict(zip(("file_id", "kind", "value"), row, strict=True)) for row in copied]
        )
        copy_problems(self._unit, self._root.id, twins)

    def _fresh_values(self, file_id: int, met: Observation) -> dict[str, Any]:
        return {
            "id": file_id,
            "root_id": self._root.id,
            "state": "present",
            "state_since": self._unit.now,
            "first_seen": self._unit.now,
            "derived_version": self._version,
            "hash_priority": 0,
            "hash_state": hash_state(met.seen),
            "hashed_at": None,
            "verified": 0,
            "claims": None if met.facts is None else unchecked_claims(met.facts),
            **stat_columns(met.seen),
            **path_columns(met.seen.rel),
            **(_NO_FACTS if met.facts is None else facts_columns(met.facts, self._headers)),
        }

    def _loras_by_quick_key(self) -> dict[bytes, int]:
        """Find the loras of verified files with the quick keys of the new ones; empty files are all alike."""
        keys = [met.facts.quick_key for met, _ in self._fresh if met.facts and met.facts.quick_key]
        found: dict[bytes, int] = {}
        for part in in_chunks(keys):
            query = (
                select(FILE.c.quick_key, FILE.c.lora_id)
                .where(FILE.c.quick_key.in_(part), FILE.c.verified == 1, FILE.c.size > 0)
                .order_by(FILE.c.id)
            )
            for key, lora_id in self._unit.conn.execute(query):
                found.setdefault(key, lora_id)
        return found


def _other_weights(row: Row[Any], facts: FileFacts) -> bool:
    """Whether a file that changed has other weights, as far as its header and its end can tell."""
    return facts.data_size is None or (row.data_size, row.tail) != (facts.data_size, facts.tail)
