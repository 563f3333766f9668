"""What the header phase writes: files, their headers, provisional loras, companions and problems.

A file that is not hashed yet belongs to a provisional lora (`new:<file id>`), unless its inode or its quick key
says that it is one we know: then it shows that lora at once, not yet verified.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from registry.catalog import tables
from registry.catalog.keys import fold, in_chunks
from registry.catalog.loras import refresh_loras
from registry.catalog.problems import replace_problems
from registry.catalog.tags import pack_tags
from registry.formats.packing import clean_text
from registry.wire.a1111 import hidden_directory
from registry.wire.natural import sort_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Row

    from registry.catalog.engine import Unit
    from registry.catalog.tags import TagIds
    from registry.views import FileFacts, FileSeen, FileStat, HeaderFacts, Note, RootView

_TABLES = tables.SQLModel.metadata.tables
FILE, HEADER, LORA, DIGEST, COMPANION = (
    _TABLES[name] for name in ("file", "header", "lora", "digest", "companion")
)
NO_HEADER_KIND = "other"


class KnownFile(NamedTuple):
    """What a rescan compares: one row of the catalog in path order."""

    rel: bytes
    id: int
    size: int
    mtime_ns: int
    device: int
    inode: int
    state: str
    derived_version: int
    header_digest: bytes | None
    hash_state: str


@dataclass(frozen=True, slots=True)
class Observation:
    """A file as met now; `facts` is `None` where nothing had to be read.

    `moved_from` is the row of a file whose path is gone and whose inode or quick key is this one's, `twin` the
    row of another name of the same inode.
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


def known_files(conn: Connection, root_id: int, after: bytes, limit: int) -> Sequence[tuple[Any, ...]]:
    """Return up to `limit` rows of a root in byte order of their paths, each the fields of KnownFile."""
    query = (
        select(
            FILE.c.path_raw,
            FILE.c.id,
            FILE.c.size,
            FILE.c.mtime_ns,
            FILE.c.device,
            FILE.c.inode,
            FILE.c.state,
            FILE.c.derived_version,
            HEADER.c.digest,
            FILE.c.hash_state,
        )
        .outerjoin(HEADER, HEADER.c.id == FILE.c.header_id)
        .where(FILE.c.root_id == root_id, FILE.c.path_raw > after)
        .order_by(FILE.c.path_raw)
        .limit(limit)
    )
    return conn.execute(query).all()


def known_paths(conn: Connection, root_id: int, rels: Sequence[bytes]) -> dict[bytes, KnownFile]:
    """Return the rows of a root at the given relative paths."""
    found: dict[bytes, KnownFile] = {}
    columns = (FILE.c.path_raw, FILE.c.id, FILE.c.size, FILE.c.mtime_ns, FILE.c.device, FILE.c.inode, FILE.c.state)
    for part in in_chunks(rels):
        query = (
            select(*columns, FILE.c.derived_version, HEADER.c.digest, FILE.c.hash_state)
            .outerjoin(HEADER, HEADER.c.id == FILE.c.header_id)
            .where(FILE.c.root_id == root_id, FILE.c.path_raw.in_(part))
        )
        found.update((row[0], KnownFile(*row)) for row in conn.execute(query))
    return found


class Candidate(NamedTuple):
    """A row that may be the file now met elsewhere."""

    id: int
    root_id: int
    rel: bytes
    state: str


def same_inode(
    conn: Connection, stats: Sequence[FileStat]
) -> dict[tuple[int, int, int, int], list[Candidate]]:
    """Return the rows that have the device, inode, size and modification time of one of the stats, by these."""
    wanted = {(stat.device, stat.inode, stat.size, stat.mtime_ns) for stat in stats if stat.inode}
    found: dict[tuple[int, int, int, int], list[Candidate]] = {}
    for part in in_chunks(sorted({inode for _, inode, _, _ in wanted})):
        query = (
            select(
                FILE.c.device,
                FILE.c.inode,
                FILE.c.size,
                FILE.c.mtime_ns,
                FILE.c.id,
                FILE.c.root_id,
                FILE.c.path_raw,
                FILE.c.state,
            )
            .where(FILE.c.inode.in_(part), FILE.c.hash_state != "skipped")
            .order_by(FILE.c.id)
        )
        for *key, file_id, root_id, rel, state in conn.execute(query):
            if tuple(key) in wanted:
                found.setdefault(tuple(key), []).append(Candidate(file_id, root_id, rel, state))
    return found


