"""What was read in the sidecars beside files, and which of them are to be read (again)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import and_, delete, exists, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.catalog.problems import replace_problems
from registry.formats.packing import unpack_json
from registry.told import Licence, RemoteImage, SidecarFacts, UserFacts
from registry.views import Note
from registry.wire.companions import SIDECAR as KIND

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Row, Select

    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
SIDECAR, COMPANION, FILE = (_TABLES[name] for name in ("sidecar", "companion", "file"))
STAGE = "sidecar"


class SidecarSeen(NamedTuple):
    """A sidecar beside a present file: what it was when it was read, `None` where it was not yet."""

    file_id: int
    rel: bytes
    name_raw: bytes
    name: str
    family: str
    size: int | None
    mtime_ns: int | None
    rules: int | None

    @property
    def key(self) -> tuple[int, bytes]:
        """What tells it from all others."""
        return self.file_id, self.name_raw


class SidecarRead(NamedTuple):
    """What was read in a sidecar, with what `stat` said of it; `facts` are packed."""

    beside: SidecarSeen
    size: int
    mtime_ns: int
    tool: str | None
    facts: bytes | None
    problem: str | None


def any_sidecars(conn: Connection, root_id: int) -> bool:
    """Whether any present file of a root has a sidecar."""
    return conn.execute(_BESIDE.where(FILE.c.root_id == root_id).limit(1)).first() is not None


def sidecars_after(conn: Connection, root_id: int, file_id: int, limit: int) -> list[SidecarSeen]:
    """Return the sidecars of the first files of a root with ids above `file_id`, by file id.

    At least those of one file, and no more than `limit` beside those of the last file.
    """
    query = _BESIDE.where(FILE.c.root_id == root_id, FILE.c.id > file_id).order_by(FILE.c.id).limit(limit)
    found = [SidecarSeen(*row) for row in conn.execute(query)]
    if len(found) < limit:
        return found
    last = found[-1].file_id
    whole = _BESIDE.where(FILE.c.id == last)
    return [one for one in found if one.file_id != last] + [SidecarSeen(*row) for row in conn.execute(whole)]


def sidecars_at(conn: Connection, root_id: int, rels: Sequence[bytes]) -> list[SidecarSeen]:
    """Return the sidecars of the files of a root at these paths."""
    found: list[SidecarSeen] = []
    for part in in_chunks(rels):
        query = _BESIDE.where(FILE.c.root_id == root_id, FILE.c.path_raw.in_(part))
        found += [SidecarSeen(*row) for row in conn.execute(query)]
    return found


_SAME = and_(SIDECAR.c.file_id == COMPANION.c.file_id, SIDECAR.c.name_raw == COMPANION.c.name_raw)
_BESIDE: Select[Any] = (
    select(
        FILE.c.id,
        FILE.c.path_raw,
        COMPANION.c.name_raw,
        COMPANION.c.name,
        COMPANION.c.family,
        SIDECAR.c.size,
        SIDECAR.c.mtime_ns,
        SIDECAR.c.rules,
    )
    .select_from(COMPANION.join(FILE, FILE.c.id == COMPANION.c.file_id).outerjoin(SIDECAR, _SAME))
    .where(COMPANION.c.kind == KIND, FILE.c.state == "present")
)


def write_sidecars(unit: Unit, root_id: int, found: Sequence[SidecarRead], rules: int) -> None:
    """Store what was read, by which version of the rules; what says the same as before changes no lora."""
    known = _known(unit.conn, [read.beside.file_id for read in found])
    files = _files(unit.conn, {read.beside.file_id for read in found})
    # A file that was taken away meanwhile, or whose sidecar was, needs none.
    found = [read for read in found if read.beside.file_id in files]
    for read in found:
        key = and_(SIDECAR.c.file_id == read.beside.file_id, SIDECAR.c.name_raw == read.beside.name_raw)
        unit.conn.execute(delete(SIDECAR).where(key))
    unit.insert(SIDECAR, [_values(read, rules, unit.now) for read in found])
    for read in found:
        if _said(known.get(read.beside.key)) == (read.facts, read.problem):
            continue
        lora_id = files[read.beside.file_id].lora_id
        unit.changed("lora", lora_id, "changed", lora_id=lora_id)
    _settle_problems(unit, root_id, files)


def forget_sidecars(unit: Unit, root_id: int, file_ids: Sequence[int]) -> None:
    """Forget what was read in sidecars that lie beside these files no longer."""
    files: dict[int, Row[Any]] = {}
    for part in in_chunks(file_ids):
        where = SIDECAR.c.file_id.in_(part) & ~exists().where(_SAME)
        gone = set(unit.conn.execute(select(SIDECAR.c.file_id).where(where)).scalars())
        if gone:
            unit.conn.execute(delete(SIDECAR).where(where))
            files |= _files(unit.conn, gone)
    if files:
        _settle_problems(unit, root_id, files)


def sidecars_of(conn: Connection, file_ids: Iterable[int]) -> dict[int, list[Row[Any]]]:
    """Return the rows of the sidecars of files, by file and in the order of their names."""
    found: dict[int, list[Row[Any]]] = {}
    for part in in_chunks(list(file_ids)):
        query = select(SIDECAR).where(SIDECAR.c.file_id.in_(part)).order_by(SIDECAR.c.file_id, SIDECAR.c.name)
        for row in conn.execute(query):
            found.setdefault(row.file_id, []).append(row)
    return found


def unpack_facts(packed: bytes) -> SidecarFacts:
    """Return facts that were packed."""
    found = dict(cast("Mapping[str, Any]", unpack_json(packed)))
    licence = dict(found["licence"])
    if licence["commercial_use"] is not None:
        licence["commercial_use"] = tuple(licence["commercial_use"])
    found.update(
        trigger_words=tuple(found["trigger_words"]),
        tags=tuple(found["tags"]),
        images=tuple(RemoteImage(**image) for image in found["images"]),
        licence=Licence(**licence),
        user=UserFacts(**found["user"]),
    )
    return SidecarFacts(**found)


def verdict(claimed: Mapping[str, str], computed: Mapping[str, str]) -> str:
    """Return whether a sidecar was written for a file with these hashes.

    `unsaid` if it names no hash, `unchecked` if none of those it names is known of the file yet.
    """
    if not claimed:
        return "unsaid"
    both = claimed.keys() & computed.keys()
    if not both:
        return "unchecked"
    return "match" if all(claimed[name] == computed[name] for name in both) else "differs"


def _values(read: SidecarRead, rules: int, now: int) -> dict[str, object]:
    return {
        "file_id": read.beside.file_id,
        "name_raw": read.beside.name_raw,
        "name": read.beside.name,
        "family": read.beside.family,
        "size": read.size,
        "mtime_ns": read.mtime_ns,
        "rules": rules,
        "read_at": now,
        "tool": read.tool,
        "facts": read.facts,
        "problem": read.problem,
    }


def _known(conn: Connection, file_ids: Sequence[int]) -> dict[tuple[int, bytes], Row[Any]]:
    rows = sidecars_of(conn, dict.fromkeys(file_ids)).values()
    return {(row.file_id, row.name_raw): row for some in rows for row in some}


def _said(row: Row[Any] | None) -> tuple[bytes | None, str | None]:
    return (None, None) if row is None else (row.facts, row.problem)


def _files(conn: Connection, file_ids: Iterable[int]) -> dict[int, Row[Any]]:
    found: dict[int, Row[Any]] = {}
    for part in in_chunks(sorted(file_ids)):
        query: Select[Any] = select(FILE.c.id, FILE.c.lora_id, FILE.c.path)
        for row in conn.execute(query.where(FILE.c.id.in_(part))):
            found[row.id] = row
    return found


def _settle_problems(unit: Unit, root_id: int, files: Mapping[int, Row[Any]]) -> None:
    """Make the problems of files those that their sidecars have now."""
    sidecars = sidecars_of(unit.conn, files)
    found = []
    for file_id, file in files.items():
        wrong = [f"{row.name}: {row.problem}" for row in sidecars.get(file_id, ()) if row.problem]
        notes = [Note("bad-sidecar", "; ".join(wrong))] if wrong else []
        found.append((file_id, str(file.path), notes))
    replace_problems(unit, STAGE, root_id, found)
