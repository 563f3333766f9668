"""The folder where archives of notes are kept: one a day while there is news, the older ones thinned out."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from registry.catalog.notes import make_catalog_id
from registry.errors import BadRequest, CatalogError
from registry.noted_pictures import originals_of
from registry.notes.archive import Archive
from registry.notes.manifest import Manifest
from registry.notes.rotation import day_of, name_of, superseded
from registry.noting import nothing_kept, whole_file, write_from, write_notes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from registry.catalog.engine import Catalog, Unit
    from registry.config import Settings
    from registry.noting import Original
    from registry.pictures.studio import Studio

log = logging.getLogger(__name__)
_FOLDER: Final = "notes"


def folder_of(settings: Settings) -> Path:
    """Return where the archives of a catalog are kept; a database elsewhere has a folder of its own."""
    if settings.database_url is None:
        return settings.data_dir / _FOLDER
    return settings.data_dir / f"{_FOLDER}-{hashlib.sha256(settings.url().encode()).hexdigest()[:12]}"


def notes_of(catalog: Catalog, settings: Settings, studio: Studio) -> NotesFolder:
    """Return the archives of an open catalog, with the originals that a studio keeps in them."""
    return NotesFolder(catalog, folder_of(settings), originals_of(studio))


class NotesFolder:
    """The archives of one catalog; days are those of UTC, by the clock of the catalog."""

    def __init__(self, catalog: Catalog, folder: Path, original: Original = nothing_kept) -> None:
        self._catalog = catalog
        self._original = original
        self._looked: dt.date | None = None
        self.folder = folder

    def write(self) -> tuple[Path, Manifest]:
        """Write the archive of today, in place of an earlier one of today; raises CatalogError."""
        target = self._made() / name_of(self._today())
        with whole_file(target) as file:
            manifest = write_notes(self._catalog, file, original=self._original)
        self._rotate()
        return target, manifest

    def keep(self) -> Path | None:
        """Write the archive of today if there is none yet and something is new since the last one.

        Return it, `None` if none was written. Raises CatalogError.
        """
        written = self._write_news()
        if written is not None:
            log.info("the notes were written to %s", written)
            self._rotate()
        return written

    def _write_news(self) -> Path | None:
        today = self._today()
        if self._looked == today:
            return None
        target, newest = self._made() / name_of(today), self._newest()
        if newest == target:
            self._looked = today
            return None
        with suppress(_NothingNew), whole_file(target) as file:
            made = write_notes(self._catalog, file, original=self._original)
            self._looked = today
            if not (any(made.counts.values()) if newest is None else made.content != _content(newest)):
                raise _NothingNew
            return target
        return None

    def write_forgotten(self, unit: Unit, lora_ids: Sequence[int]) -> Path | None:
        """Write what is and was noted of loras that are about to be forgotten; `None` if that is nothing."""
        stamp = dt.datetime.fromtimestamp(unit.now / 1000, dt.UTC)
        folder = self._made()
        target, number = folder / f"forgotten-{stamp:%Y%m%dT%H%M%SZ}.zip", 1
        taken = set(self._names())
        while target.name in taken:
            number += 1
            target = folder / f"forgotten-{stamp:%Y%m%dT%H%M%SZ}-{number}.zip"
        manifest = Manifest(make_catalog_id(unit), unit.now)
        with suppress(_NothingNew), whole_file(target) as file:
            made = write_from(
                unit.conn, file, manifest, lora_ids=lora_ids, history=True, original=self._original
            )
            if not any(made.counts.values()):
                raise _NothingNew
            return target
        return None

    def _today(self) -> dt.date:
        return dt.datetime.fromtimestamp(self._catalog.clock() / 1000, dt.UTC).date()

    def _made(self) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatalogError(
                f"the folder {self.folder} cannot be made: {error.strerror}", remedy="check the data folder"
            ) from error
        return self.folder

    def _newest(self) -> Path | None:
        days = {day: name for name in self._names() if (day := day_of(name)) is not None}
        return self.folder / days[max(days)] if days else None

    def _names(self) -> list[str]:
        try:
            return [path.name for path in self.folder.iterdir()]
        except OSError as error:
            raise CatalogError(
                f"the folder {self.folder} cannot be listed: {error.strerror or error}",
                remedy="let who runs this read that folder, and check its disk",
            ) from error

    def _rotate(self) -> None:
        for name in superseded(self._names()):
            # One that cannot be removed now is one more the next time.
            with suppress(OSError):
                (self.folder / name).unlink()


def pictures_in(path: Path) -> set[str]:
    """Return the keys of the pictures in an archive; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return set(Archive(file).pictures())
    except (BadRequest, OSError):
        return set()


class _NothingNew(Exception):
    """What was just written is not worth keeping."""


def _content(path: Path) -> str | None:
    """Return what tells the contents of an archive, `None` for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return Archive(file).manifest.content
    except (BadRequest, OSError):
        return None
