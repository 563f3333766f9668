"""The tags of loras as names with counts: unpacked from headers by the batch, and named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sqlalchemy import select

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.catalog.tags import tag_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

LORA, HEADER = tables.TABLES["lora"], tables.TABLES["header"]
SAMPLE = 2000
"""Of so many loras at most tags are counted."""
TOP_TAGS = 50
_NOTHING = np.array(None, object)


class TagNames:
    """Names of tags by id with a bounded memory; belongs to one catalog, may be shared between threads."""

    def __init__(self, keep: int = 200_000) -> None:
        self._keep = keep
        self._count = 0
        self._names: NDArray[np.object_] = np.empty(0, object)

    def of(self, conn: Connection, ids: NDArray[np.int64]) -> list[str]:
        """Return the name of each id; an empty one for what is no tag."""
        names = self._names
        short = int(ids.max(initial=-1)) + 1 - len(names)
        if short > 0:
            self._names = names = np.concatenate((names, np.empty(short + len(names) // 8, object)))
        found = names[ids]
        missing = ids[np.equal(found, _NOTHING)]
        if len(missing):
            learned = tag_names(conn, np.unique(missing).tolist())
            self._count += len(learned)
            if self._count > self._keep:
                # Others may still read the old ones.
                self._names, self._count = np.empty(0, object), 0
            names[list(learned)] = list(learned.values())
            found = names[ids]
            found[np.equal(found, _NOTHING)] = ""
        shown: list[str] = found.tolist()
        return shown


def tags_of(
    conn: Connection, blobs: Sequence[bytes], names: TagNames
) -> Iterator[tuple[tuple[str, int], ...]]:
    """Yield the tags of each blob with their counts, in the order of the blob.

    What an author wrote between full-width commas are several tags: trainers split captions at ASCII ones.
    """
    packed = _Packed(blobs)
    written = names.of(conn, packed.ids())
    pairs = [*zip(written, packed.counts().tolist(), strict=True)]
    start = 0
    for end in packed.pairs_up_to():
        text = "\n".join(written[start:end])
        joined = any(comma in text for comma in _FULL_WIDTH)
        yield _apart(pairs[start:end]) if joined else tuple(pairs[start:end])
        start = end


_FULL_WIDTH = "，、"
_COMMAS = re.compile(f"[{_FULL_WIDTH}]")


def _apart(pairs: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for written, count in pairs:
        if _COMMAS.search(written) is None:
            found[written] = found.get(written, 0) + count
            continue
        for part in _COMMAS.split(written):
            if tag := part.strip():
                found[tag] = found.get(tag, 0) + count
    return tuple(found.items())


class _Packed:
    """Blobs that `pack_tags` made, unpacked together: one by one it takes longer than all the rest."""

    def __init__(self, blobs: Sequence[bytes]) -> None:
        self._sizes = np.fromiter(map(len, blobs), np.int64, len(blobs))
        self._bytes = np.frombuffer(b"".join(blobs), np.uint8)
        # Where each number ends, and how many bytes it has.
        self._last = np.flatnonzero(self._bytes < 0x80)
        self._lengths = self._last + 1
        self._lengths[1:] -= self._lengths[:-1].copy()

    def ids(self) -> NDArray[np.int64]:
        """Return the tag ids of all blobs."""
        return self._numbers(self._last[::2], self._lengths[::2])

    def counts(self) -> NDArray[np.int64]:
        """Return the counts of all blobs."""
        return self._numbers(self._last[1::2], self._lengths[1::2])

    def pairs_up_to(self) -> list[int]:
        """Return how many pairs there are up to the end of each blob."""
        ends: list[int] = (np.searchsorted(self._last, np.cumsum(self._sizes)) // 2).tolist()
        return ends

    def _numbers(self, last: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        numbers = self._bytes[last].astype(np.int64)
        back, longer = 1, np.flatnonzero(lengths > 1)
        while len(longer):
            numbers[longer] = numbers[longer] << 7 | self._bytes[last[longer] - back] & 0x7F
            back += 1
            longer = longer[lengths[longer] > back]
        return numbers


class TagSample(NamedTuple):
    """Tags of some loras with how many of these have each, most first; `distinct` tells how many there are.

    `loras` tells how many loras were looked at.
    """

    tags: list[tuple[str, int]]
    distinct: int
    loras: int


def tags_sample(conn: Connection, lora_ids: Sequence[int], *, top: int = TOP_TAGS) -> TagSample:
    """Return the `top` tags that most of these loras have; only the first 2,000 loras are looked at.

    What an author wrote between full-width commas is found by its parts, so it is no tag to choose.
    """
    looked_at = lora_ids[:SAMPLE]
    blobs: list[bytes] = []
    for part in in_chunks(looked_at):
        query = select(HEADER.c.tags).join(LORA, LORA.c.header_id == HEADER.c.id).where(LORA.c.id.in_(part))
        blobs += conn.execute(query).scalars().all()
    ids, counts = np.unique(_Packed(blobs).ids(), return_counts=True)
    most = np.argsort(-counts, kind="stable")[:top].tolist()
    names = tag_names(conn, [int(ids[place]) for place in most])
    found = [(names.get(int(ids[place]), ""), int(counts[place])) for place in most]
    tags = [(name, count) for name, count in found if name and not _COMMAS.search(name)]
    return TagSample(tags, len(ids) - (len(found) - len(tags)), len(looked_at))
