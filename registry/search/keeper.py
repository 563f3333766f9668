"""The process beside the server that keeps the index up to date, so that requests stay fast meanwhile.

Reading rows and making documents is work for one core; in the serving process it would hold up every request.
The child owns the writer of the index, follows the change log when it is told to and now and then by itself,
and ends with its parent.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
from typing import TYPE_CHECKING, Final

from registry.catalog.engine import Catalog
from registry.child import become_child
from registry.errors import Cancelled, IndexTaken, RegistryError
from registry.search.catchup import Follower, Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from registry.search.index import Place, State

log = logging.getLogger(__name__)
LOOK_SECONDS: Final = 0.5
"""How often the child looks for changes of other processes."""
RETRY_SECONDS: Final = 5.0
LONGEST_RETRY_SECONDS: Final = 300.0
_WAKE, _STOP = "wake", "stop"


class Keeper:
    """Starts the child, tells it of changes and knows how far it is; `changed` hears of each commit.

    A child that ends is started again, after a longer while each time that it got nothing done.
    """

    def __init__(
        self,
        url: str,
        place: Place,
        changed: Callable[[], object] = lambda: None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._url = url
        self._place = place
        self._changed = changed
        self._retry_seconds = retry_seconds
        self._stopping = threading.Event()
        self._turn = threading.Lock()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="search", daemon=True)
        self.progress = Progress("starting")

    def start(self) -> None:
        """Start the child."""
        self._thread.start()

    def wake(self) -> None:
        """Tell the child that the catalog has changed."""
        self._send(_WAKE)

    def stop(self) -> None:
        """Let the child finish what it is committing and end it."""
        self._stopping.set()
        self._send(_STOP)
        self._thread.join(20.0)

    def _send(self, message: str) -> None:
        with self._turn:
            if self._connection is not None:
                try:
                    self._connection.send(message)
                except OSError:
                    self._connection = None

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            # Spawned, not forked: this process has threads and open databases.
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            child = context.Process(
                target=keep,
                args=(self._url, self._place, theirs, self._retry_seconds),
                name="search",
                daemon=True,
            )
            child.start()
            theirs.close()
            with self._turn:
                self._connection = ours
            failures = 0 if self._listen(ours) else failures + 1
            with self._turn:
                self._connection = None
            ours.close()
            child.join(20.0)
            if child.is_alive():
                child.kill()
            if not self._stopping.is_set():
                self.progress = Progress("failing")
                pause = min(self._retry_seconds * 2**failures, LONGEST_RETRY_SECONDS)
                log.warning(
                    "the process that keeps the search index has ended (%s); it is started again in %.0f s",
                    child.exitcode,
                    pause,
                )
                self._stopping.wait(pause)

    def _listen(self, connection: Connection) -> bool:
        """Take what the child tells until it ends; return whether it was up to date once."""
        done = False
        if self._stopping.is_set():
            self._send(_STOP)
        while True:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                return done
            if isinstance(message, Progress):
                self.progress = message
                if message.state == "idle":
                    done = True
                    self._changed()
            else:
                self.progress = Progress("failing")
                log.warning("the search index could not be brought up to date: %s", message)


def keep(url: str, place: Place, connection: Connection, retry_seconds: float = RETRY_SECONDS) -> None:
    """Keep an index up to date until told to stop; the body of the child.

    Tells its progress, and what is wrong as a text.
    """
    become_child()
    stopping = threading.Event()
    woken = threading.Event()

    def listen() -> None:
        try:
            while connection.recv() != _STOP:
                woken.set()
        except (EOFError, OSError):
            pass
        stopping.set()
        woken.set()

    threading.Thread(target=listen, name="listen", daemon=True).start()
    catalog = Catalog(url)
    follower = Follower(catalog, place, report=connection.send, cancelled=stopping.is_set)
    last: State | str | None = None
    while not stopping.is_set():
        wait = LOOK_SECONDS
        try:
            state = follower.catch_up()
            if state != last:
                last = state
                connection.send(Progress("idle", state.documents, state.documents))
        except Cancelled:
            break
        except IndexTaken:
            # A command brings it up to date just now.
            wait = retry_seconds
        except (RegistryError, OSError) as error:
            if str(error) != last:
                last = str(error)
                connection.send(last)
            wait = retry_seconds
        woken.wait(wait)
        woken.clear()
    follower.close()
    catalog.close()
