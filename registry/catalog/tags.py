"""The tag dictionary and the packed runs of (tag id, count) that refer to it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert

from registry.catalog import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Unit

TAG = tables.SQLModel.metadata.tables["tag"]
_CHUNK = 500


def pack_tags(pairs: Iterable[tuple[int, int]]) -> bytes:
    """Pack (tag id, count) pairs as LEB128 numbers, in the given order."""
    out = bytearray()
    for pair in pairs:
        for number in pair:
            if number < 0x80:
                out.append(number)
            elif number < 0x4000:
                out += bytes((number & 0x7F | 0x80, number >> 7))
            else:
                rest = number
                while rest > 0x7F:
                    out.append(rest & 0x7F | 0x80)
                    rest >>= 7
                out.append(rest)
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
            if len(self._ids) > self._keep:
                self._ids.clear()
            known = {name: self._ids[name] for name in names if name in self._ids}
        missing = sorted(names - known.keys())
        found: dict[str, int] = {}
        for start in range(0, len(missing), _CHUNK):
            part = missing[start : start + _CHUNK]
            found.update(unit.conn.execute(select(TAG.c.name, TAG.c.id).where(TAG.c.name.in_(part))).all())
        new = [name for name in missing if name not in found]
        if new:
            self._insert(unit, new)
            for start in range(0, len(new), _CHUNK):
                part = new[start : start + _CHUNK]
                rows = unit.conn.execute(select(TAG.c.name, TAG.c.id).where(TAG.c.name.in_(part)))
                found.update(rows.all())
        # Ids learned in a unit that rolls back must not be kept; `forget` is called then.
        with self._lock:
            self._ids.update(found)
        return known | found

    def forget(self) -> None:
        """Forget all that was learned, after a unit that did not commit."""
        with self._lock:
            self._ids.clear()

    @staticmethod
    def _insert(unit: Unit, names: list[str]) -> None:
        if unit.postgres:
            unit.conn.execute(postgres_insert(TAG).on_conflict_do_nothing(), [{"name": name} for name in names])
        else:
            unit.conn.execute(insert(TAG), [{"name": name} for name in names])


def tag_names(conn: Connection, ids: Sequence[int]) -> dict[int, str]:
    """Return the names of tag ids."""
    found: dict[int, str] = {}
    for start in range(0, len(ids), _CHUNK):
        rows = conn.execute(select(TAG.c.id, TAG.c.name).where(TAG.c.id.in_(ids[start : start + _CHUNK])))
        found.update(rows.all())
    return found
