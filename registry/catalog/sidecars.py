"""What was read in the sidecars beside files, and which of them are to be read (again)."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import and_, bindparam, delete, exists, null, select, update

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.catalog.problems import replace_problems
from registry.catalog.written import ours_of
from registry.formats.packing import unpack_json
from registry.told import Licence, RemoteImage, SidecarAnswer, SidecarFacts, UserFacts
from registry.views import Note
from registry.wire.companions import SIDECAR as KIND

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

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
    inode: int | None
    rules: int | None

    @property
    def key(self) -> tuple[int, bytes]:
        """What tells it from all others."""
        return self.file_id, self.name_raw


class SidecarRead(NamedTuple):
    """A sidecar and what reading it gave."""

    beside: SidecarSeen
    answer: SidecarAnswer


_SAME = and_(SIDECAR.c.file_id == COMPANION.c.file_id, SIDECAR.c.name_raw == COMPANION.c.name_raw)
_THERE = SIDECAR.join(COMPANION, _SAME)
_KEY = and_(SIDECAR.c.file_id == bindparam("key_file"), SIDECAR.c.name_raw == bindparam("key_name"))
_BESIDE: Select[Any] = (
    select(
        FILE.c.id,
        FILE.c.path_raw,
        COMPANION.c.name_raw,
        COMPANION.c.name,
        COMPANION.c.family,
        SIDECAR.c.size,
        SIDECAR.c.mtime_ns,
        SIDECAR.c.inode,
        SIDECAR.c.rules,
    )
    .select_from(FILE.join(COMPANION, COMPANION.c.file_id == FILE.c.id).outerjoin(SIDECAR, _SAME))
    .where(COMPANION.c.kind == KIND, FILE.c.state == "present")
)


def sidecars_after(
    conn: Connection, root_id: int, after: bytes, before: bytes | None, limit: int
) -> list[SidecarSeen]:
    """Return sidecars of the first files of a root between two paths, both left out, in byte order of these.

    All those of each file, and no more than `limit` beside those of the last one.
    """
    found = [SidecarSeen(*row) for row in conn.execute(page_query(root_id, after, before, limit))]
    if len(found) < limit:
        return found
    last = found[-1].rel
    return [one for one in found if one.rel != last] + sidecars_at(conn, root_id, [last])


def page_query(root_id: int, after: bytes, before: bytes | None, limit: int) -> Select[Any]:
    """Return the query for a page of sidecars, which an index gives in its order."""
    where: list[ColumnElement[bool]] = [FILE.c.root_id == root_id, FILE.c.path_raw > after]
    if before is not None:
        where.append(FILE.c.path_raw < before)
    return _BESIDE.where(*where).order_by(FILE.c.path_raw).limit(limit)


def sidecars_at(conn: Connection, root_id: int, rels: Sequence[bytes]) -> list[SidecarSeen]:
    """Return the sidecars of the files of a root at these paths."""
    found: list[SidecarSeen] = []
    for part in in_chunks(rels):
        query = _BESIDE.where(FILE.c.root_id == root_id, FILE.c.path_raw.in_(part))
        found += [SidecarSeen(*row) for row in conn.execute(query)]
    return found


def write_sidecars(unit: Unit, root_id: int, found: Sequence[SidecarRead], rules: int) -> None:
    """Store what was read, by which version of the rules; what says the same as before changes no lora.

    Of files and sidecars that were taken away meanwhile nothing is stored.
    """
    file_ids = list(dict.fromkeys(read.beside.file_id for read in found))
    files, there = _files(unit.conn, file_ids), _there(unit.conn, file_ids)
    found = [read for read in found if read.beside.file_id in files and read.beside.key in there]
    known = _known(unit.conn, file_ids)
    kept = [read for read in found if read.answer.keeps and read.beside.key in known]
    new = [read for read in found if not (read.answer.keeps and read.beside.key in known)]
    if kept:
        unit.conn.execute(_KEEP, [{**_key(read), **_stamp(read, rules)} for read in kept])
    if new:
        unit.conn.execute(delete(SIDECAR).where(_KEY), [_key(read) for read in new])
        unit.insert(SIDECAR, [_values(read, rules, unit.now) for read in new])
    for read in found:
        before = known.get(read.beside.key, (None, None))
        if before != (before[0] if read.answer.keeps else _digest(read.answer), read.answer.problem):
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
    """Return the rows of the sidecars beside files, by file and in the order of their names."""
    return _rows(conn, select(SIDECAR).select_from(_THERE), file_ids)


def told_of(conn: Connection, file_ids: Iterable[int]) -> dict[int, list[tuple[Row[Any], SidecarFacts]]]:
    """Return the rows of sidecars that say something, each with what it says but for what we wrote there."""
    rows = sidecars_of(conn, file_ids)
    return _told(conn, {key: [row for row in some if row.facts is not None] for key, some in rows.items()})


def facts_of(conn: Connection, file_ids: Iterable[int]) -> dict[int, list[SidecarFacts]]:
    """Return what the sidecars beside files say but for their images and for what we wrote there.

    By file and in the order of names.
    """
    columns = (SIDECAR.c.file_id, SIDECAR.c.family, SIDECAR.c.facts, null().label("images"))
    query = select(*columns).select_from(_THERE).where(SIDECAR.c.facts.is_not(None))
    told = _told(conn, _rows(conn, query, file_ids))
    return {file_id: [facts for _, facts in some] for file_id, some in told.items()}


def _told(
    conn: Connection, rows: Mapping[int, list[Row[Any]]]
) -> dict[int, list[tuple[Row[Any], SidecarFacts]]]:
    ours = ours_of(conn, rows)
    found: dict[int, list[tuple[Row[Any], SidecarFacts]]] = {}
    for file_id, some in rows.items():
        for row in some:
            facts, mine = unpack_facts(row.facts, row.images), ours.get((file_id, row.family))
            told = facts if mine is None else mine.taken_from(facts)
            found.setdefault(file_id, []).append((row, told))
    return found


def is_hashed(verified: object, hash_state: str) -> bool:
    """Whether the digests of a file are those of its bytes, so that a hash which differs tells something."""
    return bool(verified) or hash_state == "done"


def facts_json(packed: bytes, images: bytes | None) -> dict[str, Any]:
    """Return facts that were packed as plain values, with their images."""
    found = cast("dict[str, Any]", unpack_json(packed))
    if images is not None:
        found["images"] = unpack_json(zlib.decompress(images))
    return found


def unpack_facts(packed: bytes, images: bytes | None = None) -> SidecarFacts:
    """Return facts that were packed; without `images` they have none."""
    found = facts_json(packed, images)
    licence = found["licence"]
    if licence["commercial_use"] is not None:
        licence["commercial_use"] = tuple(licence["commercial_use"])
    found.update(
        hashes=tuple(found["hashes"]),
        trigger_words=tuple(found["trigger_words"]),
        tags=tuple(found["tags"]),
        images=tuple([RemoteImage(**image) for image in found["images"]]),
        licence=Licence(**licence),
        user=UserFacts(**found["user"]),
    )
    return SidecarFacts(**found)


_KEEP = (
    update(SIDECAR)
    .where(_KEY)
    .values({name: bindparam(name) for name in ("size", "mtime_ns", "inode", "rules", "problem")})
)


def _rows(conn: Connection, query: Select[Any], file_ids: Iterable[int]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {}
    for part in in_chunks(list(file_ids)):
        some = query.where(SIDECAR.c.file_id.in_(part))
        for row in conn.execute(some.order_by(SIDECAR.c.file_id, SIDECAR.c.name, SIDECAR.c.name_raw)):
            found.setdefault(row.file_id, []).append(row)
    return found


def _key(read: SidecarRead) -> dict[str, object]:
    return {"key_file": read.beside.file_id, "key_name": read.beside.name_raw}


def _stamp(read: SidecarRead, rules: int) -> dict[str, object]:
    return {
        "size": read.answer.size,
        "mtime_ns": read.answer.mtime_ns,
        "inode": read.answer.inode,
        "rules": rules,
        "problem": read.answer.problem,
    }


def _values(read: SidecarRead, rules: int, now: int) -> dict[str, object]:
    return {
        "file_id": read.beside.file_id,
        "name_raw": read.beside.name_raw,
        "name": read.beside.name,
        "family": read.beside.family,
        "read_at": now,
        "tool": read.answer.tool,
        "facts": read.answer.facts,
        "images": read.answer.images,
        "digest": _digest(read.answer),
        "sha256": read.answer.sha256,
        **_stamp(read, rules),
    }


def _digest(answer: SidecarAnswer) -> bytes | None:
    """Return what tells whether a sidecar says the same as before, `None` if it says nothing."""
    if answer.facts is None:
        return None
    digest = hashlib.sha256(answer.facts)
    digest.update(answer.images or b"")
    return digest.digest()


def _known(
    conn: Connection, file_ids: Sequence[int]
) -> dict[tuple[int, bytes], tuple[bytes | None, str | None]]:
    found: dict[tuple[int, bytes], tuple[bytes | None, str | None]] = {}
    for part in in_chunks(file_ids):
        query: Select[Any] = select(
            SIDECAR.c.file_id, SIDECAR.c.name_raw, SIDECAR.c.digest, SIDECAR.c.problem
        )
        for file_id, name_raw, digest, problem in conn.execute(query.where(SIDECAR.c.file_id.in_(part))):
            found[file_id, name_raw] = (digest, problem)
    return found


def _there(conn: Connection, file_ids: Sequence[int]) -> set[tuple[int, bytes]]:
    """Return which sidecars lie beside files, by file and raw name."""
    found: set[tuple[int, bytes]] = set()
    for part in in_chunks(file_ids):
        query = select(COMPANION.c.file_id, COMPANION.c.name_raw)
        rows = conn.execute(query.where(COMPANION.c.file_id.in_(part), COMPANION.c.kind == KIND))
        found.update((file_id, name_raw) for file_id, name_raw in rows)
    return found


def _files(conn: Connection, file_ids: Iterable[int]) -> dict[int, Row[Any]]:
    found: dict[int, Row[Any]] = {}
    for part in in_chunks(sorted(file_ids)):
        query: Select[Any] = select(FILE.c.id, FILE.c.lora_id, FILE.c.path)
        for row in conn.execute(query.where(FILE.c.id.in_(part))):
            found[row.id] = row
    return found


def _settle_problems(unit: Unit, root_id: int, files: Mapping[int, Row[Any]]) -> None:
    """Make the problems of files those that their sidecars have now."""
    query = select(SIDECAR.c.file_id, SIDECAR.c.name, SIDECAR.c.problem).select_from(_THERE)
    bad = _rows(unit.conn, query.where(SIDECAR.c.problem.is_not(None)), files)
    found = []
    for file_id, file in files.items():
        wrong = [f"{row.name}: {row.problem}" for row in bad.get(file_id, ())]
        notes = [Note("bad-sidecar", "; ".join(wrong))] if wrong else []
        found.append((file_id, str(file.path), notes))
    replace_problems(unit, STAGE, root_id, found)
