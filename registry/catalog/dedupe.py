"""Duplicates: copies with the same bytes, and files with the same weights under other headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Text, and_, case, cast, func, literal, select

from registry.catalog import tables
from registry.catalog.copies import Link, Stored, copies, reclaimable
from registry.catalog.keys import in_chunks
from registry.catalog.reading import file_views
from registry.errors import BadRequest
from registry.formats.packing import clean_text
from registry.hashing.lookup import NOTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Select

    from registry.views import FileView

_TABLES = tables.TABLES
FILE, DIGEST, ROOT, MOUNT = (_TABLES[name] for name in ("file", "digest", "root", "mount"))
KINDS = {"same_bytes": "sha256", "same_weights": "data_sha256", "same_tensors": "tensor_hash"}


# Kind -> the digest that no group of it may share as a whole: such a group is listed under the kind before.
_STRONGER = {"same_weights": "sha256", "same_tensors": "data_sha256"}
_SEPARATOR = literal(":")
# Files of one inode are one copy. Where it is not known each path counts as one, until it is looked at.
_COPY = case(
    (
        and_(FILE.c.inode != 0, ROOT.c.ignore_inode == 0),
        ROOT.c.machine_id + _SEPARATOR + cast(FILE.c.device, Text) + _SEPARATOR + cast(FILE.c.inode, Text),
    ),
    else_=cast(FILE.c.id, Text),
)


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Files that share a hash, of at least two copies; the first is one to keep and never a symlink.

    Behind each copy stand its `links`: paths that lead to the same file, which are no copies. `reclaimable`
    bytes are free for sure once all copies but one are deleted.
    """

    kind: str
    value: str
    files: list[FileView]
    links: list[Link]
    reclaimable: int


class _Members(NamedTuple):
    value: str
    files: list[Stored]


def duplicates(
    conn: Connection, kind: str, machine_id: str, *, limit: int = 100, after: str = ""
) -> list[DuplicateGroup]:
    """Return groups of present files of one kind of sameness in order of their hash; fewer only at the end.

    `same_bytes`: equal files. `same_weights`: equal data sections whose headers differ. `same_tensors`: the
    same named tensors in another order. A group is listed under the strongest kind only. Hashes of nothing
    group nothing, and links to one file are one copy. Raises BadRequest for another kind.
    """
    if kind not in KINDS:
        raise BadRequest(
            f"there are no duplicates of the kind {kind!r}", remedy=f"kinds are {', '.join(KINDS)}"
        )
    found: list[DuplicateGroup] = []
    while len(found) < limit:
        values = conn.execute(_values(kind, after).limit(limit)).scalars().all()
        for part in in_chunks(values):
            found += _groups(conn, kind, list(part), machine_id)
        if len(values) < limit:
            break
        after = values[-1]
    return found[:limit]


def loras_of_files(conn: Connection, file_ids: Sequence[int]) -> dict[int, int]:
    """Return the lora of each file that there is."""
    found: dict[int, int] = {}
    for part in in_chunks(file_ids):
        rows = conn.execute(select(FILE.c.id, FILE.c.lora_id).where(FILE.c.id.in_(part)))
        found.update((row.id, row.lora_id) for row in rows)
    return found


def _values(kind: str, after: str) -> Select[Any]:
    """Return the query for the hashes that two or more copies share, as far as the catalog knows."""
    query = (
        select(DIGEST.c.value)
        .join(FILE, FILE.c.id == DIGEST.c.file_id)
        .join(ROOT, ROOT.c.id == FILE.c.root_id)
        .where(DIGEST.c.kind == KINDS[kind], FILE.c.state == "present", DIGEST.c.value > clean_text(after))
        .where(DIGEST.c.value.not_in(NOTHING))
        .group_by(DIGEST.c.value)
        .having(func.count(_COPY.distinct()) > 1)
        .order_by(DIGEST.c.value)
    )
    if kind not in _STRONGER:
        return query
    other = DIGEST.alias("other")
    same_file = (other.c.file_id == DIGEST.c.file_id) & (other.c.kind == _STRONGER[kind])
    return query.join(other, same_file).having(func.count(other.c.value.distinct()) > 1)


def _groups(conn: Connection, kind: str, values: list[str], machine_id: str) -> list[DuplicateGroup]:
    together = {value: copies(files, machine_id) for value, files in _members(conn, kind, values, machine_id)}
    ids = [file_id for group in together.values() if len(group) > 1 for copy in group for file_id in copy.ids]
    views: dict[int, FileView] = {}
    for part in in_chunks(ids):
        views.update({key: found[0] for key, found in file_views(conn, FILE.c.id, part, machine_id).items()})
    return [
        DuplicateGroup(
            kind,
            value,
            [views[file_id] for copy in group for file_id in copy.ids],
            [link for copy in group for link in copy.links()],
            reclaimable(group),
        )
        for value, group in together.items()
        if len(group) > 1
    ]


def _members(conn: Connection, kind: str, values: list[str], machine_id: str) -> list[_Members]:
    query = (
        select(
            DIGEST.c.value,
            FILE.c.id,
            FILE.c.size,
            ROOT.c.machine_id,
            FILE.c.device,
            FILE.c.inode,
            FILE.c.nlink,
            FILE.c.path_raw,
            MOUNT.c.path_raw,
            ROOT.c.ignore_inode,
        )
        .join(FILE, FILE.c.id == DIGEST.c.file_id)
        .join(ROOT, ROOT.c.id == FILE.c.root_id)
        .outerjoin(MOUNT, and_(MOUNT.c.root_id == FILE.c.root_id, MOUNT.c.machine_id == machine_id))
        .where(DIGEST.c.kind == KINDS[kind], DIGEST.c.value.in_(values), FILE.c.state == "present")
        .order_by(DIGEST.c.value, FILE.c.first_seen, FILE.c.id)
    )
    found: dict[str, list[Stored]] = {}
    for value, *rest in conn.execute(query):
        found.setdefault(value, []).append(Stored(*rest))
    return [_Members(value, files) for value, files in found.items()]
