"""Which files are hashed next and who reads them, for `hashqueue`."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple

from registry.catalog.hashing import Backlog, HashTask, backlog, next_to_hash
from registry.errors import RegistryError
from registry.ingest.derive import reader_failed
from registry.ingest.paths import absolute, long_path
from registry.views import FileStat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from registry.catalog.engine import Catalog
    from registry.hashing.reader import HashedFile
    from registry.views import RootView

FETCH = 64
FRESH_SECONDS = 1.0
IDLE_SECONDS = 5.0


class Rules(NamedTuple):
    """How hashing may work.

    `readers` work in all and `root_readers` of one root. `throttle` waits until so many bytes more may be
    read, or its second argument says that nobody wants them. `allowed` tells whether files may be started
    now, and `wanted_only` whether just those that somebody looks at.
    """

    readers: int
    root_readers: Callable[[RootView], int]
    throttle: Callable[[int, Callable[[], bool]], None]
    allowed: Callable[[], bool] = lambda: True
    wanted_only: Callable[[], bool] = lambda: False


class Waiting:
    """What waits to be hashed, root by root, as the catalog said a moment ago: asking for each file costs."""

    def __init__(
        self, catalog: Catalog, machine_id: str, roots: Callable[[], list[RootView]], rules: Rules
    ) -> None:
        self.roots: dict[int, RootView] = {}
        self.left = 0
        self._catalog = catalog
        self._machine_id = machine_id
        self._all_roots = roots
        self._rules = rules
        self._lists: dict[int, deque[HashTask]] = {}
        # Files that were not there, until the catalog is asked again: by then somebody may have looked.
        self._gone: set[int] = set()
        self._due = float("-inf")

    def is_outdated(self) -> bool:
        """Whether it is time to ask the catalog again, for files that somebody wants first."""
        return time.monotonic() >= self._due

    def renew(self) -> Backlog:
        """Forget what was known and return how much is left."""
        self.roots = {
            root.id: root for root in self._all_roots() if root.path is not None and root.state == "ok"
        }
        self._lists.clear()
        self._gone.clear()
        with self._catalog.read() as conn:
            left = backlog(conn, self._machine_id)
        self.left = left.files
        self._due = time.monotonic() + (FRESH_SECONDS if left.files else IDLE_SECONDS)
        return left

    def choose(self, active: Iterable[HashTask]) -> HashTask | None:
        """Take the file to hash next, of a root that has a reader to spare."""
        active = list(active)
        busy = Counter(task.root_id for task in active)
        best: HashTask | None = None
        for root_id, root in self.roots.items():
            if busy[root_id] >= self._rules.root_readers(root):
                continue
            waiting = self._waiting_in(root_id, active)
            if waiting and (best is None or _order(waiting[0]) < _order(best)):
                best = waiting[0]
        if best is not None:
            self._lists[best.root_id].popleft()
            self.left -= 1
        return best

    def came_back(self, tasks: Iterable[HashTask]) -> None:
        """Note that files are no longer in work: some of them may have to be hashed again."""
        for root_id in {task.root_id for task in tasks}:
            if not self._lists.get(root_id):
                self._lists.pop(root_id, None)

    def is_gone(self, task: HashTask) -> bool:
        """Whether the path of a file leads nowhere; then it is left alone for a moment."""
        root = self.roots.get(task.root_id)
        if root is not None and os.path.lexists(long_path(absolute(root.path or "", task.rel))):
            return False
        self._gone.add(task.file_id)
        return True

    def _waiting_in(self, root_id: int, active: list[HashTask]) -> deque[HashTask]:
        found = self._lists.get(root_id)
        if found is None:
            exclude = {task.file_id for task in active} | self._gone
            with self._catalog.read() as conn:
                tasks = next_to_hash(
                    conn,
                    self._machine_id,
                    exclude=exclude,
                    limit=FETCH,
                    root_id=root_id,
                    wanted=self._rules.wanted_only(),
                )
            found = self._lists[root_id] = deque(tasks)
        return found


class Readers:
    """The threads that read and hash, and how fast they are."""

    def __init__(
        self, hasher: Callable[..., HashedFile], rules: Rules, cancelled: Callable[[], bool]
    ) -> None:
        self.active: dict[Future[HashedFile], HashTask] = {}
        self._hasher = hasher
        self._rules = rules
        self._cancelled = cancelled
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(rules.readers, thread_name_prefix="hash")
        self._lock = threading.Lock()
        self._read = 0
        self._rated_at = time.monotonic()

    def __enter__(self) -> None:
        self._pool.__enter__()

    def __exit__(self, *raised: object) -> None:
        self.stop()
        self._pool.shutdown(wait=True)

    def stop(self) -> None:
        """Ask all readers to end soon."""
        self._stopping.set()

    @property
    def free(self) -> int:
        """How many readers have nothing to do."""
        return self._rules.readers - len(self.active)

    def start(self, task: HashTask, root: RootView, *, alone: bool) -> None:
        """Hash a file; if no other waits, with all the threads there are."""
        threads = self.free if alone else 1
        self.active[self._pool.submit(self._hash, task, root, threads)] = task

    def done(self, seconds: float | None) -> list[tuple[HashTask, HashedFile | RegistryError]]:
        """Return what is done, waiting for the first result no longer than that."""
        results: list[tuple[HashTask, HashedFile | RegistryError]] = []
        for future in wait(self.active, seconds, FIRST_COMPLETED).done:
            task = self.active.pop(future)
            failure = future.exception()
            if failure is None:
                results.append((task, future.result()))
            elif isinstance(failure, RegistryError):
                results.append((task, failure))
            elif isinstance(failure, Exception):
                # An edge as in the header phase: a stranger's file must never end the hashing of the others.
                results.append((task, reader_failed(failure)))
            else:
                raise failure
        return results

    def rate(self, before: float) -> float:
        """Return the bytes read a second, averaged over about the last ten seconds."""
        now = time.monotonic()
        elapsed = now - self._rated_at
        if elapsed < FRESH_SECONDS / 2:
            return before
        with self._lock:
            read, self._read = self._read, 0
        self._rated_at = now
        return before + (read / elapsed - before) * (min(1.0, elapsed / 10) if before else 1.0)

    def _hash(self, task: HashTask, root: RootView, threads: int) -> HashedFile:
        def stopped() -> bool:
            return self._stopping.is_set() or self._cancelled()

        def limit(count: int) -> None:
            with self._lock:
                self._read += count
            self._rules.throttle(count, stopped)

        return self._hasher(
            long_path(absolute(root.path or "", task.rel)),
            expected=FileStat(task.size, task.mtime_ns, 0, 0, 1),
            cancelled=stopped,
            limit=limit,
            threads=threads,
        )


def _order(task: HashTask) -> tuple[int, int, int]:
    return -task.priority, task.size, task.file_id
