"""The sidecars and previews beside model files, as a walk meets them and as the catalog remembers them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from registry.views import CompanionSeen
from registry.wire.companions import classify, pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.ingest.entries import Folder


def may_be_companion(name: str) -> bool:
    """Whether a file of this name may be a sidecar or preview of some model file."""
    return bool(classify(name))


class Beside:
    """The companions of the folders that a walk is in, against those that `stored` gives for a path."""

    def __init__(self, stored: Callable[[bytes], frozenset[bytes]]) -> None:
        self._folders: dict[bytes, dict[str, tuple[CompanionSeen, ...]]] = {}
        self._stored = stored

    @property
    def here(self) -> bool:
        """Whether any folder that the walk is in has companions on disk."""
        return bool(self._folders)

    def enter(self, folder: Folder) -> None:
        """Note the names of a folder; forget those of folders that the walk has left."""
        if self._folders:
            for rel in [rel for rel in self._folders if rel and not folder.rel.startswith(rel + b"/")]:
                del self._folders[rel]
        if folder.names:
            paired = pair(folder.names, folder.models)
            self._folders[folder.rel] = {
                model: tuple(
                    CompanionSeen(os.fsencode(one.file_name), _shown(one.file_name), one.kind, one.family)
                    for one in owned
                )
                for model, owned in paired.items()
            }

    def of(self, rel: bytes) -> tuple[CompanionSeen, ...]:
        """Return the companions of a model file."""
        folder, _, name = rel.rpartition(b"/")
        paired = self._folders.get(folder)
        return paired.get(os.fsdecode(name), ()) if paired else ()

    def differs(self, rel: bytes) -> bool:
        """Whether a file has other companions than the catalog remembers."""
        return frozenset(one.name_raw for one in self.of(rel)) != self._stored(rel)


def _shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode()
