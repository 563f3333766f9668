"""What we wrote beside files for other tools, so that it is not taken for what these tools say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, cast

from sqlalchemy import and_, delete, select, update

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.formats import ours
from registry.formats.packing import pack_json, unpack_json
from registry.wire.companions import SIDECAR

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit
    from registry.told import SidecarFacts

_TABLES = tables.TABLES
WRITTEN, FILE, MOUNT, COMPANION = (_TABLES[name] for name in ("written", "file", "mount", "companion"))


class Wrote(NamedTuple):
    """What we wrote beside a file for a tool: under which name, the SHA-256 of it, and what of it is ours.

    `ours` is JSON of `registry.formats.ours`, `at` in milliseconds since the epoch.
    """

    tool: str
    name_raw: bytes
    sha256: bytes
    ours: Mapping[str, object]
    at: int


class Ours(NamedTuple):
    """What of a sidecar is ours: digests of facts by their names, and the SHA-256 of all that we wrote."""

    facts: Mapping[str, list[str]]
    whole: frozenset[bytes]

    def taken_from(self, facts: SidecarFacts) -> SidecarFacts:
        """Return what a sidecar says but for what we wrote."""
        return ours.without(facts, self.facts)


def ours_of(conn: Connection, file_ids: Collection[int]) -> dict[tuple[int, str], Ours]:
    """Return what is ours in the sidecars beside files, by file and family; of most there is nothing.

    What was written beside one file of a lora is ours beside all of them: copies take their sidecars along.
    What was written at the path of a sidecar is ours too, whichever file it was written for.
    """
    found: dict[tuple[int, str], Ours] = {}
    if conn.execute(select(WRITTEN.c.id).limit(1)).first() is None:
        return found
    for part in in_chunks(list(file_ids)):
        rows = {(row.of, row.id): row for row in (*_of_loras(conn, part), *_at_places(conn, part))}
        for of, key in sorted(rows):
            row = rows[of, key]
            before = found.get((of, row.family), Ours({}, frozenset()))
            facts = _united(before.facts, cast("dict[str, list[str]]", unpack_json(row.ours)))
            found[of, row.family] = Ours(facts, before.whole | {row.sha256})
    return found


class _Row(NamedTuple):
    of: int
    id: int
    family: str
    ours: bytes
    sha256: bytes


_KEPT = (WRITTEN.c.id, WRITTEN.c.family, WRITTEN.c.ours, WRITTEN.c.sha256)


def _of_loras(conn: Connection, file_ids: Sequence[int]) -> Iterator[_Row]:
    """Give what was written beside any file of the loras of files."""
    beside = FILE.alias("beside")
    query = select(beside.c.id, *_KEPT).select_from(
        beside.join(FILE, FILE.c.lora_id == beside.c.lora_id).join(WRITTEN, WRITTEN.c.file_id == FILE.c.id)
    )
    for row in conn.execute(query.where(beside.c.id.in_(file_ids))):
        yield _Row(*row)


def _at_places(conn: Connection, file_ids: Sequence[int]) -> Iterator[_Row]:
    """Give what was written at the paths of the sidecars beside files."""
    places: dict[int, dict[bytes, list[int]]] = {}
    query = select(COMPANION.c.file_id, FILE.c.root_id, FILE.c.path_raw, COMPANION.c.name_raw).join(
        FILE, FILE.c.id == COMPANION.c.file_id
    )
    some = query.where(COMPANION.c.file_id.in_(file_ids), COMPANION.c.kind == SIDECAR)
    for of, root_id, rel, name in conn.execute(some):
        places.setdefault(root_id, {}).setdefault(_beside(rel, name), []).append(of)
    for root_id, paths in places.items():
        for part in in_chunks(list(paths)):
            where = and_(WRITTEN.c.root_id == root_id, WRITTEN.c.path_raw.in_(part))
            for path, *row in conn.execute(select(WRITTEN.c.path_raw, *_KEPT).where(where)):
                yield from (_Row(of, *row) for of in paths[path])


def _united(some: Mapping[str, list[str]], more: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {
        name: list(dict.fromkeys((*some.get(name, ()), *more.get(name, ()))))
        for name in dict.fromkeys((*some, *more))
    }


def put_written(unit: Unit, file_id: int, family: str, wrote: Wrote | None) -> Wrote | None:
    """Store what is written now, `None` for nothing, in place of what was; return what was.

    Nothing is stored of a file that was forgotten meanwhile.
    """
    where = and_(WRITTEN.c.file_id == file_id, WRITTEN.c.family == family)
    row = unit.conn.execute(select(WRITTEN).where(where)).first()
    unit.conn.execute(delete(WRITTEN).where(where))
    place = unit.conn.execute(select(FILE.c.root_id, FILE.c.path_raw).where(FILE.c.id == file_id)).first()
    if wrote is not None and place is not None:
        values = {
            "root_id": place.root_id,
            "path_raw": _beside(place.path_raw, wrote.name_raw),
            "file_id": file_id,
            "family": family,
            "tool": wrote.tool,
            "sha256": wrote.sha256,
            "ours": pack_json(wrote.ours),
            "at": wrote.at,
        }
        unit.insert(WRITTEN, [values])
    if row is None:
        return None
    kept = cast("dict[str, object]", unpack_json(row.ours))
    return Wrote(row.tool, _name(row.path_raw), row.sha256, kept, row.at)


def keep_written(unit: Unit, file_ids: Sequence[int]) -> None:
    """Let what was written beside files outlive them, where it was when they were seen last."""
    query = select(
        WRITTEN.c.id, WRITTEN.c.family, WRITTEN.c.path_raw, FILE.c.id, FILE.c.root_id, FILE.c.path_raw
    )
    names: dict[tuple[int, str], list[bytes]] = {}
    for part in in_chunks(file_ids):
        beside = select(COMPANION.c.file_id, COMPANION.c.family, COMPANION.c.name_raw)
        where = and_(COMPANION.c.file_id.in_(part), COMPANION.c.kind == SIDECAR)
        for file_id, family, name in unit.conn.execute(beside.where(where)):
            names.setdefault((file_id, family), []).append(name)
        joined = query.join(FILE, FILE.c.id == WRITTEN.c.file_id).where(FILE.c.id.in_(part))
        for key, family, path, file_id, root_id, rel in unit.conn.execute(joined).all():
            name, some = _name(path), names.get((file_id, family), [])
            last = name if name in some or not some else min(some)
            values = {"file_id": None, "root_id": root_id, "path_raw": _beside(rel, last)}
            unit.conn.execute(update(WRITTEN).where(WRITTEN.c.id == key).values(values))


def written_paths(conn: Connection, machine_id: str) -> list[str]:
    """Return the paths on this machine of all that we wrote beside files, in order; some may be gone.

    Beside a file that moved since there are two: where it was written, and where it would be by now.
    """
    mounts: dict[int, str] = {}
    for root_id, mount in conn.execute(
        select(MOUNT.c.root_id, MOUNT.c.path_raw).where(MOUNT.c.machine_id == machine_id)
    ):
        mounts[root_id] = os.fsdecode(mount)
    query = select(WRITTEN.c.root_id, WRITTEN.c.path_raw, FILE.c.root_id, FILE.c.path_raw)
    found = set()
    for root_id, path, now_in, rel in conn.execute(query.outerjoin(FILE, FILE.c.id == WRITTEN.c.file_id)):
        places = {(root_id, path)} | (set() if rel is None else {(now_in, _beside(rel, _name(path)))})
        for place, raw in places:
            if place in mounts:
                parts = os.fsdecode(raw).replace("/", os.sep)
                found.add(os.path.join(mounts[place], parts))  # noqa: PTH118 - raw bytes
    return sorted(found)


def _beside(rel: bytes, name: bytes) -> bytes:
    folder, slash, _ = rel.rpartition(b"/")
    return folder + slash + name


def _name(rel: bytes) -> bytes:
    return rel.rpartition(b"/")[2]
