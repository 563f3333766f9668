"""The rows of a root beside a walk: little of each, and all of those that need a closer look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.catalog.companions import any_companions, companions_between
from registry.catalog.known import KnownFile, known_files, quick_files

if TYPE_CHECKING:
    from registry.catalog.engine import Catalog
    from registry.catalog.known import Quick

PAGE = 2000
_CLOSER = 500


class KnownRows:
    """The rows of a root, or of its folder `under`, in byte order of their paths, from first to last.

    `rel` is the path of the next row, `None` after the last one. With `any_inode` the inodes of rows are 0.
    """

    def __init__(
        self, catalog: Catalog, root_id: int, under: bytes, derived_version: int, *, any_inode: bool
    ) -> None:
        self._catalog = catalog
        self._root_id = root_id
        self._version = derived_version
        self._any_inode = any_inode
        self._after = under + b"/" if under else b""
        self._before = under + b"0" if under else None
        self._page: list[Quick] = []
        self._next = 0
        self._more = True
        self._closer: dict[bytes, KnownFile] = {}
        self._closer_to = b""
        self._companions: dict[bytes, frozenset[bytes]] = {}
        with catalog.read() as conn:
            self._beside = any_companions(conn)
        self._fill(1)

    @property
    def rel(self) -> bytes | None:
        """The path of the next row."""
        return self._page[self._next][0] if self._next < len(self._page) else None

    def skip(self, count: int = 1) -> None:
        """Pass the next rows."""
        self._next += count
        if self._next >= len(self._page):
            self._fill(1)

    def begin_with(self, files: list[Quick]) -> bool:
        """Whether the next rows say just what these files do."""
        if self._next + len(files) > len(self._page):
            self._fill(len(files))
        return self._page[self._next : self._next + len(files)] == files

    def full(self, rel: bytes) -> KnownFile | None:
        """Return all that is known of the file of a row, asked in order; `None` if its row is gone since."""
        if rel > self._closer_to or not self._closer:
            with self._catalog.read() as conn:
                found = known_files(conn, self._root_id, rel, _CLOSER)
            self._closer = {row[0]: KnownFile._make(row) for row in found}
            self._closer_to = found[-1][0] if found else rel
        return self._closer.get(rel)

    def companions(self, rel: bytes) -> frozenset[bytes]:
        """Return the raw names of the companions of a file of the rows in memory."""
        return self._companions.get(rel, frozenset())

    @property
    def have_companions(self) -> bool:
        """Whether any of the rows in memory has companions."""
        return bool(self._companions)

    def _fill(self, count: int) -> None:
        """Have at least `count` rows in memory from the next one on, if there are as many."""
        while self._more and len(self._page) - self._next < count:
            with self._catalog.read() as conn:
                page = quick_files(
                    conn, self._root_id, self._after, PAGE, self._version, any_inode=self._any_inode
                )
                self._more = len(page) == PAGE
                if self._before is not None and page and page[-1][0] >= self._before:
                    page = [row for row in page if row[0] < self._before]
                    self._more = False
                self._page = self._page[self._next :] + page
                self._next = 0
                if page:
                    self._after = page[-1][0]
                if self._page and self._beside:
                    first, last = self._page[0][0], self._page[-1][0]
                    self._companions = companions_between(conn, self._root_id, first, last)
