"""Large answers made once for each generation of the catalog and kept compressed in temporary files.

Building one is as fast as the disk, so the catalog is read in one consistent view that no slow client keeps
open; sending one takes no more memory than a block, however long the list is. An answer is made of segments,
and those that did not change are taken from the answer before.
"""

from __future__ import annotations

import tempfile
import threading
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple

from registry.errors import CatalogFull
from registry.wire.gzip_segments import (
    GZIP_HEADER,
    LAST_BLOCK,
    Fragment,
    combine_crc,
    join_fragments,
    trailer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

BLOCK = 1 << 18
KEPT = 8


class Key(NamedTuple):
    """What a prepared answer is of: a route with its options, and one generation of catalog and index.

    Of each route one answer is kept, so that nothing that only changes with time belongs into it.
    """

    route: str
    generation: int
    at: int
    indexed: int = 0


class Span(NamedTuple):
    """Where a segment lies in a file, and the CRC and size of what it holds."""

    offset: int
    length: int
    crc: int
    size: int


class Draft:
    """One gzip member in the making; `spans` tells where its segments lie."""

    def __init__(self, write: Callable[[bytes], object], older: Prepared | None) -> None:
        self.spans: dict[bytes, Span] = {}
        self.older = older
        self.length = 0
        self._write = write
        self._crc = self._size = 0
        self._put(GZIP_HEADER)

    def add(self, parts: Iterable[Fragment | bytes], signature: bytes | None = None) -> None:
        """Append pieces; with a signature they are a segment that the next answer may take over."""
        piece = join_fragments(parts)
        if signature is not None:
            self.spans[signature] = Span(self.length, len(piece.deflate), piece.crc, piece.size)
        self._crc = combine_crc(self._crc, piece.crc, piece.size)
        self._size += piece.size
        self._put(piece.deflate)

    def take_over(self, signature: bytes) -> bool:
        """Append a segment of the answer before, if it has one of that signature."""
        piece = None if self.older is None else self.older.segment(signature)
        if piece is None:
            return False
        self.add([piece], signature)
        return True

    def close(self) -> None:
        """End the member."""
        self._put(LAST_BLOCK + trailer(self._crc, self._size))

    def _put(self, data: bytes) -> None:
        self._write(data)
        self.length += len(data)


class Prepared:
    """One gzip member in a temporary file; closed when nobody reads it any more."""

    def __init__(self, key: Key, file: IO[bytes], draft: Draft) -> None:
        self.key = key
        self.size = draft.length
        self._spans = draft.spans
        self._file = file
        self._turn = threading.Lock()
        self._readers = 0
        self._retired = False

    def enter(self) -> None:
        """Begin to read; `leave` must follow."""
        with self._turn:
            self._readers += 1

    def leave(self) -> None:
        """End reading."""
        with self._turn:
            self._readers -= 1
            self._close_if_done()

    def retire(self) -> None:
        """Close the file as soon as the last reader left."""
        with self._turn:
            self._retired = True
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and not self._readers:
            self._file.close()

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes of the member."""
        position = 0
        while position < self.size:
            # Several readers share the one position of the file.
            with self._turn:
                self._file.seek(position)
                block = self._file.read(BLOCK)
            if not block:
                return
            position += len(block)
            yield block

    def segment(self, signature: bytes) -> Fragment | None:
        """Return the segment of that signature, if there is one."""
        span = self._spans.get(signature)
        if span is None:
            return None
        with self._turn:
            self._file.seek(span.offset)
            return Fragment(self._file.read(span.length), span.crc, span.size)

    def plain_blocks(self) -> Iterator[bytes]:
        """Yield what the member holds, for clients that take no gzip."""
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        for block in self.blocks():
            rest = block
            while rest:
                yield inflater.decompress(rest, BLOCK)
                rest = inflater.unconsumed_tail


class _Place:
    """Where those wait who want the same answer; there as long as anybody does."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.wanting = 0


class PreparedAnswers:
    """The few prepared answers that are kept, newest last; safe to share between threads."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        self._kept: dict[str, Prepared] = {}
        self._wanted: dict[str, _Place] = {}

    @property
    def wanted(self) -> list[str]:
        """The routes that somebody is making or waiting for an answer of."""
        with self._turn:
            return list(self._wanted)

    def get(self, key: Key, build: Callable[[Draft], Key]) -> Prepared:
        """Return the answer of a key, entered by the caller; made now unless it is there.

        `build` fills its draft and returns the key that it really is of: a newer generation may have come.
        Raises CatalogFull when there is no room for the file.
        """
        with self._alone(key.route):
            with self._turn:
                found = self._kept.get(key.route)
                if found is not None:
                    found.enter()
                    if found.key == key:
                        return found
            try:
                made = self._make(build, found)
            finally:
                if found is not None:
                    found.leave()
            made.enter()
            with self._turn:
                older = self._kept.pop(key.route, None)
                self._kept[key.route] = made
                retired = [older] if older else []
                while len(self._kept) > KEPT:
                    retired.append(self._kept.pop(next(iter(self._kept))))
        for each in retired:
            each.retire()
        return made

    @contextmanager
    def _alone(self, route: str) -> Iterator[None]:
        """Let one after the other of those go on who want an answer of a route."""
        with self._turn:
            place = self._wanted.setdefault(route, _Place())
            place.wanting += 1
        try:
            with place.turn:
                yield
        finally:
            with self._turn:
                place.wanting -= 1
                if not place.wanting:
                    del self._wanted[route]

    def once(self, build: Callable[[Draft], Key]) -> Prepared:
        """Return an answer that is kept for nobody else, entered by the caller; a short one touches no disk.

        Raises CatalogFull when there is no room for the file.
        """
        made = self._make(build, None, in_memory=BLOCK)
        made.enter()
        made.retire()
        return made

    def close(self) -> None:
        """Let go of all files."""
        with self._turn:
            kept, self._kept = self._kept, {}
        for each in kept.values():
            each.retire()

    def _make(
        self, build: Callable[[Draft], Key], older: Prepared | None, *, in_memory: int | None = None
    ) -> Prepared:
        try:
            file = self._file(in_memory)
            try:
                draft = Draft(file.write, older)
                key = build(draft)
                draft.close()
                file.flush()
                return Prepared(key, file, draft)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            raise CatalogFull(
                f"the list cannot be prepared: {error.strerror}", remedy="free some space in the data folder"
            ) from error

    def _file(self, in_memory: int | None) -> IO[bytes]:
        """Open what is closed when the last reader left."""
        if in_memory is None:
            return tempfile.TemporaryFile(dir=self._folder)
        return tempfile.SpooledTemporaryFile(
            in_memory, dir=None if self._folder is None else str(self._folder)
        )
