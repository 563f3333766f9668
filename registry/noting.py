"""Notes out of a catalog into an archive, and out of an archive into a catalog."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from registry.catalog.notes import find_catalog_id, make_catalog_id, noted_lines, remembered_lines
from registry.catalog.notes_import import SavedNames, take_lines
from registry.catalog.notes_waiting import waiting_lines
from registry.catalog.saved import list_saved
from registry.errors import BadRequest, CatalogError, Conflict, RegistryError
from registry.formats.values import OddValueError
from registry.notes.archive import HISTORY, LORAS, SAVED, Archive, write_archive
from registry.notes.lines import read_line, write_line
from registry.notes.manifest import VERSION, Manifest, SavedLine, read_saved, write_saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from registry.catalog.engine import Catalog, Unit
    from registry.notes.lines import Line

Original: TypeAlias = "Callable[[str], bytes | None]"
"""Gives the bytes of a picture by its key, the SHA-256 of these; `None` where they were not kept."""
TakePicture: TypeAlias = "Callable[[str, bytes, Sequence[int]], None]"
"""Gives a picture with its key and bytes to loras; raises RegistryError where it cannot be kept."""
MAX_PROBLEMS: Final = 1000
_BATCH: Final = 450
_MOST_OWNERS: Final = 1000


@dataclass(slots=True)
class Imported:
    """What an import came to, or would: how many lines were read and found their lora, and what was news.

    `changed` loras have other notes than before, `conflicts` are values that lost against others and stay in
    the history. `waiting` lines are about loras that are not here. The first 1,000 problems are told.
    """

    lines: int = 0
    matched: int = 0
    changed: int = 0
    conflicts: int = 0
    waiting: int = 0
    saved_searches: int = 0
    pictures: int = 0
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        """Add a problem."""
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)


def nothing_kept(_key: str) -> bytes | None:
    """Return no picture."""
    return None


def catalog_id(catalog: Catalog) -> str:
    """Return what tells this catalog from others; it gets one if it has none yet."""
    with catalog.read() as conn:
        known = find_catalog_id(conn)
    if known is not None:
        return known
    with catalog.write() as unit:
        return make_catalog_id(unit)


def export_notes(
    catalog: Catalog,
    target: Path,
    *,
    lora_ids: Sequence[int] | None = None,
    original: Original = nothing_kept,
) -> Manifest:
    """Write all that is noted into an archive, or what is noted of some loras; return what is in it.

    The file is there as a whole or not at all. An older archive in its place is replaced; Conflict for any
    other file. Raises CatalogError where it cannot be written.
    """
    _require_replaceable(target)
    with whole_file(target) as file:
        return write_notes(catalog, file, lora_ids=lora_ids, original=original)


def write_notes(
    catalog: Catalog,
    file: BinaryIO,
    *,
    lora_ids: Sequence[int] | None = None,
    original: Original = nothing_kept,
) -> Manifest:
    """Write an archive into an open file; never more than a few hundred loras are held at a time."""
    name = catalog_id(catalog)
    with catalog.read() as conn:
        return write_from(conn, file, Manifest(name, catalog.clock()), lora_ids=lora_ids, original=original)


def write_from(  # noqa: PLR0913 - what is written, and from where
    conn: Connection,
    file: BinaryIO,
    manifest: Manifest,
    *,
    lora_ids: Sequence[int] | None = None,
    history: bool = False,
    original: Original = nothing_kept,
) -> Manifest:
    """Write an archive of what a unit sees, with what was noted before if `history`.

    Of some loras alone there are neither saved searches in it nor notes that wait.
    """
    pictures: dict[str, int] = {}
    entries: list[tuple[str, Iterable[bytes]]] = [(LORAS, _lora_lines(conn, lora_ids, pictures))]
    if lora_ids is None:
        saved = (write_saved(SavedLine(one.name, one.query)) for one in list_saved(conn))
        entries.append((SAVED, saved))
    if history:
        entries.append((HISTORY, remembered_lines(conn, lora_ids or ())))
    return write_archive(file, manifest, entries, _pictures(pictures, original))


def _lora_lines(
    conn: Connection, lora_ids: Sequence[int] | None, pictures: dict[str, int]
) -> Iterator[bytes]:
    for line in noted_lines(conn, lora_ids):
        for rank, key in enumerate(reversed(line.pictures)):
            pictures[key] = min(rank, pictures.get(key, rank))
        yield write_line(line)
    if lora_ids is None:
        yield from waiting_lines(conn)


def _pictures(ranks: Mapping[str, int], original: Original) -> Iterator[tuple[str, bytes]]:
    # Their keys are all known once the lines of the loras are written. The first of each lora come before
    # all others, for there may be more than an archive takes.
    for key in sorted(ranks, key=lambda key: (ranks[key], key)):
        data = original(key)
        if data is not None:
            yield key, data


def import_notes(
    catalog: Catalog,
    file: BinaryIO,
    *,
    actor: str | None = None,
    dry_run: bool = False,
    take_picture: TakePicture | None = None,
) -> Imported:
    """Take what an archive says into the catalog; with `dry_run` only say what that would come to.

    What of it cannot be used is told as a problem, and the rest is taken. Taking it again changes nothing.
    Raises BadRequest for a file that is no archive of notes.
    """
    return _Import(catalog, Archive(file), actor, take_picture, dry_run=dry_run).run()


class _Import:
    """One import under way."""

    def __init__(
        self,
        catalog: Catalog,
        archive: Archive,
        actor: str | None,
        take_picture: TakePicture | None,
        *,
        dry_run: bool,
    ) -> None:
        self._catalog = catalog
        self._archive = archive
        self._actor = actor
        self._take_picture = take_picture
        self._dry_run = dry_run
        self._changed: set[int] = set()
        self._owners: dict[str, list[int]] = {}
        self._order: dict[str, None] = {}
        self.done = Imported()

    def run(self) -> Imported:
        if self._archive.manifest.version > VERSION:
            self.done.problem("it was written by a newer version: what this one does not know is left out")
        with self._problems(""):
            for key in self._archive.pictures():
                self._owners[key] = []
        if left_out := self._archive.manifest.counts.get("left_out"):
            self.done.problem(f"{left_out:,} lines and pictures did not fit into it when it was written")
        self._lines()
        self._saved()
        self._pictures()
        self.done.changed = len(self._changed)
        return self.done

    def _lines(self) -> None:
        lines = self._read_lines()
        while batch := list(islice(lines, _BATCH)):
            with self._unit() as unit:
                taken = take_lines(unit, batch)
            self._changed |= taken.changed
            self.done.conflicts += taken.conflicts
            for line, lora_id in zip(batch, taken.loras, strict=True):
                self.done.matched += lora_id is not None
                self.done.waiting += lora_id is None
                for key in line.pictures:
                    owners = self._owners.get(key)
                    if lora_id is not None and owners is not None and len(owners) < _MOST_OWNERS:
                        owners.append(lora_id)
                        self._order[key] = None

    def _read_lines(self) -> Iterator[Line]:
        """Give the lines that can be used; after damage those before it are given still."""
        with self._problems(""):
            for number, raw in self._archive.lines(LORAS):
                if raw is not None and not raw.strip():
                    continue
                self.done.lines += 1
                line, wrong = (None, ["too long"]) if raw is None else read_line(raw)
                if wrong:
                    self.done.problem(f"line {number:,} of {LORAS}: {'; '.join(wrong)}")
                if line is not None:
                    yield line

    def _saved(self) -> None:
        lines, names = self._read_saved(), None
        while batch := list(islice(lines, _BATCH)):
            with self._unit() as unit:
                # Others may save some between two units; a dry run leaves nothing that could be read again.
                names = SavedNames(unit.conn) if names is None or not self._dry_run else names
                for number, saved in batch:
                    try:
                        self.done.saved_searches += names.take(unit, saved)
                    except Conflict as full:
                        self.done.problem(f"line {number:,} of {SAVED} and those after it: {full}")
                        return
                    except BadRequest as odd:
                        self.done.problem(f"line {number:,} of {SAVED}: {odd}")

    def _read_saved(self) -> Iterator[tuple[int, SavedLine]]:
        """Give the saved searches that can be used with the numbers of their lines; damage ends them."""
        with self._problems(""):
            for number, raw in self._archive.lines(SAVED):
                with self._problems(f"line {number:,} of {SAVED}: "):
                    if raw is None:
                        raise OddValueError("too long")
                    yield number, read_saved(raw)

    def _pictures(self) -> None:
        lost = sum(not owners for owners in self._owners.values())
        if lost:
            self.done.problem(f"{lost:,} pictures are of no lora that is here; import again when it is")
        # In the order in which they were given, for the last one stands before the others.
        wanted = {key: self._owners[key] for key in self._order}
        if wanted and self._take_picture is None:
            self.done.problem(f"{len(wanted):,} pictures are left out")
            return
        for key, owners in wanted.items():
            with self._problems(f"the picture {key}: "):
                data = self._archive.picture(key)
                if hashlib.sha256(data).hexdigest() != key:
                    raise OddValueError("other bytes than its name says")
                if self._take_picture is not None and not self._dry_run:
                    self._take_picture(key, data, list(dict.fromkeys(owners)))
                self.done.pictures += 1

    @contextmanager
    def _unit(self) -> Iterator[Unit]:
        """Open a unit of the catalog, of which a dry run leaves nothing."""
        with suppress(_Undone), self._catalog.write(actor=self._actor) as unit:
            yield unit
            if self._dry_run:
                raise _Undone

    @contextmanager
    def _problems(self, before: str) -> Iterator[None]:
        """Make a problem of what cannot be used; what is wrong with the catalog itself ends the import."""
        try:
            yield
        except CatalogError:
            raise
        except (OddValueError, RegistryError) as error:
            self.done.problem(f"{before}{error}")


class _Undone(Exception):
    """A unit is to leave nothing behind."""


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `target` at the end, and is gone if that is not reached.

    Only who runs the program can read it. Raises CatalogError where it cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(".partial", f"{target.name}.", target.parent)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
        finally:
            with suppress(FileNotFoundError):
                Path(name).unlink()
    except OSError as error:
        raise CatalogError(
            f"the notes could not be written to {target}: {error.strerror or error}",
            remedy="check that folder and its disk",
        ) from error


def _require_replaceable(target: Path) -> None:
    """Raise Conflict where a file is in the way that is no archive of notes."""
    try:
        with target.open("rb") as file:
            Archive(file)
    except FileNotFoundError:
        return
    except (BadRequest, OSError):
        raise Conflict(
            f"{target} is there already and no archive of notes", remedy="choose another name"
        ) from None
