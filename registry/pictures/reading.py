"""Reading a picture that lies beside a model, however strange what its name leads to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import BadPicture, UnreadableFile
from registry.hashing.opening import display, open_regular, read_at, reading

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_picture(path: str, most: int, within: Iterable[str] | None = None) -> bytes:
    """Return the bytes of a file; a link is followed into the folders `within` only, `None` for anywhere.

    The folders are real paths. Raises BadPicture for more than `most` bytes, UnreadableFile if it is gone, no
    regular file, a link to elsewhere or cannot be read.
    """
    with open_regular(path) as descriptor, reading(path):
        if within is not None and not _inside(path, descriptor, within):
            raise UnreadableFile(f"it is a link to outside of its root and all others: {display(path)}")
        size = os.fstat(descriptor).st_size
        data = read_at(descriptor, most + 1, 0) if size <= most else b""
    if size > most or len(data) > most:
        raise BadPicture(f"it has more than {most:,} bytes: {display(path)}")
    return data


def _inside(path: str, descriptor: int, folders: Iterable[str]) -> bool:
    # Asked of what is open, as a link may be changed at any time.
    real = Path(os.path.realpath(path))
    return os.path.samestat(real.stat(), os.fstat(descriptor)) and any(map(real.is_relative_to, folders))
