"""Every place that this program writes to, with what lies there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from registry.app import catalog_name, pictures_folder
from registry.catalog.urls import parse_url, redacted
from registry.config import config_file
from registry.notekeeping import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from registry.config import Settings


class Kept(NamedTuple):
    """A place: what it is for, its path, whether it is there, and how many bytes are in it.

    `path` is `None` for what is not on this machine's disks; `text` says more.
    """

    name: str
    path: str | None
    text: str
    exists: bool
    size: int | None


def places(settings: Settings) -> list[Kept]:
    """Return all places that have a name, without opening the catalog."""
    data, name = settings.data_dir, catalog_name(settings)
    url = parse_url(settings.url())
    found = [_kept("data folder", data, "all of the following but what has another path")]
    if url.get_backend_name() == "sqlite":
        database = Path(url.database or data)
        found.append(_kept("catalog", database, "the database"))
        found += [
            _kept("catalog log", database.with_name(database.name + ending), "what SQLite keeps beside it")
            for ending in ("-wal", "-shm")
        ]
    else:
        found.append(Kept("catalog", None, redacted(str(url)), exists=True, size=None))
    return [
        *found,
        _kept("backups", data / "backups", "copies of the catalog, made before it is upgraded"),
        _kept("machine", data / "machine-id", "the id of this machine"),
        _kept("serving lock", data / f"serving-{name}.lock", "held while the catalog is served"),
        _kept("serving address", data / f"serving-{name}.json", "where it is served"),
        _kept("search index", data / f"search-{name}", "made anew from the catalog when it is gone"),
        _kept(
            "sketches", data / f"likeness-{name}", "of weights, made anew from the catalog when it is gone"
        ),
        _kept("pictures", pictures_folder(settings), "thumbnails, and originals where these are kept"),
        _kept("notes", folder_of(settings), "archives of what was noted"),
        _kept("config file", config_file(), "read, never written"),
    ]


def sidecars(written: Iterable[str]) -> list[Kept]:
    """Return the sidecars at these paths, which were written for other tools."""
    return [_kept("sidecar", Path(path), "written by `loras export`") for path in written]


def _kept(name: str, path: Path, text: str) -> Kept:
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return Kept(name, str(path), text, exists=False, size=None)
    size = sum(_sizes(path)) if stat.S_ISDIR(found.st_mode) else found.st_size
    return Kept(name, str(path), text, exists=True, size=size)


def _sizes(folder: Path) -> Iterator[int]:
    """Give the sizes of all files below a folder; links are not followed, what cannot be read is left out."""
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield (Path(place) / name).lstat().st_size
            except OSError:
                continue