def same_quick_key(conn: Connection, quick_keys: Sequence[bytes]) -> dict[bytes, list[Candidate]]:
    """Return the rows that have these quick keys, oldest first."""
    found: dict[bytes, list[Candidate]] = {}
    for part in in_chunks(quick_keys):
        query = (
            select(FILE.c.quick_key, FILE.c.id, FILE.c.root_id, FILE.c.path_raw, FILE.c.state)
            .where(FILE.c.quick_key.in_(part))
            .order_by(FILE.c.id)
        )
        for key, *rest in conn.execute(query):
            found.setdefault(key, []).append(Candidate(*rest))
    return found


def record_files(
    unit: Unit, tag_ids: TagIds, root: RootView, batch: Sequence[Observation], derived_version: int
) -> Recorded:
    """Write one batch of met files in one unit; return what happened."""
    counts = Recorded()
    headers = _store_headers(unit, tag_ids, [o.facts.header for o in batch if o.facts and o.facts.header], derived_version)
    existing = _rows(unit.conn, FILE.c.root_id == root.id, FILE.c.path_raw, [o.seen.rel for o in batch])
    moving = _rows(unit.conn, None, FILE.c.id, [o.moved_from for o in batch if o.moved_from is not None])
    twins = _rows(unit.conn, None, FILE.c.id, [o.twin for o in batch if o.twin is not None])
    writer = _BatchWriter(unit, root, headers, derived_version, counts)
    for observation in batch:
        row = existing.get(observation.seen.rel)
        if row is not None:
            writer.known(observation, row)
        elif observation.moved_from is not None and observation.moved_from in moving:
            writer.moved(observation, moving[observation.moved_from])
        else:
            writer.new(observation, twins.get(observation.twin))
    writer.finish()
    return counts


def _rows(conn: Connection, where: Any, column: Any, values: Sequence[Any]) -> dict[Any, Row[Any]]:
    found: dict[Any, Row[Any]] = {}
    for part in in_chunks(values):
        query = select(FILE).where(column.in_(part))
        for row in conn.execute(query if where is None else query.where(where)):
            found[getattr(row, column.name)] = row
    return found


def _store_headers(
    unit: Unit, tag_ids: TagIds, facts: Sequence[HeaderFacts], derived_version: int
) -> dict[bytes, tuple[int, str]]:
    """Make sure that each header has a row of this version; return (id, kind) by digest."""
    by_digest = {fact.digest: fact for fact in facts}
    stored: dict[bytes, tuple[int, int]] = {}
    for part in in_chunks(list(by_digest)):
        query = select(HEADER.c.digest, HEADER.c.id, HEADER.c.derived_version).where(HEADER.c.digest.in_(part))
        stored.update((digest, (key, version)) for digest, key, version in unit.conn.execute(query))
    fresh = [fact for fact in by_digest.values() if stored.get(fact.digest, (0, -1))[1] < derived_version]
    names = {tag for fact in fresh for tag, _ in fact.tags}
    ids = tag_ids.resolve(unit, names) if names else {}
    new = [fact for fact in fresh if fact.digest not in stored]
    rows = []
    for key, fact in zip(unit.allocate("header", len(new)), new, strict=True):
        rows.append({"id": key, **_header_row(fact, ids, derived_version)})
        stored[fact.digest] = (key, derived_version)
    if rows:
        unit.conn.execute(insert(HEADER), rows)
    for fact in fresh:
        key, version = stored[fact.digest]
        if version < derived_version:
            row = _header_row(fact, ids, derived_version)
            unit.conn.execute(update(HEADER).where(HEADER.c.id == key).values(row))
    return {digest: (stored[digest][0], str(fact.columns["kind"])) for digest, fact in by_digest.items()}


def _header_row(fact: HeaderFacts, ids: Mapping[str, int], derived_version: int) -> dict[str, object]:
    return {
        **fact.columns,
        "digest": fact.digest,
        "derived_version": derived_version,
        "tags": pack_tags((ids[tag], count) for tag, count in fact.tags),
        "tag_count": len(fact.tags),
    }


_FILE_COLUMNS = [column.name for column in FILE.columns]


