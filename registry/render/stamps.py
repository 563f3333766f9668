"""What tells a base model from what lay at its path before: sizes and times, of all files of a folder."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_MOST: Final = 2000


def stamp_of(path: Path) -> str:
    """Return the stamp of a file, or of a folder with all that is in it; raises OSError."""
    found = path.stat()
    if not path.is_dir():
        return f"{found.st_size} {found.st_mtime_ns}"
    digest = hashlib.blake2b(digest_size=16)
    number = 0
    for folder, inner, names in os.walk(path):
        inner.sort()
        for name in sorted(names):
            number += 1
            if number > _MOST:
                return digest.hexdigest()
            whole = os.path.join(folder, name)  # noqa: PTH118 - names may hold bytes that are no text
            each = os.stat(whole)  # noqa: PTH116 - as above
            told = f"{os.path.relpath(whole, path)}\n{each.st_size} {each.st_mtime_ns}\n"
            digest.update(told.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
