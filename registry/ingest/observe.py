"""What the operating system tells of the changes in one root, by way of watchdog, as signs for `settle`.

Nothing here looks at the disk while an event is handled. A symlinked folder is watched at the place it leads
to, and told of under the path it has in the root.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import warnings
from typing import TYPE_CHECKING, NamedTuple

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from registry.ingest.paths import extension_suffixes, ignored_path, parent
from registry.ingest.settle import Kind
from registry.wire import companions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchdog.observers.api import BaseObserver, EventEmitter, ObservedWatch

    from registry.ingest.entries import Link, Scope

MAX_LINKS = 64  # each costs a thread; what is beyond is left to rescans

# Opening, reading and changes of rights are nobody's business, and our own reading would tell of itself.
_EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
_FILE_KINDS = {
    "created": Kind.CREATED,
    "modified": Kind.MODIFIED,
    "closed": Kind.CLOSED,
    "deleted": Kind.DELETED,
}

# Where watchdog says that the kernel's queue overflowed, or that it failed on some events.
_LOGGERS = ("watchdog.observers", "fsevents")


class Sign(NamedTuple):
    """An event of a root: `old` is the former name of a renamed model file.

    A `FOLDER` that is not `certain` may be a file of no interest, or a symlink to a folder.
    """

    kind: Kind
    rel: bytes
    old: bytes | None = None
    certain: bool = True


class Place(NamedTuple):
    """A folder that is watched: `path` as given to watchdog, `rel` its path in the root, what is left out."""

    path: str
    rel: bytes
    suffixes: tuple[bytes, ...]
    skip: frozenset[bytes]


def signs_of(event: FileSystemEvent, place: Place) -> list[Sign]:
    """Translate one event; nothing for paths that are ignored, belong to a nested root or hold no models."""
    old = _relative(event.src_path, place)
    if event.event_type == "moved":
        new = _relative(event.dest_path, place)
        if event.is_directory:
            return [Sign(Kind.FOLDER, rel) for rel in (new, old) if rel is not None]
        if old is not None and new is not None and _is_model(old, place) and _is_model(new, place):
            return [Sign(Kind.CLOSED, new, old)]
        gone = [] if old is None else _file_signs("deleted", old, place)
        # A renamed file is as complete as a closed one.
        return gone + ([] if new is None else _file_signs("closed", new, place))
    if old is None:
        return []
    if event.is_directory:
        return [Sign(Kind.FOLDER, old)] if event.event_type in {"created", "deleted"} else []
    return _file_signs(event.event_type, old, place)


def _file_signs(event_type: str, rel: bytes, place: Place) -> list[Sign]:
    kind = _FILE_KINDS.get(event_type)
    if kind is None:
        return []
    if _is_model(rel, place):
        return [Sign(kind, rel)]
    if companions.classify(os.fsdecode(rel.rpartition(b"/")[2])):
        return [Sign(Kind.BESIDE, parent(rel))]
    if kind is Kind.DELETED:  # Windows does not tell whether it was a folder, nobody whether a link to one
        return [Sign(Kind.FOLDER, rel)]
    return [] if kind is Kind.MODIFIED else [Sign(Kind.FOLDER, rel, certain=False)]


def _is_model(rel: bytes, place: Place) -> bool:
    return rel.lower().endswith(place.suffixes)


def _relative(path: bytes | str, place: Place) -> bytes | None:
    text = os.fsdecode(path)
    if text == place.path:
        return place.rel
    top = place.path if place.path.endswith(os.sep) else place.path + os.sep
    if not text.startswith(top):
        return None
    below = os.fsencode(text[len(top) :].replace(os.sep, "/"))
    if ignored_path(below):
        return None
    rel = place.rel + b"/" + below if place.rel else below
    if any(rel == inner or rel.startswith(inner + b"/") for inner in place.skip):
        return None
    return rel


class _Listener(FileSystemEventHandler):
    def __init__(self, place: Place, tell: Callable[[Sign], None]) -> None:
        self._place = place
        self._tell = tell

    def dispatch(self, event: FileSystemEvent) -> None:
        for sign in signs_of(event, self._place):
            self._tell(sign)


class Observation:
    """The watching of one root; `tell` is called with each sign in a thread of watchdog's.

    Raises `OSError` if the system cannot watch it.
    """

    def __init__(self, scope: Scope, links: Iterable[Link], tell: Callable[[Sign], None]) -> None:
        self._scope = scope
        self._tell = tell
        self._suffixes = extension_suffixes(scope.extensions)
        self._linked: dict[bytes, tuple[str, ObservedWatch]] = {}
        # watchdog 7.1 warns, at length, when it meets a new nested folder in two ways, which does no harm.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        self._observer: BaseObserver = Observer()
        self._observer.start()
        try:
            # The real path, because inotify would watch a symlink instead of the folder it leads to.
            self._schedule(b"", os.path.realpath(scope.root))
            self.complete = self.relink(b"", links)
        except OSError:
            self.close()
            raise
        if not self.alive():
            self.close()
            raise OSError(errno.EIO, "the reader of its events has stopped")

    def relink(self, under: bytes, links: Iterable[Link]) -> bool:
        """Watch exactly these symlinked folders below `under`; return whether there was room for all.

        Raises `OSError` if the system refuses one.
        """
        wanted = {link.rel: link.target for link in links}
        prefix = under + b"/" if under else b""
        for rel in [rel for rel in self._linked if rel == under or rel.startswith(prefix)]:
            target, watch = self._linked[rel]
            if wanted.get(rel) == target and self._lives(watch):
                del wanted[rel]
            else:
                del self._linked[rel]
                self._observer.unschedule(watch)
        for rel, target in wanted.items():
            if len(self._linked) >= MAX_LINKS:
                return False
            self._linked[rel] = (target, self._schedule(rel, target))
        return True

    def alive(self) -> bool:
        """Whether everything is still watched; watchdog itself says nothing when a watched folder goes."""
        return self._observer.is_alive() and all(map(_delivers, self._observer.emitters.copy()))

    def close(self) -> None:
        """Stop watching."""
        self._observer.stop()
        self._observer.join(timeout=5)

    def _schedule(self, rel: bytes, path: str) -> ObservedWatch:
        listener = _Listener(Place(path, rel, self._suffixes, self._scope.skip), self._tell)
        return self._observer.schedule(listener, path, recursive=True, event_filter=_EVENTS)

    def _lives(self, watch: ObservedWatch) -> bool:
        return any(emitter.watch == watch and emitter.is_alive() for emitter in self._observer.emitters)


def _delivers(emitter: EventEmitter) -> bool:
    reader = getattr(emitter, "_inotify_fd", None)  # one thread of watchdog 7 reads for all emitters
    return emitter.is_alive() and (not isinstance(reader, threading.Thread) or reader.is_alive())


class LossNotice(logging.Handler):
    """Calls `lost` when watchdog logs that events were lost, which it tells in no other way."""

    def __init__(self, lost: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._lost = lost

    def emit(self, record: logging.LogRecord) -> None:
        """Take a warning or error of watchdog's; the one about a stopped emitter is harmless."""
        if "inactive" not in record.getMessage():
            self._lost()

    def attach(self) -> None:
        """Start listening."""
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self)

    def detach(self) -> None:
        """Stop listening."""
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(self)