class _BatchWriter:
    """Collects the rows of one batch so that each table is written with one statement."""

    def __init__(
        self, unit: Unit, root: RootView, headers: dict[bytes, tuple[int, str]], version: int, counts: Recorded
    ) -> None:
        self.unit = unit
        self.root = root
        self.headers = headers
        self.version = version
        self.counts = counts
        self.updates: list[dict[str, object]] = []
        self.fresh: list[tuple[Observation, Row[Any] | None]] = []
        self.touched: set[int] = set()
        self.companions: list[tuple[int, FileSeen]] = []
        self.problems: list[tuple[int, str, Sequence[Note]]] = []

    def known(self, observation: Observation, row: Row[Any]) -> None:
        """A file at a path that has a row."""
        seen, facts = observation.seen, observation.facts
        values = {**row._mapping, **self._stat_values(seen)}  # noqa: SLF001 - the documented mapping of a row
        if row.state != "present":
            self.counts.restored += 1
            values.update(state="present", state_since=self.unit.now)
        if row.hash_state == "failed" or (row.hash_state == "skipped" and not seen.placeholder):
            values["hash_state"] = _hash_state(seen)
        if facts is not None:
            values.update(self._facts_values(facts))
            same_bytes = (
                row.size == seen.stat.size
                and row.mtime_ns == seen.stat.mtime_ns
                and row.quick_key is not None
                and (facts.quick_key is None or row.quick_key == facts.quick_key)
            )
            if not same_bytes:
                self.counts.changed += 1
                values.update(hash_state=_hash_state(seen), verified=0)
                if (row.data_size, row.tail) != (facts.data_size, facts.tail) or row.data_size is None:
                    values["lora_id"] = self._replacement(row, seen, facts)
            self.problems.append((row.id, row.path, facts.problems))
        self._keep(row, values, seen)

    def moved(self, observation: Observation, row: Row[Any]) -> None:
        """A file whose row has another path that is gone now."""
        seen, facts = observation.seen, observation.facts
        values = {**row._mapping, **self._stat_values(seen), **self._path_values(seen)}  # noqa: SLF001 - see above
        values.update(root_id=self.root.id, state="present", state_since=self.unit.now)
        if facts is not None:
            values.update(self._facts_values(facts), hash_state=_hash_state(seen), verified=0)
            self.problems.append((row.id, str(values["path"]), facts.problems))
        self.counts.moved += 1
        self._keep(row, values, seen)

    def new(self, observation: Observation, twin: Row[Any] | None) -> None:
        """A file that has no row yet."""
        self.counts.new += 1
        self.fresh.append((observation, twin))

    def finish(self) -> None:
        """Write everything."""
        if self.updates:
            statement = (
                update(FILE)
                .where(FILE.c.id == bindparam("row_id"))
                .values({name: bindparam(name) for name in _FILE_COLUMNS if name != "id"})
            )
            self.unit.conn.execute(statement, self.updates)
        self._insert_fresh()
        self._write_companions()
        replace_problems(self.unit, "header", self.root.id, self.problems)
        refresh_loras(self.unit, self.touched)

    def _keep(self, row: Row[Any], values: dict[str, Any], seen: FileSeen) -> None:
        values["row_id"] = values.pop("id")
        self.updates.append(values)
        self.touched |= {row.lora_id, values["lora_id"]}
        self.unit.changed("lora", values["lora_id"], "changed", lora_id=values["lora_id"])
        if seen.companions is not None:
            self.companions.append((row.id, seen))

    def _stat_values(self, seen: FileSeen) -> dict[str, object]:
        stat = seen.stat
        return {
            "device": stat.device,
            "inode": stat.inode,
            "nlink": stat.nlink,
            "size": stat.size,
            "mtime_ns": stat.mtime_ns,
            "placeholder": int(seen.placeholder),
            "derived_version": self.version,
        }

    def _path_values(self, seen: FileSeen) -> dict[str, object]:
        path = clean_text(seen.rel.decode("utf-8", "surrogateescape"))
        folder, base = posixpath.split(path)
        name, ext = posixpath.splitext(base)
        return {
            "path_raw": seen.rel,
            "path": path,
            "folder": folder,
            "name": name,
            "name_key": fold(name),
            "ext": ext.lower(),
            "a1111_key": sort_key(folder, base),
            "hidden": int(hidden_directory("/" + folder)),
        }

    def _facts_values(self, facts: FileFacts) -> dict[str, object]:
        return {
            "header_id": self.headers[facts.header.digest][0] if facts.header else None,
            "quick_key": facts.quick_key,
            "tail": facts.tail,
            "data_size": facts.data_size,
            "cause": facts.cause,
        }

    def _kind(self, facts: FileFacts | None) -> str:
        return self.headers[facts.header.digest][1] if facts and facts.header else NO_HEADER_KIND

    def _replacement(self, row: Row[Any], seen: FileSeen, facts: FileFacts) -> int:
        """Give a path whose weights changed a provisional lora of its own that names what it replaces."""
        identity = f"new:{row.id}"
        provisional = self.unit.conn.execute(select(LORA.c.id).where(LORA.c.identity == identity)).scalar()
        if provisional is not None:
            return int(provisional)
        (lora_id,) = self.unit.allocate("lora", 1)
        values = _lora_values(lora_id, identity, row.id, row.name, seen, self.unit.now)
        header = self._facts_values(facts)["header_id"]
        self.unit.conn.execute(
            insert(LORA).values(**values, kind=self._kind(facts), header_id=header, replaces_id=row.lora_id)
        )
        self.unit.changed("lora", lora_id, "added", lora_id=lora_id)
        return lora_id

    def _insert_fresh(self) -> None:
        if not self.fresh:
            return
        known = self._loras_by_quick_key()
        file_ids = self.unit.allocate("file", len(self.fresh))
        lora_ids = iter(self.unit.allocate("lora", len(self.fresh)))
        files, loras, twin_of = [], [], {}
        for file_id, (observation, twin) in zip(file_ids, self.fresh, strict=True):
            seen, facts = observation.seen, observation.facts
            paths = self._path_values(seen)
            header_id = None
            values: dict[str, object] = {"header_id": None, "quick_key": None, "tail": None, "data_size": None, "cause": None}
            if facts is not None:
                values = self._facts_values(facts)
            if twin is not None:
                values = {name: getattr(twin, name) for name in (*values, "hash_state", "hashed_at", "verified", "claims")}
                lora_id = twin.lora_id
                twin_of[file_id] = twin.id
                self.touched.add(lora_id)
                self.unit.changed("lora", lora_id, "changed", lora_id=lora_id)
            elif facts is not None and facts.quick_key in known:
                lora_id = known[facts.quick_key]
                self.touched.add(lora_id)
                self.unit.changed("lora", lora_id, "changed", lora_id=lora_id)
            else:
                lora_id = next(lora_ids)
                header_id = values["header_id"]
                loras.append(
                    {
                        **_lora_values(lora_id, f"new:{file_id}", file_id, str(paths["name"]), seen, self.unit.now),
                        "kind": self._kind(facts),
                        "header_id": header_id,
                    }
                )
                self.unit.changed("lora", lora_id, "added", lora_id=lora_id)
            files.append(
                {
                    "id": file_id,
                    "root_id": self.root.id,
                    "state": "present",
                    "state_since": self.unit.now,
                    "first_seen": self.unit.now,
                    "hash_priority": 0,
                    "hash_state": _hash_state(seen),
                    "hashed_at": None,
                    "verified": 0,
                    "claims": None,
                    "lora_id": lora_id,
                    **self._stat_values(seen),
                    **paths,
                    **values,
                }
            )
            if seen.companions:
                self.companions.append((file_id, seen))
            if facts is not None and facts.problems:
                self.problems.append((file_id, str(paths["path"]), facts.problems))
        if loras:
            self.unit.conn.execute(insert(LORA), loras)
        self.unit.conn.execute(insert(FILE), files)
        if twin_of:
            self._copy_digests(twin_of)

    def _loras_by_quick_key(self) -> dict[bytes, int]:
        keys = [o.facts.quick_key for o, _ in self.fresh if o.facts is not None and o.facts.quick_key is not None]
        found: dict[bytes, int] = {}
        for part in in_chunks(keys):
            query = (
                select(FILE.c.quick_key, FILE.c.lora_id)
                .where(FILE.c.quick_key.in_(part), FILE.c.verified == 1)
                .order_by(FILE.c.id)
            )
            for key, lora_id in self.unit.conn.execute(query):
                found.setdefault(key, lora_id)
        return found

    def _copy_digests(self, twin_of: dict[int, int]) -> None:
        rows = []
        for file_id, twin_id in twin_of.items():
            query = select(DIGEST.c.kind, DIGEST.c.value).where(DIGEST.c.file_id == twin_id)
            rows += [{"file_id": file_id, "kind": kind, "value": value} for kind, value in self.unit.conn.execute(query)]
        if rows:
            self.unit.conn.execute(insert(DIGEST), rows)

    def _write_companions(self) -> None:
        for part in in_chunks([file_id for file_id, _ in self.companions]):
            self.unit.conn.execute(delete(COMPANION).where(COMPANION.c.file_id.in_(part)))
        rows = [
            {"file_id": file_id, "name": c.name, "name_raw": c.name_raw, "kind": c.kind, "family": c.family}
            for file_id, seen in self.companions
            for c in seen.companions or ()
        ]
        if rows:
            self.unit.conn.execute(insert(COMPANION), rows)


def _hash_state(seen: FileSeen) -> str:
    return "skipped" if seen.placeholder else "pending"


def _lora_values(
    lora_id: int, identity: str, file_id: int, name: str, seen: FileSeen, now: int
) -> dict[str, object]:
    return {
        "id": lora_id,
        "identity": identity,
        "primary_file_id": file_id,
        "files": 1,
        "files_present": 1,
        "name": name,
        "name_key": fold(name),
        "size": seen.stat.size,
        "mtime_ns": seen.stat.mtime_ns,
        "first_seen": now,
    }
