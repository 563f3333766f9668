"""Finding loras by reference: an id, a hash or its beginning, a path, a name.

A reference of bare digits or `id:N` is an id; `hash:H`, or 8 or more hex digits with a letter among them, is
any hash by its beginning; everything else is a path or a name.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from registry.catalog import tables
from registry.catalog.keys import fold, in_chunks
from registry.catalog.loras import current_id
from registry.errors import Ambiguous, BadRequest, NotFound
from registry.formats.packing import clean_text
from registry.hashing.lookup import is_hash_of_nothing, parse_hash_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

_TABLES = tables.TABLES
FILE, LORA, DIGEST, ROOT, MOUNT = (_TABLES[name] for name in ("file", "lora", "digest", "root", "mount"))
MAX_CANDIDATES = 50
_DIGITS = re.compile(r"(?:id:)?([0-9]{1,18})", re.IGNORECASE)
_ENDINGS = (".safetensors", ".sft", ".pt", ".ckpt", ".bin")


class HashHit(NamedTuple):
    """A lora that has a hash: which kind, its full value, and through which file, if one has it now."""

    lora_id: int
    file_id: int | None
    kind: str
    value: str


def by_hash(conn: Connection, text: str, *, limit: int = 1000) -> list[HashHit]:
    """Return what has a hash that begins with `text` (8 or more hex digits, any case, with or without `0x`).

    Hashes of nothing find nothing. Raises BadRequest for text that cannot be a hash.
    """
    prefix = parse_hash_query(text)
    if prefix is None:
        raise BadRequest(f"{text[:80]!r} is not a hash", remedy="give 8 or more hexadecimal digits")
    if is_hash_of_nothing(prefix):
        return []
    query = (
        select(FILE.c.lora_id, DIGEST.c.file_id, DIGEST.c.kind, DIGEST.c.value)
        .join(FILE, FILE.c.id == DIGEST.c.file_id)
        .where(DIGEST.c.value >= prefix, DIGEST.c.value < prefix + "g")
        .order_by(DIGEST.c.value, FILE.c.lora_id, DIGEST.c.file_id)
        .limit(limit)
    )
    hits = [HashHit(*row) for row in conn.execute(query)]
    found = {hit.lora_id for hit in hits}
    return (hits + [hit for hit in _by_identity(conn, prefix, limit) if hit.lora_id not in found])[:limit]


def _by_identity(conn: Connection, prefix: str, limit: int) -> Iterator[HashHit]:
    """Find loras by the hash that names them: of weights that were replaced no file tells it any more."""
    for name, kind in (("data:", "data_sha256"), ("file:", "sha256")):
        query = (
            select(LORA.c.id, LORA.c.identity)
            .where(LORA.c.identity >= name + prefix, LORA.c.identity < name + prefix + "g")
            .order_by(LORA.c.identity)
            .limit(limit)
        )
        for lora_id, identity in conn.execute(query):
            yield HashHit(lora_id, None, kind, identity.removeprefix(name))


def loras_of(hits: Sequence[HashHit]) -> list[int]:
    """Return the distinct loras among the hits."""
    return list(dict.fromkeys(hit.lora_id for hit in hits))


def looks_like_hash(reference: str) -> bool:
    """Whether a reference is read as a hash: `hash:H`, or 8 or more hex digits with a letter among them."""
    if reference.lower().startswith("hash:"):
        return True
    digits = parse_hash_query(reference)
    return digits is not None and (not digits.isdecimal() or not reference.strip().isdecimal())


def resolve(conn: Connection, reference: str, machine_id: str) -> int:
    """Return the id of the one lora that a reference means.

    Raises NotFound, Ambiguous with all candidates, or BadRequest for `hash:` with something else behind it.
    """
    text = clean_text(reference.strip())
    digits = _DIGITS.fullmatch(text)
    if digits:
        lora_id = current_id(conn, int(digits[1]))
        if conn.execute(select(LORA.c.id).where(LORA.c.id == lora_id)).scalar() is None:
            raise NotFound(f"there is no lora {digits[1]}")
        return lora_id
    if looks_like_hash(text):
        found = loras_of(by_hash(conn, text[5:] if text.lower().startswith("hash:") else text))
        if found or text.lower().startswith("hash:"):
            return _only(conn, found, reference)
    found = []
    # As it stands first: names may begin or end with blanks and line breaks.
    for name in dict.fromkeys((reference, reference.strip())):
        found = found or _by_path(conn, name, machine_id) or _by_name(conn, clean_text(name))
    return _only(conn, found, reference)


def _by_path(conn: Connection, text: str, machine_id: str) -> list[int]:
    """Find files by their path below any root, or by their whole path on this machine."""
    slashed = text.replace("\\", "/")
    roots = conn.execute(select(ROOT.c.id)).scalars().all()
    wanted = [(root_id, path.strip("/")) for root_id in roots for path in dict.fromkeys((text, slashed))]
    mounts = select(MOUNT.c.root_id, MOUNT.c.path_raw).where(MOUNT.c.machine_id == machine_id)
    for root_id, raw in conn.execute(mounts):
        base = os.fsdecode(raw).replace(os.sep, "/").rstrip("/") + "/"
        wanted += [
            (root_id, path[len(base) :])
            for path in dict.fromkeys((text, slashed))
            if os.path.normcase(path).startswith(os.path.normcase(base))
        ]
    found: dict[int, None] = {}
    for part in in_chunks(wanted):
        raws = {(root_id, _raw(path)) for root_id, path in part}
        query = select(FILE.c.root_id, FILE.c.path_raw, FILE.c.lora_id, FILE.c.id).where(
            FILE.c.root_id.in_(sorted({root_id for root_id, _ in raws})),
            FILE.c.path_raw.in_(sorted({raw for _, raw in raws})),
        )
        for row in conn.execute(query.order_by(FILE.c.id).limit(10 * MAX_CANDIDATES)):
            if (row.root_id, row.path_raw) in raws:
                found[row.lora_id] = None
    return list(found)


def _raw(path: str) -> bytes:
    """Return a path as the catalog keeps it; what cannot be one is nowhere."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogatepass")


