"""What we wrote beside files for other tools, so that it is not taken for what these tools say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, cast

from sqlalchemy import and_, delete, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.formats import ours
from registry.formats.packing import pack_json, unpack_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit
    from registry.told import SidecarFacts

_TABLES = tables.TABLES
WRITTEN, FILE, MOUNT = (_TABLES[name] for name in ("written", "file", "mount"))


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
    """
    found: dict[tuple[int, str], Ours] = {}
    beside = FILE.alias("beside")
    query = (
        select(beside.c.id, WRITTEN.c.family, WRITTEN.c.ours, WRITTEN.c.sha256)
        .select_from(
            beside.join(FILE, FILE.c.lora_id == beside.c.lora_id).join(
                WRITTEN, WRITTEN.c.file_id == FILE.c.id
            )
        )
        .order_by(beside.c.id, WRITTEN.c.file_id)
    )
    for part in in_chunks(list(file_ids)):
        for file_id, family, packed, sha256 in conn.execute(query.where(beside.c.id.in_(part))):
            before = found.get((file_id, family), Ours({}, frozenset()))
            facts = _united(before.facts, cast("dict[str, list[str]]", unpack_json(packed)))
            found[file_id, family] = Ours(facts, before.whole | {sha256})
    return found


def _united(some: Mapping[str, list[str]], more: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {
        name: list(dict.fromkeys((*some.get(name, ()), *more.get(name, ()))))
        for name in dict.fromkeys((*some, *more))
    }


def put_written(unit: Unit, file_id: int, family: str, wrote: Wrote | None) -> Wrote | None:
    """Store what is written now, `None` for nothing, in place of what was; return what was."""
    where = and_(WRITTEN.c.file_id == file_id, WRITTEN.c.family == family)
    row = unit.conn.execute(select(WRITTEN).where(where)).first()
    unit.conn.execute(delete(WRITTEN).where(where))
    if wrote is not None:
        values = {**wrote._asdict(), "ours": pack_json(wrote.ours)}
        unit.insert(WRITTEN, [{"file_id": file_id, "family": family, **values}])
    if row is None:
        return None
    kept = cast("dict[str, object]", unpack_json(row.ours))
    return Wrote(row.tool, row.name_raw, row.sha256, kept, row.at)


def written_paths(conn: Connection, machine_id: str) -> list[str]:
    """Return the paths on this machine of all that we wrote beside files, in order; some may be gone."""
    query = (
        select(MOUNT.c.path_raw, FILE.c.path_raw, WRITTEN.c.name_raw)
        .join(FILE, FILE.c.root_id == MOUNT.c.root_id)
        .join(WRITTEN, WRITTEN.c.file_id == FILE.c.id)
        .where(MOUNT.c.machine_id == machine_id)
    )
    found = []
    for mount, rel, name in conn.execute(query):
        folder = os.fsdecode(rel.rpartition(b"/")[0]).replace("/", os.sep)
        found.append(os.path.join(os.fsdecode(mount), folder, os.fsdecode(name)))  # noqa: PTH118 - raw bytes
    return sorted(found)
