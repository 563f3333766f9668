"""The composition root: settings in, an open registry out; wires catalog, workers, jobs and hashing."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import os
import sqlite3
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.catalog import changes
from registry.catalog.engine import Catalog
from registry.catalog.hashing import retry_failed
from registry.catalog.migrate import ensure_schema
from registry.catalog.roots import (
    add_root,
    change_root,
    count_files_of,
    counted,
    get_root,
    leave_if_removed,
    list_roots,
    mount_root,
    relocate_files,
    remove_root,
    seen_machine,
)
from registry.catalog.tags import TagIds
from registry.catalog.urls import redacted
from registry.config import parse_hours
from registry.errors import (
    BadRequest,
    Cancelled,
    CatalogError,
    Conflict,
    NotFound,
    RegistryError,
    UnsupportedLocation,
)
from registry.hashing.reader import hash_file
from registry.ingest.derive import DERIVED_VERSION, read_unless_known
from registry.ingest.hashqueue import HashQueue
from registry.ingest.hashreaders import Rules
from registry.ingest.mounts import filesystem_of, require_sqlite_safe
from registry.ingest.paths import canonical_root, same_path
from registry.ingest.pictures import Gallery, PictureCounts, look_at_pictures
from registry.ingest.scanning import Engine, ScanCounts, scan_root
from registry.ingest.throttle import Throttle, within_hours
from registry.ingest.workers import Deriver
from registry.pictures.store import PictureStore
from registry.pictures.studio import Studio
from registry.pictures.video import find_ffmpeg
from registry.work.jobs import JobContext, Jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.catalog.engine import Unit
    from registry.config import Settings
    from registry.hashing.reader import HashedFile
    from registry.ingest.derive import Read
    from registry.views import RootView

log = logging.getLogger(__name__)
SCAN, HASH, PICTURES = "scan", "hash", "pictures"


@dataclass(slots=True)
class ScanProgress:
    """A scan under way: which root, what it counted so far, and the files expected from earlier scans."""

    root: RootView
    counts: ScanCounts
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read: headers (a picklable function), whole files, and by which version of the rules."""

    read: Read = read_unless_known
    hasher: Callable[..., HashedFile] = hash_file
    derived_version: int = DERIVED_VERSION