def _by_name(conn: Connection, text: str) -> list[int]:
    """Find files by name, with or without extension; those spelled exactly so go before the others."""
    names = {fold(text)}
    for ending in _ENDINGS:
        if text.lower().endswith(ending):
            names.add(fold(text[: -len(ending)]))
    query = (
        select(FILE.c.lora_id, FILE.c.name, FILE.c.ext)
        .where(FILE.c.name_key.in_(sorted(names)))
        .order_by(FILE.c.id)
        .limit(10 * MAX_CANDIDATES)
    )
    rows = conn.execute(query).all()
    whole = [
        row.lora_id for row in rows if fold(row.name + row.ext) == fold(text) or fold(row.name) == fold(text)
    ]
    exact = [row.lora_id for row in rows if text in {row.name, row.name + row.ext}]
    return list(dict.fromkeys(exact or whole))


def _only(conn: Connection, found: Sequence[int], reference: str) -> int:
    if not found:
        raise NotFound(f"nothing is called {reference[:200]!r}", remedy="`loras list` shows what there is")
    if len(found) > 1:
        raise Ambiguous(
            f"{reference[:200]!r} means {len(found)} loras",
            candidates(conn, found),
            remedy="use one of the ids",
        )
    return found[0]


def candidates(conn: Connection, lora_ids: Sequence[int]) -> list[dict[str, object]]:
    """Return small descriptions that tell loras apart."""
    query = (
        select(LORA.c.id, LORA.c.name, LORA.c.identity, FILE.c.path, ROOT.c.label)
        .outerjoin(FILE, FILE.c.id == LORA.c.primary_file_id)
        .outerjoin(ROOT, ROOT.c.id == FILE.c.root_id)
        .where(LORA.c.id.in_(list(lora_ids)[:MAX_CANDIDATES]))
        .order_by(LORA.c.id)
    )
    return [
        {"id": row.id, "name": row.name, "identity": row.identity, "root": row.label, "path": row.path}
        for row in conn.execute(query)
    ]
