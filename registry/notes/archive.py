"""The zip file of an archive of notes: written in a stream, read within bounds whoever made it.

::

    loras.jsonl            a line for each lora of which anything is noted
    saved_searches.jsonl   a line for each saved search
    history.jsonl          what was noted before, for people; only of loras that were forgotten
    pictures/NAME          originals of pictures
    manifest.json          what the archive says of itself
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from registry.errors import BadRequest
from registry.notes.manifest import Manifest, read_manifest, write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

LORAS: Final = "loras.jsonl"
SAVED: Final = "saved_searches.jsonl"
HISTORY: Final = "history.jsonl"
MAX_LINE: Final = 16 << 20
"""Bytes of a line with its end: the longest lists that can be united fit, whatever their characters."""
MAX_LINES: Final = 1_000_000
MAX_TEXT: Final = 512 << 20
"""Bytes of all lines of one entry, decompressed."""
MAX_PICTURE: Final = 64 << 20
MAX_PICTURES: Final = 20_000
_MANIFEST: Final = "manifest.json"
_PICTURES: Final = "pictures/"
_PICTURE: Final = re.compile(r"pictures/([0-9A-Za-z][0-9A-Za-z._-]{0,199})", re.ASCII)
_MAX_MANIFEST: Final = 1 << 20
# The list of entries is read at once: so much of it becomes some 50 MB of objects.
_MAX_READ: Final = 4 << 20
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# All that zipfile raises for files that are none, or not whole.
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
_REMEDY: Final = "name a file that `loras notes export` wrote"


def write_archive(
    file: BinaryIO,
    manifest: Manifest,
    entries: Iterable[tuple[str, Iterable[bytes]]],
    pictures: Iterable[tuple[str, bytes]] = (),
) -> Manifest:
    """Write an archive of these entries, each with its lines, and return what it says of itself.

    Lines are taken as they are written, so that no more than one need be there. `catalog` and `made_at` are
    those of `manifest`. Equal contents give equal bytes. What would not be read again is left out, and
    counted as `left_out`.
    """
    left_out = 0
    digest = hashlib.sha256()
    counts: dict[str, int] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in entries:
            count = written = 0
            digest.update(name.encode())
            with archive.open(_entry(name), "w", force_zip64=True) as target:
                for line in lines:
                    size = len(line) + 1
                    if size > MAX_LINE or written + size > MAX_TEXT or count == MAX_LINES:
                        left_out += 1
                        continue
                    target.write(line + b"\n")
                    digest.update(line + b"\n")
                    count += 1
                    written += size
            counts[name.removesuffix(".jsonl")] = count
        counts["pictures"] = 0
        for name, data in pictures:
            if len(data) > MAX_PICTURE or counts["pictures"] == MAX_PICTURES:
                left_out += 1
                continue
            digest.update(name.encode() + hashlib.sha256(data).digest())
            with archive.open(_entry(_PICTURES + name), "w") as target:
                target.write(data)
            counts["pictures"] += 1
        if left_out:
            counts["left_out"] = left_out
        whole = Manifest(manifest.catalog, manifest.made_at, counts, digest.hexdigest())
        with archive.open(_entry(_MANIFEST), "w") as target:
            target.write(write_manifest(whole))
    return whole


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


class Archive:
    """An archive of notes that is open for reading; raises BadRequest for what is none."""

    def __init__(self, file: BinaryIO) -> None:
        with _broken("that is no archive of notes"):
            self._zip = zipfile.ZipFile(cast("BinaryIO", _Careful(file)))
            self._entries = {entry.filename: entry for entry in self._zip.infolist()}
        self.manifest = read_manifest(self._whole(_MANIFEST, _MAX_MANIFEST))

    def lines(self, name: str) -> Iterator[tuple[int, bytes | None]]:
        """Give the lines of an entry with their numbers from 1, `None` for one that is too long.

        There are none where there is no such entry. Raises BadRequest where it is damaged or goes on for
        longer than anybody's notes, after the lines before that.
        """
        if name not in self._entries:
            return
        with _broken(f"{name} is damaged"), self._opened(name) as entry:
            reader = io.BufferedReader(cast("io.RawIOBase", entry), 1 << 16)
            number = read = 0
            while (line := reader.readline(MAX_LINE)) and number < MAX_LINES and read <= MAX_TEXT:
                number += 1
                read += len(line)
                if len(line) < MAX_LINE or line.endswith(b"\n"):
                    yield number, line.rstrip(b"\r\n")
                else:
                    read += _skip(reader, MAX_TEXT - read)
                    yield number, None
            if not line:
                return
        raise BadRequest(f"{name} goes on for longer than all notes that there can be")

    def pictures(self) -> Iterator[str]:
        """Give the names of the pictures, those that can be one; raises BadRequest after the first 20,000."""
        found = (match[1] for name in self._entries if (match := _PICTURE.fullmatch(name)) is not None)
        for number, name in enumerate(found):
            if number >= MAX_PICTURES:
                raise BadRequest(f"there are more than {MAX_PICTURES:,} pictures: the others are left out")
            yield name

    def picture(self, name: str) -> bytes:
        """Return a picture; raises BadRequest where it is damaged or too large."""
        return self._whole(_PICTURES + name, MAX_PICTURE)

    def _whole(self, name: str, most: int) -> bytes:
        if name not in self._entries:
            raise BadRequest(f"there is no {name} in that archive", remedy=_REMEDY)
        with _broken(f"{name} is damaged"), self._opened(name) as entry:
            data = entry.read(most + 1)
        if len(data) > most:
            raise BadRequest(f"{name} has more than {most:,} bytes")
        return data

    def _opened(self, name: str) -> IO[bytes]:
        entry = self._entries[name]
        if entry.compress_type not in _METHODS:
            raise zipfile.BadZipFile("another compression than deflate")
        return self._zip.open(entry)


def _skip(reader: io.BufferedReader[io.RawIOBase], most: int) -> int:
    """Read on to the end of a line, or for so many bytes; return how many these were."""
    skipped = 0
    while skipped <= most and (piece := reader.readline(1 << 16)):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


class _Careful:
    """A file of which no large piece is read at once, whatever the file says."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        """Read; raises ValueError for more than anybody needs."""
        data = self._file.read(_MAX_READ + 1 if count < 0 else min(count, _MAX_READ + 1))
        if len(data) > _MAX_READ:
            raise ValueError("its list of entries is too long")
        return data

    def close(self) -> None:
        """Leave the file to who opened it."""


@contextmanager
def _broken(text: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise BadRequest(f"{text}: {str(error) or type(error).__name__}", remedy=_REMEDY) from error