class Registry:
    """An open catalog with everything that works on it; `close` stops all of it."""

    def __init__(
        self, settings: Settings, catalog: Catalog, machine_id: str, reading: Reading | None = None
    ) -> None:
        reading = reading or Reading()
        self.settings = settings
        self.catalog = catalog
        self.machine_id = machine_id
        self.deriver = Deriver(settings.workers, reading.read)
        self._derived_version = reading.derived_version
        self.tag_ids = TagIds()
        self.studio = Studio(
            PictureStore(pictures_folder(settings), settings.pictures_limit_mb * 1_000_000),
            ffmpeg=find_ffmpeg(),
            originals=settings.pictures_originals,
        )
        self.jobs = Jobs(catalog, machine_id)
        self.jobs.register(SCAN, self._scan_job, self._scan_called)
        self.jobs.register(HASH, self._hash_job, lambda _key: f"the hashing for {settings.machine}")
        self.jobs.register(PICTURES, self._pictures_job, lambda _key: "the look at pictures")
        self.scans: dict[int, ScanProgress] = {}
        self.on_changed: Callable[[int, bytes], None] = lambda _root_id, _rel: None
        self.on_scanned: Callable[[int, float], None] = lambda _root_id, _seconds: None
        self._hours = parse_hours(settings.hash_hours) if settings.hash_hours else None
        self.hashing = HashQueue(
            catalog,
            machine_id,
            self.mounted_roots,
            self._rules(),
            changed=self._changed,
            hasher=reading.hasher,
        )

    def close(self) -> None:
        """Stop the jobs of this process, its children and the database connections."""
        self.studio.close()
        self.jobs.stop()
        self.deriver.close()
        self.catalog.close()

    def roots(self) -> list[RootView]:
        """Return all roots, their files not counted."""
        with self.catalog.read() as conn:
            return list_roots(conn, self.machine_id)

    def counted(self, roots: Sequence[RootView]) -> list[RootView]:
        """Return the roots with the number of their present files."""
        with self.catalog.read() as conn:
            return counted(conn, roots)

    def mounted_roots(self) -> list[RootView]:
        """Return the roots that this machine scans and has a path of."""
        with self.catalog.read() as conn:
            return [root for root in list_roots(conn, self.machine_id, scanned_here=True) if root.path]

    def add_root(self, path: str, *, actor: str | None = None, **options: object) -> RootView:
        """Add a folder as a root, or return the root it is already.

        Raises NotFound if there is no such folder and it is no root, BadRequest for a file.
        """
        return self.put_root(path, actor=actor, **options)[0]

    def put_root(self, path: str, *, actor: str | None = None, **options: object) -> tuple[RootView, bool]:
        """Do what `add_root` does and say also whether the root is new, or was brought back."""
        whole = canonical_root(path)
        folder = Path(whole)
        if not folder.exists():
            for known in self.mounted_roots():
                if known.path is not None and same_path(known.path, whole):
                    # A drive that is offline just now: a scan of it says so.
                    return known, False
            raise NotFound(
                f"there is no folder {whole}", remedy="check the spelling; quote names with blanks"
            )
        if not folder.is_dir():
            raise BadRequest(f"{whole} is not a folder", remedy="name the folder that holds the files")
        with self.catalog.write(actor=actor) as unit:
            self._seen(unit)
            root_id, new = add_root(unit, self.machine_id, whole, **options)
        return self.root(root_id), new

    def change_root(self, root_id: int, *, actor: str | None = None, **options: object) -> None:
        """Change options of a root; NotFound, or BadRequest for what cannot be."""
        self.root(root_id)
        with self.catalog.write(actor=actor) as unit:
            change_root(unit, root_id, **options)

    def root(self, root_id: int) -> RootView:
        """Return one root; NotFound."""
        with self.catalog.read() as conn:
            return get_root(conn, root_id, self.machine_id)

    def remove_root(self, root_id: int, *, actor: str | None = None) -> None:
        """Take a root out of the catalog; its loras and what was noted about them stay."""
        with self.catalog.write(actor=actor) as unit:
            remove_root(unit, root_id)

    def relocate_root(self, root_id: int, path: str, *, actor: str | None = None) -> None:
        """Point a root at another folder, to be scanned next.

        Files with the same relative path, size and time keep everything and are hashed again when idle.
        """
        whole = canonical_root(path)
        if not Path(whole).is_dir():
            raise NotFound(
                f"there is no folder {whole}", remedy="mount the drive first, or check the spelling"
            )
        self.root(root_id)
        with self.catalog.write(actor=actor) as unit:
            self._seen(unit)
            mount_root(unit, root_id, self.machine_id, whole)
            relocate_files(unit, root_id)

    def scan(self, root_id: int, *, actor: str | None = None) -> ScanCounts:
        """Scan one root now, in this thread; Conflict names who is scanning it already."""
        result = self.jobs.run(SCAN, str(root_id), actor=actor)
        return ScanCounts(**result) if isinstance(result, dict) else ScanCounts()

    def scan_when_free(self, root_id: int, *, actor: str | None = None, seconds: float = 60.0) -> ScanCounts:
        """Scan one root now, after a scan of it that is under way; Conflict if that takes too long."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.scan(root_id, actor=actor)
            except Conflict:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def start_scans(self, root_ids: Sequence[int] | None, actor: str | None = None) -> list[int]:
        """Start background scans and return their job ids; of all roots of this machine for `None`.

        Raises Conflict, and then none is started, where one of them is scanned already.
        """
        mounted = {root.id for root in self.mounted_roots()}
        wanted = sorted(mounted) if root_ids is None else list(dict.fromkeys(root_ids))
        for root_id in wanted:
            if root_id not in mounted:
                self.root(root_id)
                raise Conflict(f"root {root_id} is scanned by another machine", remedy="ask that machine")
        return self.jobs.start_all(SCAN, [str(root_id) for root_id in wanted], actor=actor)

    def hash_all(self, report: Callable[[], None] = lambda: None) -> int:
        """Hash until nothing is left or hashing is not allowed, in this thread; return how many files.

        Conflict if another process of this machine hashes.
        """
        self._report_hashing = report
        result = self.jobs.run(HASH, self.machine_id, {"wait": False})
        return int(str(result or 0))

    def engine(self, cancelled: Callable[[], bool], report: Callable[[ScanCounts], None]) -> Engine:
        """Return what a scan works with."""
        return Engine(
            self.catalog,
            self.machine_id,
            self.deriver,
            self.tag_ids,
            report,
            cancelled,
            self._derived_version,
        )

    _report_hashing: Callable[[], None] = staticmethod(lambda: None)

    def _seen(self, unit: Unit) -> None:
        seen_machine(unit, self.machine_id, self.settings.machine)

    def _scan_called(self, key: str) -> str:
        root = self.root(int(key))
        return f"the scan of {root.label} ({root.path or 'elsewhere'})"

    def _scan_job(self, job: JobContext) -> object:
        roots = self.roots()
        root = next((root for root in roots if root.id == int(job.key)), None) or self.root(int(job.key))
        progress = self.scans[root.id] = ScanProgress(root, ScanCounts())
        began = time.monotonic()

        def report(counts: ScanCounts) -> None:
            progress.counts = counts
            if progress.expected is None and root.scanned_at is not None:
                progress.expected = self._files_of(root.id)
            job.report(counts.files, progress.expected)

        try:
            counts = scan_root(self.engine(job.cancelled, report), root, roots)
        except Cancelled:
            with suppress(RegistryError), self.catalog.write() as unit:
                leave_if_removed(unit, root.id)
            raise
        finally:
            self.scans.pop(root.id, None)
        with self.catalog.write() as unit:
            self._seen(unit)
            if not leave_if_removed(unit, root.id):
                retry_failed(unit, root.id)
            changes.prune(unit, self.settings.change_days)
        self.hashing.wake()
        self.on_scanned(root.id, time.monotonic() - began)
        return {name: getattr(counts, name) for name in ScanCounts.__slots__}

    def _pictures_job(self, job: JobContext) -> object:
        new = isinstance(job.spec, dict) and bool(job.spec.get("new"))

        def report(counts: PictureCounts) -> None:
            job.report(counts.met, counts.total)

        gallery = Gallery(self.catalog, self.studio, self.machine_id, report, job.cancelled)
        counts = look_at_pictures(gallery, self.mounted_roots(), self.roots(), new=new)
        return {"met": counts.met, "kept": counts.kept, "bad": counts.bad}

    def _files_of(self, root_id: int) -> int:
        with self.catalog.read() as conn:
            return count_files_of(conn, root_id)

    def _hash_job(self, job: JobContext) -> object:
        wait = isinstance(job.spec, dict) and bool(job.spec.get("wait"))

        def report() -> None:
            progress = self.hashing.progress
            job.report(progress.done, progress.done + progress.files)
            self._report_hashing()

        return self.hashing.run(job.cancelled, wait=wait, report=report)

    def _changed(self, root_id: int, rel: bytes) -> None:
        self.on_changed(root_id, rel)

    def _rules(self) -> Rules:
        throttle = Throttle(self.settings.hash_limit_mb * 1e6)
        known: dict[str, int] = {}

        def readers(root: RootView) -> int:
            if root.hash_readers is not None:
                return root.hash_readers
            path = root.path or ""
            if path not in known:
                found = filesystem_of(path)
                known[path] = 1 if found.network or found.rotational else self.settings.hash_readers
            return known[path]

        # Everything is to be listed soon: while headers are read, only what somebody waits for is hashed.
        return Rules(self.settings.hash_readers, readers, throttle, self.may_hash, lambda: bool(self.scans))

    def may_hash(self) -> bool:
        """Whether files may be read for work that nobody waits for: at this hour, and not paused."""
        hour = dt.datetime.now().astimezone().hour
        return within_hours(self._hours, hour) and not self.hashing_paused()

    def hashing_paused(self) -> bool:
        """Whether somebody paused hashing."""
        with self.catalog.read() as conn:
            return changes.get_setting(conn, "hashing_paused") == "1"

    def pause_hashing(self, *, paused: bool, actor: str | None = None) -> None:
        """Pause hashing, on all machines, or let it go on."""
        with self.catalog.write(actor=actor) as unit:
            changes.set_setting(unit, "hashing_paused", "1" if paused else "0")
        self.hashing.wake()


def catalog_name(settings: Settings) -> str:
    """Return what tells the files that belong to one catalog from those of others in the data folder."""
    return hashlib.sha256(settings.url().encode()).hexdigest()[:12]


def pictures_folder(settings: Settings) -> Path:
    """Return where the pictures of a catalog lie on this machine."""
    return settings.data_dir / f"pictures-{catalog_name(settings)}"


@contextmanager
def open_registry(
    settings: Settings, *, upgrade: bool = False, reading: Reading | None = None
) -> Iterator[Registry]:
    """Open the catalog of the settings, set up or upgraded as needed, and close everything at the end.

    SQLite is upgraded by itself after a backup; PostgreSQL only with `upgrade`. One that is up to date is not
    written to, so that who only reads waits for no writer. Raises CatalogError kinds.
    """
    catalog = open_catalog(settings, upgrade=upgrade)
    registry = Registry(settings, catalog, this_machine(settings.data_dir), reading)
    try:
        yield registry
    finally:
        registry.close()


def open_catalog(settings: Settings, *, upgrade: bool = False) -> Catalog:
    """Open the database alone and bring its schema up to date as `open_registry` does."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CatalogError(
            f"the data folder {settings.data_dir} cannot be made: {error.strerror}",
            remedy="choose another one with --data-dir or LORAS_DATA_DIR",
        ) from None
    catalog = Catalog(settings.url())
    try:
        if catalog.sqlite:
            _require_safe(Path(catalog.url.database or settings.data_dir))
        backup = ensure_schema(
            catalog, backups=settings.data_dir / "backups", allow_upgrade=upgrade or catalog.sqlite
        )
    except BaseException:
        catalog.close()
        raise
    if backup is not None:
        log.warning("the catalog %s was upgraded; a backup is at %s", redacted(settings.url()), backup)
    return catalog


def _require_safe(database: Path) -> None:
    if sqlite3.sqlite_version_info < (3, 31):
        raise UnsupportedLocation(
            "this Python comes with a SQLite that is too old", remedy="use Python 3.11 or newer"
        )
    require_sqlite_safe(str(database.parent))


def this_machine(data_dir: Path) -> str:
    """Return the lasting id of this machine, made on first use and kept in the data folder."""
    place = data_dir / "machine-id"
    try:
        known = place.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        known = ""
    if known:
        return known[:64]
    fresh = uuid.uuid4().hex
    partial = place.with_name(f"machine-id.{os.getpid()}")
    partial.write_text(fresh + "\n", encoding="ascii")
    try:
        # A link does not replace what a second start made meanwhile.
        os.link(partial, place)
    except FileExistsError:
        return this_machine(data_dir)
    except OSError:
        partial.replace(place)
        return fresh
    finally:
        partial.unlink(missing_ok=True)
    return fresh
