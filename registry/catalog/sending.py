"""Which file is meant when the bytes of a lora are asked for, and why none can be sent."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, select

from registry.catalog import tables
from registry.catalog.digests import stored_digests
from registry.catalog.keys import fold
from registry.catalog.lookup import by_hash, looks_like_hash, resolve
from registry.catalog.reading import file_place
from registry.catalog.sidecars import is_hashed
from registry.errors import Conflict, NotFound, UnreadableFile
from registry.formats.packing import clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from registry.errors import RegistryError

_TABLES = tables.TABLES
FILE, LORA, MACHINE, MOUNT, ROOT = (_TABLES[name] for name in ("file", "lora", "machine", "mount", "root"))


class Sendable(NamedTuple):
    """A file that may be sent, as the catalog knows it: below `mount` on this machine at `rel`.

    `path` is `rel` fit for showing. An `inode` of `None` is one that is not compared. `sha256` is `None`
    until the file is hashed. With `follow_out` links may lead out of all roots.
    """

    file_id: int
    lora_id: int
    mount: bytes
    rel: bytes
    path: str
    size: int
    mtime_ns: int
    inode: int | None
    follow_out: bool
    sha256: str | None

    @property
    def name(self) -> str:
        """The name of the file without its folder."""
        return self.path.rpartition("/")[2]


def files_to_send(conn: Connection, reference: str, machine_id: str) -> list[Sendable]:
    """Return the files that a reference means and this machine may send, in the order to try them.

    A hash means the files that have it, a path the file that is there, and no others; any other reference
    means all files of its lora, those that are called so before the others. Sent is what is present, lies on
    this machine and is a whole safetensors file with a header that was read.

    Raises NotFound, Ambiguous and BadRequest as `resolve` does; NotFound for files that are gone, Conflict
    for those that cannot be reached now, UnreadableFile for those that did not pass the format check.
    """
    lora_id = resolve(conn, reference, machine_id)
    query = (
        select(
            FILE,
            LORA.c.primary_file_id,
            ROOT.c.removed_at,
            ROOT.c.follow_out,
            ROOT.c.ignore_inode,
            ROOT.c.machine_id,
            MACHINE.c.name.label("machine"),
            MOUNT.c.path_raw.label("mount"),
        )
        .join(LORA, LORA.c.id == FILE.c.lora_id)
        .join(ROOT, ROOT.c.id == FILE.c.root_id)
        .join(MACHINE, MACHINE.c.id == ROOT.c.machine_id)
        .outerjoin(MOUNT, and_(MOUNT.c.root_id == FILE.c.root_id, MOUNT.c.machine_id == machine_id))
        .where(FILE.c.lora_id == lora_id)
    )
    rows = conn.execute(query).all()
    hashes = _by_hash(conn, reference)
    meant = _meant(rows, reference, hashes)
    objections = [_objection(row, by_hash=hashes is not None) for row in meant]
    sent = [row for row, objection in zip(meant, objections, strict=True) if objection is None]
    if not meant:
        raise NotFound(f"no file has {reference[:200]!r} any more", remedy="ask for its lora by name or id")
    if not sent and objections[0] is not None:
        raise objections[0]
    digests = stored_digests(conn, [row.id for row in sent])
    return [_sendable(row, digests.get(row.id, {}).get("sha256"), machine_id) for row in sent]


def _by_hash(conn: Connection, reference: str) -> set[int | None] | None:
    """Return the files that have a hash; `None` for a reference that is none."""
    text = clean_text(reference.strip())
    if not looks_like_hash(text):
        return None
    hits = by_hash(conn, text[5:] if text.lower().startswith("hash:") else text)
    return {hit.file_id for hit in hits} if hits else None


def _meant(rows: Sequence[Row[Any]], reference: str, hashes: set[int | None] | None) -> list[Row[Any]]:
    key = fold(clean_text(reference.strip()))

    def place(row: Row[Any]) -> tuple[object, ...]:
        called = key in {fold(row.name), fold(row.path.rpartition("/")[2])}
        return not called, file_place(row.primary_file_id, row)

    found = sorted(rows, key=place)
    if hashes is not None:
        return [row for row in found if row.id in hashes]
    return [row for row in found if _is_at(row, reference)] or found


def _is_at(row: Row[Any], reference: str) -> bool:
    """Whether a reference is the path of a file, below its root or on this machine."""
    rel = os.fsdecode(row.path_raw)
    # As it stands first: names may begin or end with blanks.
    for text in dict.fromkeys((reference, reference.strip())):
        if rel in {text.strip("/"), text.replace("\\", "/").strip("/")}:
            return True
        if row.mount is not None:
            base = os.fsdecode(row.mount).rstrip(os.sep)
            if os.path.normcase(text) == os.path.normcase(base + os.sep + rel.replace("/", os.sep)):
                return True
    return False


def _objection(row: Row[Any], *, by_hash: bool) -> RegistryError | None:
    """Return why a file is not sent, if it is not."""
    if row.state == "missing" or row.removed_at is not None:
        since = datetime.fromtimestamp(row.state_since / 1000, UTC).strftime("%Y-%m-%d")
        return NotFound(f"{row.path} is missing since {since}", remedy="scan its root if it is there again")
    for holds, what, remedy in (
        (row.state != "present", "cannot be reached now", "mount its drive and scan the root"),
        (row.mount is None, f"lies on the machine {row.machine}", "ask the server there"),
        (row.placeholder, "has its bytes in a cloud", "let the cloud fetch the file first"),
    ):
        if holds:
            return Conflict(f"{row.path} {what}", remedy=remedy)
    if row.cause is not None or row.header_id is None:
        return UnreadableFile(
            f"{row.path} did not pass the format check ({row.cause or 'its header was not read'})",
            remedy="only whole safetensors files are sent; its problems tell what is wrong",
        )
    if by_hash and not is_hashed(row.verified, row.hash_state):
        return Conflict(f"{row.path} changed and was not hashed since", remedy="ask again when it is hashed")
    return None


def _sendable(row: Row[Any], sha256: str | None, machine_id: str) -> Sendable:
    # Another machine sees other inodes; 0 is one that is not known.
    comparable = row.inode and not row.ignore_inode and row.machine_id == machine_id
    return Sendable(
        file_id=row.id,
        lora_id=row.lora_id,
        mount=row.mount,
        rel=row.path_raw,
        path=row.path,
        size=row.size,
        mtime_ns=row.mtime_ns,
        inode=row.inode if comparable else None,
        follow_out=bool(row.follow_out),
        sha256=sha256 if is_hashed(row.verified, row.hash_state) else None,
    )
