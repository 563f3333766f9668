"""What a REF on the command line means: all that the catalog takes, and paths from the current folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from registry.catalog.lookup import resolve
from registry.catalog.roots import list_roots
from registry.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection


def resolve_reference(conn: Connection, reference: str, machine_id: str) -> int:
    """Return the id of the lora that a REF means.

    Where nothing is called so but a file has that path, its whole path is tried. Raises what `resolve` does.
    """
    try:
        return resolve(conn, reference, machine_id)
    except NotFound:
        for path in _whole_paths(conn, reference, machine_id):
            try:
                return resolve(conn, path, machine_id)
            except NotFound:
                continue
        raise


def _whole_paths(conn: Connection, reference: str, machine_id: str) -> Iterator[str]:
    """Yield the paths that a file, if it is one, may be catalogued under: roots keep the links in theirs."""
    if not Path(reference).is_file():
        return
    whole = Path(os.path.abspath(reference))  # noqa: PTH100 - without following links, and without `..`
    yield str(whole)
    straight = Path(os.path.realpath(whole.parent)) / whole.name
    for root in list_roots(conn, machine_id):
        real = None if root.path is None else os.path.realpath(root.path)
        if root.path and real and straight.is_relative_to(real):
            yield str(Path(root.path) / straight.relative_to(real))
