"""What hashing reads and writes: the queue of files to hash, results, failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, select, update

from registry.catalog import tables
from registry.catalog.links import tell_siblings
from registry.catalog.loras import attach
from registry.catalog.notes_waiting import take_waiting
from registry.catalog.problems import replace_problems
from registry.formats.packing import pack_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit
    from registry.views import FileStat, Note

_TABLES = tables.TABLES
FILE, DIGEST, ROOT = _TABLES["file"], _TABLES["digest"], _TABLES["root"]
# Wanted by somebody, the usual, and what is only looked at again when nothing else is left.
PRIORITIES = (1, 0, -1)


class HashTask(NamedTuple):
    """A file that waits to be hashed."""

    file_id: int
    root_id: int
    rel: bytes
    size: int
    mtime_ns: int
    priority: int


class Backlog(NamedTuple):
    """How much hashing is left: files and bytes, and how many files are done."""

    files: int
    size: int
    done: int


def next_to_hash(  # noqa: PLR0913 - each narrows the queue, and all are named
    conn: Connection,
    machine_id: str,
    *,
    exclude: Collection[int],
    limit: int,
    root_id: int | None = None,
    wanted: bool = False,
) -> list[HashTask]:
    """Return the next files this machine should hash: wanted ones first, then small ones first.

    `exclude` are files already being hashed. With `root_id` only files of that root are returned, with
    `wanted` only those that somebody looks at.
    """
    tasks: list[HashTask] = []
    # The index holds the queue of each priority by size; one query for all would sort the whole queue.
    for priority in PRIORITIES[:1] if wanted else PRIORITIES:
        query = (
            select(
                FILE.c.id, FILE.c.root_id, FILE.c.path_raw, FILE.c.size, FILE.c.mtime_ns, FILE.c.hash_priority
            )
            .join(ROOT, ROOT.c.id == FILE.c.root_id)
            .where(
                FILE.c.hash_state == "pending",
                FILE.c.state == "present",
                FILE.c.hash_priority == priority,
                ROOT.c.machine_id == machine_id,
                ROOT.c.removed_at.is_(None),
            )
            .order_by(FILE.c.size, FILE.c.root_id, FILE.c.id)
            .limit(limit + len(exclude))
        )
        if root_id is not None:
            query = query.where(FILE.c.root_id == root_id)
        found = [HashTask(*row) for row in conn.execute(query)]
        tasks += [task for task in found if task.file_id not in exclude]
        if len(tasks) >= limit:
            break
    return tasks[:limit]


def backlog(conn: Connection, machine_id: str | None = None) -> Backlog:
    """Return what is left to hash, of one machine or of all."""
    query = select(FILE.c.hash_state, func.count(), func.coalesce(func.sum(FILE.c.size), 0)).where(
        FILE.c.state == "present", FILE.c.hash_state.in_(("pending", "done"))
    )
    if machine_id is not None:
        query = query.where(FILE.c.root_id.in_(select(ROOT.c.id).where(ROOT.c.machine_id == machine_id)))
    counts = {
        state: (files, int(size)) for state, files, size in conn.execute(query.group_by(FILE.c.hash_state))
    }
    pending = counts.get("pending", (0, 0))
    return Backlog(*pending, done=counts.get("done", (0, 0))[0])


def want_hashes(unit: Unit, lora_id: int) -> None:
    """Hash the files of a lora before all others, because somebody looks at it."""
    where = (FILE.c.lora_id == lora_id) & (FILE.c.hash_state == "pending") & (FILE.c.hash_priority < 1)
    unit.conn.execute(update(FILE).where(where).values(hash_priority=1))


def record_hashes(  # noqa: PLR0913, PLR0917 - the columns of one result
    unit: Unit,
    file_id: int,
    stat: FileStat,
    identity: str,
    digests: Mapping[str, str],
    claims: Sequence[object],
    problems: Sequence[Note],
) -> bool:
    """Store the hashes of a file and give it its lora; return False if the file is another one by now.

    `stat` is what the file was when it was hashed: a row that says otherwise waits for its next turn.
    """
    row = unit.conn.execute(select(FILE).where(FILE.c.id == file_id)).first()
    if row is None or (row.size, row.mtime_ns) != (stat.size, stat.mtime_ns):
        return False
    lora_id = attach(unit, file_id, identity)
    unit.conn.execute(
        update(FILE)
        .where(FILE.c.id == file_id)
        .values(
            hash_state="done", hash_priority=0, hashed_at=unit.now, verified=1, claims=pack_json(list(claims))
        )
    )
    unit.conn.execute(delete(DIGEST).where(DIGEST.c.file_id == file_id))
    unit.insert(
        DIGEST, [{"file_id": file_id, "kind": kind, "value": value} for kind, value in digests.items()]
    )
    replace_problems(unit, "hash", row.root_id, [(file_id, row.path, problems)])
    if "sha256" in digests:
        tell_siblings(unit, digests["sha256"])
    take_waiting(unit, file_id, lora_id, identity, digests.get("sha256"))
    return True


def record_hash_failure(
    unit: Unit, file_id: int, problem: Note, *, size: int | None = None, mtime_ns: int | None = None
) -> None:
    """Note why a file could not be hashed; the next scan of its root has it tried again.

    With `size` and `mtime_ns` nothing is noted if the file is another one by now, which waits for its turn.
    """
    row = unit.conn.execute(select(FILE).where(FILE.c.id == file_id)).first()
    if row is None or (size is not None and (row.size, row.mtime_ns) != (size, mtime_ns)):
        return
    unit.conn.execute(update(FILE).where(FILE.c.id == file_id).values(hash_state="failed", hash_priority=0))
    replace_problems(unit, "hash", row.root_id, [(file_id, row.path, [problem])])
    unit.changed("lora", row.lora_id, "changed", lora_id=row.lora_id)


def retry_failed(unit: Unit, root_id: int) -> int:
    """Queue the files of a root again whose hashing failed."""
    where = (FILE.c.root_id == root_id) & (FILE.c.hash_state == "failed")
    return unit.conn.execute(update(FILE).where(where).values(hash_state="pending")).rowcount
