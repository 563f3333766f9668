"""The serving process: watcher, ingest, hashing and HTTP in one program, until somebody stops it."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import logging
import os
import queue
import socket
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from registry.api.application import create_app
from registry.api.context import Context
from registry.api.feed import Feed
from registry.api.server import Server
from registry.app import HASH, SCAN, open_registry
from registry.catalog import changes
from registry.catalog.problems import replace_root_problems
from registry.catalog.tokens import any_token
from registry.errors import CannotServe, Conflict, RegistryError
from registry.ingest.applying import apply_actions
from registry.ingest.scanning import ScanCounts, scan_root, scope_of
from registry.ingest.settle import Ready, Rescan
from registry.ingest.watch import Watcher
from registry.ingest.watched import Lost, Report, Rhythm, Watched
from registry.views import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fastapi import FastAPI

    from registry.app import Registry
    from registry.config import Settings
    from registry.ingest.settle import Action
    from registry.views import RootView

log = logging.getLogger(__name__)
_RETRY_SECONDS = 5.0
_HOUSEKEEPING_SECONDS = 3600.0


def serve(settings: Settings, paths: Sequence[str], *, watch: bool, announce: Callable[[str], None]) -> None:
    """Serve the catalog until stopped; `announce` gets the URL once requests are answered.

    Raises Conflict with the URL of a serving process that is there already, CannotServe for a port that is
    taken or an address that needs a token first.
    """
    with _only_one(settings) as claim, open_registry(settings) as registry:
        for path in paths:
            registry.add_root(path)
        _check_address(registry)
        with _listen(settings) as listener:
            url = _url(settings.host, listener.getsockname()[1])
            background = Background(registry, watch=watch)
            feed = Feed(registry.catalog)
            app = create_app(_context(registry, background, feed))
            server = _Server(app, feed, lambda: (claim(url), announce(url)))
            background.start()
            try:
                server.run(sockets=[listener])
            finally:
                feed.close()
                background.stop()


class _Server(Server):
    """The web server, which also says when it is ready."""

    def __init__(self, app: FastAPI, feed: Feed, ready: Callable[[], object]) -> None:
        super().__init__(app, feed, log_config=None, access_log=False, lifespan="on")
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()


@contextmanager
def _only_one(settings: Settings) -> Iterator[Callable[[str], None]]:
    """Hold the right to serve this catalog on this machine; yields what stores the URL for others to find."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(settings.url().encode()).hexdigest()[:12]
    place = settings.data_dir / f"serving-{name}.json"
    lock = FileLock(settings.data_dir / f"serving-{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        try:
            running = str(json.loads(place.read_text(encoding="utf-8"))["url"])
        except (OSError, ValueError, KeyError):
            running = "(it is just starting)"
        raise Conflict(f"this catalog is served already: {running}", remedy="use that one, or stop it first") from None

    def claim(url: str) -> None:
        partial = place.with_suffix(".partial")
        partial.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
        partial.replace(place)

    try:
        yield claim
    finally:
        place.unlink(missing_ok=True)
        lock.release()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_address(registry: Registry) -> None:
    settings = registry.settings
    if _is_loopback(settings.host) or settings.unsafe_open:
        return
    with registry.catalog.read() as conn:
        if any_token(conn):
            return
    raise CannotServe(
        f"listening on {settings.host} lets other machines in, and there is no token to tell friends from strangers",
        remedy="make one with `loras token create NAME`, or say --unsafe-open if everybody may change the catalog",
    )


@contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise CannotServe(
            f"{settings.host} is not an address of this machine: {error.strerror}", remedy="leave --host out"
        ) from None
    with socket.socket(family, kind, proto) as listener:
        if os.name == "posix":
            # Elsewhere this would let two programs share a port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(512)
        except OSError as error:
            raise CannotServe(
                f"port {settings.port} of {settings.host} cannot be used: {error.strerror}",
                remedy="choose another one with --port, or 0 for any that is free",
            ) from None
        yield listener


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared, not bound
    return f"http://{shown}:{port}"


class Background:
    """Watching, ingesting and hashing beside the server: two threads, and one for each scan."""

    def __init__(self, registry: Registry, *, watch: bool) -> None:
        self._registry = registry
        self._stopping = threading.Event()
        self._inbox: queue.SimpleQueue[tuple[int, Action | Lost] | None] = queue.SimpleQueue()
        self._put_off: dict[tuple[int, Action | Lost], float] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        minutes = registry.settings.rescan_minutes
        rhythm = Rhythm(rescan=minutes * 60 if minutes else None)
        self._watcher = Watcher([], self._tell, self._report, rhythm) if watch else None
        self.watching: dict[int, Report] = {}
        # A file that changed while it was hashed is given a moment to come to rest.
        registry.on_changed = lambda root_id, rel: self._later(root_id, Ready(rel))

    def start(self) -> None:
        """Begin to watch, scan and hash."""
        self._thread.start()
        if self._watcher is not None:
            self._watcher.start()
        for root in self._registry.mounted_roots():
            self.add(root)

    def stop(self) -> None:
        """Stop everything that was started."""
        self._stopping.set()
        self._inbox.put(None)
        if self._watcher is not None:
            self._watcher.stop()
        self._registry.jobs.stop()
        self._thread.join(20.0)

    def add(self, root: RootView) -> None:
        """Watch and scan a root from now on, or in its new place."""
        if self._watcher is not None:
            self._watcher.add(Watched(root.id, scope_of(root, self._registry.roots()), root.poll))
        else:
            self._tell(root.id, Rescan(b""))

    def remove(self, root_id: int) -> None:
        """Leave a root alone."""
        if self._watcher is not None:
            self._watcher.remove(root_id)
        self.watching.pop(root_id, None)

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
        self.watching[root_id] = report
        level = logging.INFO if report.state == "watching" else logging.WARNING
        log.log(level, "root %d: %s: %s", root_id, report.state, report.text)
        notes = [] if report.state != "polling" else [("", Note("watcher-polling", report.text))]
        with contextlib.suppress(RegistryError), self._registry.catalog.write() as unit:
            replace_root_problems(unit, "watch", root_id, notes)

    def _run(self) -> None:
        self._start_hashing()
        housekeeping = time.monotonic() + _HOUSEKEEPING_SECONDS
        hashing_retry = 0.0
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
            if now > hashing_retry:
                hashing_retry = now + _RETRY_SECONDS
                self._start_hashing()
            if now > housekeeping:
                housekeeping = now + _HOUSEKEEPING_SECONDS
                with contextlib.suppress(RegistryError), self._registry.catalog.write() as unit:
                    changes.prune(unit, self._registry.settings.change_days)

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
            counts, folders = apply_actions(engine, root, roots, [a for a in actions if not isinstance(a, Lost)])
            for folder in folders:
                if folder:
                    counts.add(scan_root(engine, root, roots, under=folder))
            if counts != ScanCounts():
                self._registry.hashing.wake()
        if b"" in folders:
            self._scan(root_id)

    def _scan(self, root_id: int) -> None:
        try:
            self._registry.jobs.start(SCAN, str(root_id))
        except Conflict:
            # It runs already and may have passed what changed: look again when it is done.
            self._later(root_id, Rescan(b""))

    def scanned(self, root_id: int, seconds: float) -> None:
        """Tell the watcher how long a full scan took."""
        if self._watcher is not None:
            self._watcher.rescanned(root_id, seconds)

    def _start_hashing(self) -> None:
        if any(job.key == self._registry.machine_id for job in self._registry.jobs.live()):
            return
        # Another process of this machine may be hashing; this one goes on when that is done.
        with contextlib.suppress(RegistryError):
            self._registry.jobs.start(HASH, self._registry.machine_id, {"wait": True})


def _context(registry: Registry, background: Background, feed: Feed) -> Context:
    registry.on_scanned = background.scanned

    def add(path: str, options: Mapping[str, object], actor: str | None) -> int:
        root = registry.add_root(path, actor=actor, **options)
        for each in registry.mounted_roots():
            # What is nested in what may have changed for all of them.
            background.add(each)
        return root.id

    def remove(root_id: int, actor: str | None) -> None:
        registry.remove_root(root_id, actor=actor)
        background.remove(root_id)

    def relocate(root_id: int, path: str, actor: str | None) -> None:
        registry.relocate_root(root_id, path, actor=actor)
        background.add(registry.root(root_id))

    def rescan_and_wait(actor: str | None) -> None:
        for root in registry.mounted_roots():
            registry.scan_when_free(root.id, actor=actor)

    def progress() -> dict[str, object]:
        hashing = registry.hashing.progress
        return {
            "scans": [
                {
                    "root": scan.root.id,
                    "label": scan.root.label,
                    "files": scan.counts.files,
                    "new": scan.counts.new,
                    "changed": scan.counts.changed,
                    "expected": scan.root.files or None,
                }
                for scan in list(registry.scans.values())
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
            "watching": {
                str(root_id): {"state": report.state, "text": report.text}
                for root_id, report in list(background.watching.items())
            },
        }

    return Context(
        catalog=registry.catalog,
        machine_id=registry.machine_id,
        settings=registry.settings,
        feed=feed,
        scan=registry.start_scans,
        add_root=add,
        remove_root=remove,
        relocate_root=relocate,
        rescan_and_wait=rescan_and_wait,
        progress=progress,
    )
