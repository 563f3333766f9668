"""The rows of a root beside a walk: little of each, and all of those that need a closer look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.catalog.known import KnownFile, known_files, quick_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.catalog.engine import Catalog

PAGE = 2000


class KnownRows:
    """Pages through the rows of a root, or of its folder `under`, in byte order of their paths.

    Iterating gives the rows of `catalog.known.quick_files`; `full` gives all of a row of the current page.
    """

    def __init__(self, catalog: Catalog, root_id: int, under: bytes, derived_version: int) -> None:
        self._catalog = catalog
        self._root_id = root_id
        self._version = derived_version
        self._after = under + b"/" if under else b""
        self._before = under + b"0" if under else None
        self._full: dict[bytes, KnownFile] = {}

    def __iter__(self) -> Iterator[Sequence[Any]]:
        after = self._after
        while True:
            self._after = after
            self._full = {}
            with self._catalog.read() as conn:
                page = quick_files(conn, self._root_id, after, PAGE, self._version)
            if self._before is not None and page and page[-1][0] >= self._before:
                yield from [row for row in page if row[0] < self._before]
                return
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1][0]

    def full(self, rel: bytes) -> KnownFile | None:
        """Return all that is known of a file of the current page; `None` if its row is gone since."""
        if not self._full:
            with self._catalog.read() as conn:
                page = known_files(conn, self._root_id, self._after, PAGE)
            self._full = {row[0]: KnownFile._make(row) for row in page}
        return self._full.get(rel)
