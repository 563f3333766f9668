"""The tag dictionary and the packed runs of (tag id, count) that refer to it."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import select

from registry.catalog import tables
from registry.catalog.keys import in_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit

TAG = tables.TABLES["tag"]


def pack_tags(pairs: Iterable[tuple[int, int]]) -> bytes:
    """Pack (tag id, count) pairs as LEB128 numbers, in the given order."""
    return b"".join([_leb128(number) for pair in pairs for number in pair])


@lru_cache(maxsize=1 << 15)
def _leb128(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def unpack_tags(blob: bytes) -> list[tuple[int, int]]:
    """Return the pairs that `pack_tags` packed."""
    numbers = []
    value = shift = 0
    for byte in blob:
        value |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
        else:
            numbers.append(value)
            value = shift = 0
    return list(zip(numbers[::2], numbers[1::2], strict=True))


class TagIds:
    """Tag ids by name with a bounded memory, filled from the dictionary as needed."""

    def __init__(self, keep: int = 100_000) -> None:
        self._keep = keep
        self._ids: dict[str, int] = {}
        self._lock = threading.Lock()

    def resolve(self, unit: Unit, names: set[str]) -> Mapping[str, int]:
        """Return the id of every name, adding new ones to the dictionary."""
        with self._lock:
            known = {name: self._ids[name] for name in names & self._ids.keys()}
        missing = sorted(names - known.keys())
        if not missing:
            return known
        found: dict[str, int] = {}
        for part in in_chunks(missing):
            found.update(unit.conn.execute(select(TAG.c.name, TAG.c.id).where(TAG.c.name.in_(part))).all())
        new = [name for name in missing if name not in found]
        ids = unit.allocate("tag", len(new))
        unit.insert(TAG, [{"id": key, "name": name} for key, name in zip(ids, new, strict=True)])
        found.update(zip(new, ids, strict=True))
        # What a unit that is rolled back gave out must not be kept.
        unit.after_commit(lambda: self._keep_some(found))
        return known | found

    def _keep_some(self, found: Mapping[str, int]) -> None:
        with self._lock:
            if len(self._ids) + len(found) > self._keep:
                self._ids.clear()
            self._ids.update(found)

    def forget(self) -> None:
        """Forget all that was learned."""
        with self._lock:
            self._ids.clear()


def tag_names(conn: Connection, ids: Sequence[int]) -> dict[int, str]:
    """Return the names of tag ids."""
    found: dict[int, str] = {}
    for part in in_chunks(ids):
        found.update(conn.execute(select(TAG.c.id, TAG.c.name).where(TAG.c.id.in_(part))).all())
    return found
