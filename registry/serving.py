"""The serving process: watcher, ingest, hashing and HTTP in one program, until somebody stops it."""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from registry.api.application import create_app
from registry.api.context import Context, context_of
from registry.api.feed import Feed
from registry.api.server import Server
from registry.api.viewers import viewer_of
from registry.app import catalog_name, open_registry
from registry.background import Background
from registry.catalog.tokens import any_token
from registry.errors import CannotServe, Conflict
from registry.exports import Exporting, loras_found
from registry.fingerprinting import Fingerprinting
from registry.rendering import Rendering
from registry.searching import MOST_LORAS, open_searching
from registry.syncing import Asking, Syncing
from registry.telling import Telling
from registry.web import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

    from fastapi import FastAPI

    from registry.app import Registry
    from registry.config import Settings
    from registry.search.service import Searching


_OTHER_HOST = (
    "leave --host out to serve this machine alone, or name one of its addresses (0.0.0.0 stands for all)"
)
# Windows has numbers of its own for the errors of sockets; a machine may speak no IPv6.
_NOT_OURS = {
    getattr(errno, prefix + name, -1) for prefix in ("", "WSA") for name in ("EADDRNOTAVAIL", "EAFNOSUPPORT")
}


def serve(settings: Settings, paths: Sequence[str], *, watch: bool, announce: Callable[[str], None]) -> None:
    """Serve the catalog until stopped; `announce` gets the URL once requests are answered.

    Raises Conflict with the URL of a serving process that is there already, CannotServe for a port that is
    taken or an address that is none of this machine or needs a token first; then no root was added.
    """
    with _only_one(settings) as claim, open_registry(settings) as registry, _bound(settings) as listener:
        _check_address(registry)
        _listen(listener, settings)
        for path in paths:
            registry.add_root(path)
        url = _url(settings.host, listener.getsockname()[1])
        searching = open_searching(registry)
        syncing = Syncing(registry, lambda query: searching.all_ids(query, MOST_LORAS))
        exporting = Exporting(registry, lambda query: loras_found(registry, searching, query))
        fingerprinting = Fingerprinting(registry, lambda query: searching.all_ids(query, MOST_LORAS))
        rendering = Rendering(registry)
        telling = Telling(registry)
        background = Background(registry, searching, syncing, fingerprinting, watch=watch)

        def progress() -> dict[str, object]:
            return {**background.progress(), "drawing": rendering.dispatcher.told()}

        feed = Feed(registry.catalog)
        app = create_app(
            _context(
                registry, searching, syncing, fingerprinting, exporting, rendering, background, feed, progress
            )
        )
        sources = pages.Sources(
            registry.catalog, registry.machine_id, searching, progress, viewer_of, context_of
        )
        app.routes.extend(pages.routes(sources))

        def ready() -> None:
            claim(url)
            announce(url)

        server = _Server(app, feed, ready)
        background.start()
        rendering.start_dispatcher()
        telling.start()
        try:
            server.run(sockets=[listener])
        finally:
            feed.close()
            background.stop()
            rendering.close()
            telling.close()
            fingerprinting.close()
            searching.close()


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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; unlike Ctrl-C, a SIGTERM is not raised again: there is more to close after the server."""
        super().handle_exit(sig, frame)
        if sig == signal.SIGTERM:
            self._captured_signals.clear()


@contextmanager
def _only_one(settings: Settings) -> Iterator[Callable[[str], None]]:
    """Hold the right to serve this catalog on this machine; yields what stores the URL for others to find."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    name = catalog_name(settings)
    place = settings.data_dir / f"serving-{name}.json"
    lock = FileLock(settings.data_dir / f"serving-{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        try:
            running = str(json.loads(place.read_text(encoding="utf-8"))["url"])
        except (OSError, ValueError, KeyError):
            running = "(it is just starting)"
        raise Conflict(
            f"this catalog is served already: {running}", remedy="use that one, or stop it first"
        ) from None

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
        f"listening on {settings.host} lets other machines in, and there is no token to tell friends by",
        remedy="make one with `loras token create NAME`, or say --unsafe-open if everybody may do all",
    )


