"""Watching, ingesting and hashing beside the web server, from start to stop."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from registry.app import HASH, PICTURES, SCAN
from registry.catalog import changes
from registry.catalog.problems import replace_root_problems
from registry.catalog.roots import added_since, list_roots
from registry.catalog.uploads import forget_uploads
from registry.errors import Conflict, RegistryError
from registry.ingest.applying import apply_actions
from registry.ingest.scanning import ScanCounts, scan_root, scope_of
from registry.ingest.settle import Ready, Rescan
from registry.ingest.watch import Watcher
from registry.ingest.watched import Lost, Report, Rhythm, Watched
from registry.notekeeping import notes_of
from registry.search.keeper import Keeper
from registry.views import Note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.app import Registry
    from registry.fingerprinting import Fingerprinting
    from registry.ingest.settle import Action
    from registry.search.service import Searching
    from registry.syncing import Syncing

log = logging.getLogger(__name__)
_RETRY_SECONDS = 5.0
_RECONCILE_SECONDS = 1.0
_HOUSEKEEPING_SECONDS = 3600.0
_UPLOADS_MS = 86_400_000


class Background:
    """Watching, ingesting and hashing beside the server: two threads, and one for each scan."""

    def __init__(
        self,
        registry: Registry,
        searching: Searching,
        syncing: Syncing,
        fingerprinting: Fingerprinting,
        *,
        watch: bool,
    ) -> None:
        self._registry = registry
        self._syncing = syncing
        self._fingerprinting = fingerprinting
        self._searching = searching
        self._stopping = threading.Event()
        self._inbox: queue.SimpleQueue[tuple[int, Action | Lost] | None] = queue.SimpleQueue()
        self._put_off: dict[tuple[int, Action | Lost], float] = {}
        # Whether pictures are to be looked at, and then only new ones.
        self._look: bool | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        minutes = registry.settings.rescan_minutes
        rhythm = Rhythm(rescan=minutes * 60 if minutes else None)
        self._watcher = Watcher([], self._tell, self._report, rhythm) if watch else None
        notes = notes_of(registry.catalog, registry.settings, registry.studio)
        self._notes = notes if registry.settings.notes_daily else None
        self._reconciling = threading.Lock()
        self._generation: int | None = None
        self._covered: dict[int, Watched] = {}
        self.watching: dict[int, Report] = {}
        self._keeper = Keeper(registry.settings.url(), searching.place, searching.engine.refresh)
        registry.catalog.on_commit(self._keeper.wake)
        # A file that changed while it was hashed is given a moment to come to rest.
        registry.on_changed = lambda root_id, rel: self._later(root_id, Ready(rel))

    def start(self) -> None:
        """Begin to watch, scan and hash, and to keep the search index."""
        self._keeper.start()
        self._thread.start()
        if self._watcher is not None:
            self._watcher.start()
        self.reconcile()

    def stop(self) -> None:
        """Stop everything that was started."""
        self._stopping.set()
        self._inbox.put(None)
        if self._watcher is not None:
            self._watcher.stop()
        self._registry.jobs.stop()
        self._thread.join(20.0)
        self._keeper.stop()

    def reconcile(self, anew: int | None = None) -> None:
        """Watch and scan what the catalog says now, whoever changed it: roots that came, went or are others.

        What is nested in what may have changed for all of them. `anew` is a root to begin with again in any
        case.
        """
        with self._reconciling:
            registry = self._registry
            with registry.catalog.read() as conn:
                generation = changes.generation(conn)
                if generation == self._generation and anew is None:
                    return
                added = set() if self._generation is None else added_since(conn, self._generation)
                roots = list_roots(conn, registry.machine_id)
                here = list_roots(conn, registry.machine_id, scanned_here=True)
            wanted = {
                root.id: Watched(root.id, scope_of(root, roots), root.poll)
                for root in here
                if root.path is not None
            }
            self._generation = generation
            for root_id in self._covered.keys() - wanted.keys():
                self._leave(root_id)
            for root_id, watched in wanted.items():
                before = self._covered.get(root_id)
                if before != watched or root_id in added or root_id == anew:
                    self._cover(watched, before)

    def _cover(self, watched: Watched, before: Watched | None) -> None:
        """Watch and scan a root from now on, or in its new way."""
        self._covered[watched.id] = watched
        if before is not None and before.scope.root != watched.scope.root:
            self._cancel_scan(watched.id)
        if self._watcher is not None:
            self._watcher.add(watched)
        else:
            self._tell(watched.id, Rescan(b""))

    def _leave(self, root_id: int) -> None:
        """Leave a root alone."""
        del self._covered[root_id]
        self._cancel_scan(root_id)
        if self._watcher is not None:
            self._watcher.remove(root_id)
        self.watching.pop(root_id, None)

    def _cancel_scan(self, root_id: int) -> None:
        for job in self._registry.jobs.live():
            if job.kind == SCAN and job.key == str(root_id):
                job.cancel()

    def _tell(self, root_id: int, action: Action | Lost) -> None:
        self._inbox.put((root_id, action))

    def _later(self, root_id: int, action: Action | Lost) -> None:
        with self._lock:
            self._put_off.setdefault((root_id, action), time.monotonic() + _RETRY_SECONDS)

    def _tell_what_is_due(self) -> None:
        now = time.monotonic()
        with self._lock:
            due = [key for key, at in self._put_off.items() if at <= now]
            for key in due:
                del self._put_off[key]
        for root_id, action in due:
            self._tell(root_id, action)

    def _report(self, root_id: int, report: Report) -> None:
        if root_id not in self._covered:
            return
        self.watching[root_id] = report
        level = logging.INFO if report.state == "watching" else logging.WARNING
        log.log(level, "root %d: %s: %s", root_id, report.state, report.text)
        notes = [] if report.state != "polling" else [("", Note("watcher-polling", report.text))]
        with contextlib.suppress(RegistryError), self._registry.catalog.write() as unit:
            replace_root_problems(unit, "watch", root_id, notes)

    def _run(self) -> None:
        self._start_hashing()
        housekeeping = time.monotonic() + _HOUSEKEEPING_SECONDS
        hashing_retry = reconcile = notes = 0.0
        while not self._stopping.is_set():
            for root_id, actions in self._next(1.0).items():
                try:
                    self._carry_out(root_id, actions)
                except RegistryError as error:
                    log.warning("root %d: %s", root_id, error)
                    self._later(root_id, Rescan(b""))
                except Exception:  # an edge like that of jobs: the other roots must go on being served
                    log.exception("root %d: what happened there could not be taken in", root_id)
                    self._later(root_id, Rescan(b""))
            self._tell_what_is_due()
            now = time.monotonic()
            if now > reconcile:
                reconcile = now + _RECONCILE_SECONDS
                with contextlib.suppress(RegistryError):
                    self.reconcile()
            if now > hashing_retry:
                hashing_retry = now + _RETRY_SECONDS
                self._start_hashing()
                self._start_pictures()
                # Somebody may be at it just now, or the catalog away.
                with contextlib.suppress(RegistryError):
                    self._syncing.start_if_due()
                with contextlib.suppress(RegistryError):
                    self._fingerprinting.start_if_due()
            if self._notes is not None and now > notes:
                notes = now + _HOUSEKEEPING_SECONDS
                try:
                    self._notes.keep()
                except RegistryError as error:
                    log.warning("%s", error)
            if now > housekeeping:
                housekeeping = now + _HOUSEKEEPING_SECONDS
                with contextlib.suppress(RegistryError):
                    self._keep_house()

    def _keep_house(self) -> None:
        """Let go of what is kept for a while only."""
        registry = self._registry
        with registry.catalog.write() as unit:
            changes.prune(unit, registry.settings.change_days)
            unused = forget_uploads(unit, unit.now - _UPLOADS_MS)
        registry.studio.store.remove(unused)

    def _next(self, seconds: float) -> Mapping[int, list[Action | Lost]]:
        """Return what was told since, by root, waiting a moment for the first."""
        found: dict[int, list[Action | Lost]] = defaultdict(list)
        try:
            first = self._inbox.get(timeout=seconds)
        except queue.Empty:
            return found
        while first is not None:
            found[first[0]].append(first[1])
            try:
                first = self._inbox.get_nowait()
            except queue.Empty:
                break
        return found

    def _carry_out(self, root_id: int, actions: list[Action | Lost]) -> None:
        """Do what the watcher asks of one root."""
        root = next((root for root in self._registry.mounted_roots() if root.id == root_id), None)
        if root is None:
            return
        whole = any(isinstance(action, Lost) or action == Rescan(b"") for action in actions)
        folders = [b""] if whole else []
        if not whole:
            roots = self._registry.roots()
            engine = self._registry.engine(self._stopping.is_set, lambda _counts: None)
            counts, folders = apply_actions(
                engine, root, roots, [a for a in actions if not isinstance(a, Lost)]
            )
            for folder in folders:
                if folder:
                    counts.add(scan_root(engine, root, roots, under=folder))
            if counts != ScanCounts():
                self._registry.hashing.wake()
                self._look = self._look is not False
        if b"" in folders:
            self._scan(root_id)

    def _scan(self, root_id: int) -> None:
        try:
            self._registry.jobs.start(SCAN, str(root_id))
        except Conflict:
            # It runs already and may have passed what changed: look again when it is done.
            self._later(root_id, Rescan(b""))

    def scanned(self, root_id: int, seconds: float) -> None:
        """Tell the watcher how long a full scan took, and look at the pictures of the root."""
        self._look = False
        if self._watcher is not None:
            self._watcher.rescanned(root_id, seconds)

    def _start_pictures(self) -> None:
        """Look at pictures once files are listed; what changes meanwhile is for the next time."""
        new = self._look
        if new is None or self._registry.scans:
            return
        with contextlib.suppress(RegistryError):
            self._registry.jobs.start(PICTURES, self._registry.machine_id, {"new": new})
            self._look = None

    def _start_hashing(self) -> None:
        if any(job.kind == HASH for job in self._registry.jobs.live()):
            return
        # Another process of this machine may be hashing; this one goes on when that is done.
        with contextlib.suppress(RegistryError):
            self._registry.jobs.start(HASH, self._registry.machine_id, {"wait": True})

    def progress(self) -> dict[str, object]:
        """Tell how far scanning, hashing and the search index are, and how each root is watched."""
        hashing = self._registry.hashing.progress
        return {
            "scans": [
                {
                    "root": scan.root.id,
                    "label": scan.root.label,
                    "files": scan.counts.files,
                    "new": scan.counts.new,
                    "changed": scan.counts.changed,
                    "expected": scan.expected,
                }
                for scan in list(self._registry.scans.values())
            ],
            "hashing": {
                "state": hashing.state,
                "files": hashing.files,
                "bytes": hashing.size,
                "done": hashing.done,
                "failed": hashing.failed,
                "bytes_per_second": round(hashing.rate),
                "eta_seconds": None if hashing.eta is None else round(hashing.eta, 1),
            },
            "sync": self._syncing.told(),
            "fingerprints": self._fingerprinting.told(),
            "search": {
                "state": self._keeper.progress.state,
                "done": self._keeper.progress.done,
                "total": self._keeper.progress.total,
                "generation": self._searching.engine.generation,
            },
            "watching": {
                str(root_id): {"state": report.state, "text": report.text}
                for root_id, report in list(self.watching.items())
            },
        }
