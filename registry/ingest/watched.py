"""One root that is watched: whether events tell of its changes, and what they and the time ask for."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from registry.errors import UnreadableFile
from registry.hashing.opening import open_regular, read_at
from registry.ingest import limits, mounts
from registry.ingest.entries import RootGone, Scope
from registry.ingest.observe import Observation, Sign
from registry.ingest.paths import absolute, extension_suffixes, long_path
from registry.ingest.platforms import is_placeholder
from registry.ingest.settle import Action, Kind, Rescan, Seen, Settle, Timing
from registry.ingest.walk import links
from registry.wire.companions import MODEL_EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

_WITH_HEADER = extension_suffixes(MODEL_EXTENSIONS)


class Lost(NamedTuple):
    """The folder of a root is not there any more; a `Rescan` of it follows when it is back."""


class Report(NamedTuple):
    """How a root is watched now: `watching`, `polling` or `gone`, and a sentence why."""

    state: str
    text: str


@dataclass(frozen=True, slots=True)
class Watched:
    """A root to watch; `poll` is `auto` (only on network file systems), `always` or `never`."""

    id: int
    scope: Scope
    poll: str = "auto"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often things happen, in seconds.

    A polled root is rescanned `poll` seconds after its last rescan, or `poll_factor` times as long as that
    one took if this is more; every root `rescan` seconds after it (never for `None`). `check` is how often
    it is made sure that the watching still works.
    """

    poll: float = 60.0
    poll_factor: float = 20.0
    rescan: float | None = 6 * 3600.0
    check: float = 2.0
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the watcher asks the system: whether a path is on a network, whether one more watch is granted."""

    is_network: Callable[[str], bool] = mounts.is_network
    spare_watch: Callable[[str], bool] = limits.spare_watch


class WatchedRoot:
    """The state of one watched root, used in one thread only; `tell` is called with signs in another."""

    def __init__(
        self,
        watched: Watched,
        rhythm: Rhythm,
        surroundings: Surroundings,
        tell: Callable[[int, Sign], None],
    ) -> None:
        self._watched = watched
        self._scope = watched.scope
        self._rhythm = rhythm
        self._surroundings = surroundings
        self._tell = tell
        self._settle = Settle(rhythm.timing)
        self._observation: Observation | None = None
        self._identity: tuple[str, int, int] | None = None
        self._polling = False
        self._all_links = True
        self._out: list[Action | Lost | Report] = []
        self._next_check = float("inf")
        self._next_rescan = float("inf")
        self._pass_seconds = 0.0

    def open(self, now: float) -> None:
        """Begin to watch, or to poll where that is asked for or the system does not let us watch."""
        poll = self._watched.poll
        if poll == "always":
            self._poll("as its settings ask for", now)
        elif poll == "auto" and self._surroundings.is_network(self._scope.root):
            self._poll("because it lies on a network file system", now)
        else:
            self._identity = _identity(self._scope.root)
            self._next_check = now + self._rhythm.check
            if self._identity is None:
                self._lose()
            else:
                self._observe(now)

    def close(self) -> None:
        """Stop watching."""
        if self._observation is not None:
            self._observation.close()
            self._observation = None

    def take(self, sign: Sign, now: float) -> None:
        """Take an event of the root."""
        if self._observation is None:
            return
        if sign.old is not None:
            self._settle.moved(sign.old, sign.rel, now)
        elif sign.certain or Path(absolute(self._scope.root, sign.rel)).is_dir():
            self._settle.happened(sign.kind, sign.rel, now)
            if not sign.rel and sign.kind is Kind.FOLDER:
                self._next_check = now

    def events_lost(self, now: float) -> None:
        """Ask for a rescan instead of the events that were lost."""
        if self._observation is not None:
            self._settle.happened(Kind.FOLDER, b"", now)

    def rescanned(self, seconds: float, now: float) -> None:
        """Take note of a full rescan that has just ended."""
        self._pass_seconds = seconds
        self._next_rescan = now + self._interval()

    def next_due(self) -> float:
        """Return when `turn` will next have something to do."""
        settled = self._settle.next_due()
        times = (self._next_check, self._next_rescan, float("inf") if settled is None else settled)
        return float("-inf") if self._out else min(times)

    def turn(self, now: float) -> list[Action | Lost | Report]:
        """Do what is due and return what to tell."""
        if now >= self._next_check:
            self._next_check = now + self._rhythm.check
            self._check(now)
        for rel in self._settle.due(now):
            self._settle.looked(rel, look(absolute(self._scope.root, rel)), now)
        for action in self._settle.actions():
            self._out.append(action)
            if isinstance(action, Rescan):
                self._relink(action.folder, now)
        if now >= self._next_rescan:
            self._ask_for_rescan(now)
        out, self._out = self._out, []
        return out

    def _check(self, now: float) -> None:
        identity = _identity(self._scope.root)
        if identity is None:
            if self._identity is not None or self._observation is not None:
                self._lose()
        elif identity != self._identity or self._observation is None or not self._observation.alive():
            self.close()
            self._identity = identity
            self._observe(now)
        elif not self._surroundings.spare_watch(self._scope.root):
            self._poll("because no more folders may be watched (see fs.inotify.max_user_watches)", now)

    def _lose(self) -> None:
        self.close()
        self._settle.clear()
        self._identity = None
        self._next_rescan = float("inf")
        self._out += [Lost(), Report("gone", "The folder of the root cannot be reached.")]

    def _observe(self, now: float) -> None:
        root_id = self._watched.id
        try:
            found = links(self._scope)
            self._observation = Observation(self._scope, found, lambda sign: self._tell(root_id, sign))
        except RootGone:
            self._lose()
            return
        except OSError as error:
            self._poll(_reason(error), now)
            return
        if not self._surroundings.spare_watch(self._scope.root):
            self._poll("because no more folders may be watched (see fs.inotify.max_user_watches)", now)
            return
        self._all_links = self._observation.complete
        text = "Changes are seen as they happen."
        if not self._all_links:
            text += " Some of its many symlinked folders are only looked at now and then."
        self._out.append(Report("watching", text))
        self._ask_for_rescan(now)

    def _relink(self, folder: bytes, now: float) -> None:
        if self._observation is None:
            return
        try:
            self._all_links &= self._observation.relink(folder, links(self._scope, folder))
        except RootGone:
            self._next_check = now
        except OSError as error:
            self._poll(_reason(error), now)

    def _poll(self, reason: str, now: float) -> None:
        self.close()
        self._settle.clear()
        self._polling = True
        self._next_check = float("inf")
        self._out.append(Report("polling", f"The root is only looked at now and then, {reason}."))
        self._ask_for_rescan(now)

    def _ask_for_rescan(self, now: float) -> None:
        self._out.append(Rescan(b""))
        self._next_rescan = now + self._interval()

    def _interval(self) -> float:
        often = max(self._rhythm.poll, self._rhythm.poll_factor * self._pass_seconds)
        seldom = float("inf") if self._rhythm.rescan is None else self._rhythm.rescan
        return often if self._polling or not self._all_links else max(often, seldom)


def look(path: str) -> Seen | None:
    """Look at a model file that may still be written: its size, time and whether its header fits its size.

    Safetensors files begin with the length of their header (8 bytes, little-endian). Anything else, and
    files whose bytes are in a cloud, count as fitting. `None` for a path that is not there.
    """
    try:
        found = Path(long_path(path)).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return Seen(0, 0, fits=False)
    fits = True
    if (
        stat.S_ISREG(found.st_mode)
        and not is_placeholder(found)
        and os.fsencode(path).lower().endswith(_WITH_HEADER)
    ):
        try:
            with open_regular(path) as descriptor:
                head = read_at(descriptor, 8, 0)
        except (UnreadableFile, OSError):  # on Windows also a file that its writer holds
            head = b""
        fits = len(head) == 8 and 8 + int.from_bytes(head, "little") <= found.st_size
    return Seen(found.st_size, found.st_mtime_ns, fits)


def _identity(root: str) -> tuple[str, int, int] | None:
    """Return where a root really lies and what folder is there, or `None` without one."""
    try:
        found = Path(long_path(root)).stat()
    except OSError:
        return None
    return (os.path.realpath(root), found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _reason(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EMFILE, errno.ENFILE}:
        return "because no more folders may be watched (see fs.inotify.max_user_watches)"
    return f"because the system cannot watch it ({error.strerror})"