@contextmanager
def _bound(settings: Settings) -> Iterator[socket.socket]:
    """Take the address and port; nobody is heard before `_listen`."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise CannotServe(
            f"the host name {settings.host} is not known here: {error.strerror}", remedy=_OTHER_HOST
        ) from None
    try:
        listener = socket.socket(family, kind, proto)
    except OSError as error:
        raise _cannot_use(settings, error) from None
    with listener:
        if os.name == "posix":
            # Elsewhere this would let two programs share a port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise _cannot_use(settings, error) from None
        yield listener


def _listen(listener: socket.socket, settings: Settings) -> None:
    try:
        listener.listen(512)
    except OSError as error:
        raise _cannot_use(settings, error) from None


def _cannot_use(settings: Settings, error: OSError) -> CannotServe:
    if error.errno in _NOT_OURS:
        return CannotServe(f"{settings.host} is not an address of this machine", remedy=_OTHER_HOST)
    return CannotServe(
        f"port {settings.port} of {settings.host} cannot be used: {error.strerror}",
        remedy="choose another one with --port, or 0 for any that is free",
    )


def _url(host: str, port: int) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://{address}:{port}" if address.version == 4 else f"http://[{address}]:{port}"


def _context(  # noqa: PLR0913, PLR0917 - all that there is to be asked
    registry: Registry,
    searching: Searching,
    syncing: Syncing,
    fingerprinting: Fingerprinting,
    exporting: Exporting,
    rendering: Rendering,
    background: Background,
    feed: Feed,
    progress: Callable[[], dict[str, object]],
) -> Context:
    registry.on_scanned = background.scanned

    def add(path: str, options: Mapping[str, object], actor: str | None) -> tuple[int, bool]:
        root, new = registry.put_root(path, actor=actor, **options)
        background.reconcile()
        return root.id, new

    def change(root_id: int, options: Mapping[str, object], actor: str | None) -> None:
        registry.change_root(root_id, actor=actor, **options)
        background.reconcile()

    def remove(root_id: int, actor: str | None) -> None:
        registry.remove_root(root_id, actor=actor)
        background.reconcile()

    def relocate(root_id: int, path: str, actor: str | None) -> None:
        registry.relocate_root(root_id, path, actor=actor)
        background.reconcile(root_id)

    def rescan_and_wait(actor: str | None) -> None:
        for root in registry.mounted_roots():
            registry.scan_when_free(root.id, actor=actor)

    return Context(
        catalog=registry.catalog,
        machine_id=registry.machine_id,
        settings=registry.settings,
        feed=feed,
        scan=registry.start_scans,
        add_root=add,
        change_root=change,
        remove_root=remove,
        relocate_root=relocate,
        rescan_and_wait=rescan_and_wait,
        pause_hashing=lambda paused, actor: registry.pause_hashing(paused=paused, actor=actor),
        searching=searching,
        progress=progress,
        sync=lambda query, everything, actor: syncing.start(Asking(query, everything), actor=actor),
        plan_sync=lambda query, everything: syncing.plan(Asking(query, everything)),
        sync_version=lambda version, actor: syncing.start(Asking(version=version), actor=actor),
        studio=registry.studio,
        export=lambda wish, actor: exporting.start(wish, actor=actor),
        plan_export=exporting.plan,
        measure=lambda query, anew, actor: fingerprinting.start(query, anew=anew, actor=actor),
        fingerprint=fingerprinting.fingerprint,
        relatives=lambda lora_id, limit, least, exact: fingerprinting.relatives(
            lora_id, limit=limit, least=least, exact=exact
        ),
        find=lambda query: loras_found(registry, searching, query),
        plan_render=rendering.plan,
        render=lambda asking, actor: rendering.start(asking, actor=actor),
    )
