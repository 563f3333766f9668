"""Base models in a folder of a machine that draws for another one: found by hash, else by name."""

from __future__ import annotations

import hashlib
import logging
import os
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from registry.render.batch import BaseAsk

log = logging.getLogger(__name__)
NOTES: Final = ".loras-hashes.json"
"""The file in the folder with the hashes of the others: `{path: [size, mtime in ns, SHA-256]}`."""
_INDEX: Final = "model_index.json"

_Note = tuple[int, int, str]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class BaseFolder:
    """The checkpoints and diffusers folders below a folder; each file is hashed once, when that is needed."""

    def __init__(self, folder: Path, hashed: Callable[[Path], str] = sha256_of) -> None:
        self._folder = folder
        self._hashed = hashed

    def find(self, ask: BaseAsk) -> Path | None:
        """Return where a base model is, `None` if it is not there.

        A name does not count against a hash that says otherwise: pictures are kept by the hash.
        """
        files, folders = self._listed()
        named = [each for each in folders if each.name == ask.name]
        if ask.sha256 is None:
            named += [each for each in files if ask.name in {each.name, each.stem}]
            return named[0] if named else None
        for each in sorted(files, key=lambda file: file.name != ask.name):
            if self._sha256(each) == ask.sha256:
                return each
        return named[0] if named else None

    def _listed(self) -> tuple[list[Path], list[Path]]:
        files, folders = [], []
        for name, below, inside in os.walk(self._folder):
            place = self._folder / name
            if _INDEX in inside:
                folders.append(place)
                below.clear()
                continue
            below.sort()
            files += [place / each for each in sorted(inside) if each.endswith(".safetensors")]
        return files, folders

    def _sha256(self, path: Path) -> str | None:
        name = path.relative_to(self._folder).as_posix()
        try:
            found = path.stat()
            known = self._notes().get(name)
            if known is not None and known[:2] == (found.st_size, found.st_mtime_ns):
                return known[2]
            sha256 = self._hashed(path)
        except OSError as error:
            log.warning("%s cannot be read: %s", path, error)
            return None
        self._note(name, (found.st_size, found.st_mtime_ns, sha256))
        return sha256

    def _notes(self) -> dict[str, _Note]:
        try:
            told = orjson.loads((self._folder / NOTES).read_bytes())
            return {name: (int(size), int(time), str(sha256)) for name, (size, time, sha256) in told.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _note(self, name: str, note: _Note) -> None:
        # Read again: other workers of this machine note what they hashed.
        notes = self._notes() | {name: note}
        temporary = self._folder / f"{NOTES}.{os.getpid()}"
        try:
            temporary.write_bytes(orjson.dumps(notes))
            temporary.replace(self._folder / NOTES)
        except OSError as error:
            log.warning("hashes cannot be noted in %s: %s", self._folder, error)
