"""The background hashing of a machine's files: wanted ones first, then small ones, one read for all digests.

Each result is committed as it comes, so that a stop at any moment costs at most the files being read.
"""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

from registry.catalog.hashing import (
    Backlog,
    HashTask,
    backlog,
    next_to_hash,
    record_hash_failure,
    record_hashes,
)
from registry.catalog.loras import PROVISIONAL
from registry.errors import Cancelled, FileChanged, RegistryError
from registry.formats.trainers import detect_trainer
from registry.hashing.claims import check_claims
from registry.hashing.lookup import identity, is_hash_of_nothing
from registry.hashing.reader import hash_file
from registry.ingest.derive import signed
from registry.ingest.paths import absolute
from registry.views import FileStat, Note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.catalog.engine import Catalog
    from registry.hashing.reader import HashedFile
    from registry.views import Claim, Hashes, RootView

# The hashes of a file that are stored and looked up; AutoV2 and AutoV3 are their beginnings.
STORED = ("sha256", "autov1", "blake3", "crc32", "data_sha256", "sshs_legacy_hash", "tensor_hash")
_FETCH = 64
_WRITE = 64
_IDLE_SECONDS = 0.5


class Rules(NamedTuple):
    """How hashing may work: readers in all, readers of a root, a speed limit, and whether it may work now."""

    readers: int
    root_readers: Callable[[RootView], int]
    throttle: Callable[[int], None]
    allowed: Callable[[], bool] = lambda: True


@dataclass(slots=True)
class HashProgress:
    """How far hashing is: `files` and `size` (bytes) are left, `rate` is bytes a second of late."""

    files: int = 0
    size: int = 0
    done: int = 0
    failed: int = 0
    rate: float = 0.0
    state: str = "idle"

    @property
    def eta(self) -> float | None:
        """Seconds until all is hashed, if anything can be said."""
        return self.size / self.rate if self.rate > 0 and self.size else None


class _Result(NamedTuple):
    task: HashTask
    hashed: HashedFile | None
    error: RegistryError | None


class HashQueue:
    """Hashes what is pending; `run` returns when nothing is left, or goes on waiting for more."""

    def __init__(
        self,
        catalog: Catalog,
        machine_id: str,
        roots: Callable[[], list[RootView]],
        rules: Rules,
        changed: Callable[[int, bytes], None] = lambda _root_id, _rel: None,
        hasher: Callable[..., HashedFile] = hash_file,
    ) -> None:
        self.progress = HashProgress()
        self._catalog = catalog
        self._machine_id = machine_id
        self._roots = roots
        self._rules = rules
        self._changed = changed
        self._hasher = hasher
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
        self._active: dict[int, HashTask] = {}

    def wake(self) -> None:
        """Say that there may be more to hash."""
        self._wake.set()

    def run(
        self, cancelled: Callable[[], bool], *, wait: bool = False, report: Callable[[], None] = lambda: None
    ) -> int:
        """Hash until nothing is left (or, with `wait`, until cancelled); return how many files were hashed."""
        finished = 0
        self._stopping.clear()
        with ThreadPoolExecutor(self._rules.readers, thread_name_prefix="hash") as pool:
            try:
                while not cancelled():
                    started = self._start_some(pool, cancelled)
                    if self._active:
                        finished += self._collect()
                        report()
                    elif not started:
                        self.progress.state = "idle" if self._rules.allowed() else "paused"
                        if not wait and self.progress.state == "idle":
                            return finished
                        self._wake.wait(_IDLE_SECONDS)
                        self._wake.clear()
            finally:
                self._stopping.set()
                self._abandon()
        raise Cancelled("hashing was stopped")

    def _start_some(self, pool: ThreadPoolExecutor, cancelled: Callable[[], bool]) -> bool:
        free = self._rules.readers - len(self._active)
        if free <= 0 or not self._rules.allowed():
            return False
        roots = {root.id: root for root in self._roots() if root.path is not None and root.state == "ok"}
        busy: dict[int, int] = {}
        for task in self._active.values():
            busy[task.root_id] = busy.get(task.root_id, 0) + 1
        room = {
            root_id: self._rules.root_readers(root) - busy.get(root_id, 0) for root_id, root in roots.items()
        }
        full = {root_id for root_id, left in room.items() if left <= 0}
        with self._catalog.read() as conn:
            tasks = next_to_hash(
                conn, self._machine_id, exclude=self._active.keys(), full_roots=full, limit=_FETCH
            )
            left = backlog(conn, self._machine_id)
        self._note(left)
        return self._launch(pool, tasks, roots, room, free, cancelled)

    def _launch(
        self,
        pool: ThreadPoolExecutor,
        tasks: list[HashTask],
        roots: Mapping[int, RootView],
        room: dict[int, int],
        free: int,
        cancelled: Callable[[], bool],
    ) -> bool:
        started = False
        for task in tasks:
            root = roots.get(task.root_id)
            if root is None or room[task.root_id] <= 0:
                continue
            room[task.root_id] -= 1
            self._active[task.file_id] = task
            threads = free if len(tasks) == 1 else 1
            pool.submit(self._hash, task, root, threads, cancelled)
            started = True
            free -= 1
            if free <= 0:
                break
        return started

    def _note(self, left: Backlog) -> None:
        self.progress.files = left.files
        self.progress.size = left.size
        self.progress.state = "hashing" if left.files else "idle"

    def _hash(self, task: HashTask, root: RootView, threads: int, cancelled: Callable[[], bool]) -> None:
        try:
            path = absolute(root.path or "", task.rel)
            hashed = self._hasher(
                path,
                expected=FileStat(task.size, task.mtime_ns, 0, 0, 1),
                cancelled=lambda: self._stopping.is_set() or cancelled(),
                limit=self._rules.throttle,
                threads=threads,
            )
        except RegistryError as error:
            self._results.put(_Result(task, None, error))
        else:
            self._results.put(_Result(task, hashed, None))

    def _collect(self) -> int:
        """Take what is done, at least one result, and write it in one unit."""
        began = time.monotonic()
        results = [self._results.get()]
        while len(results) < _WRITE and not self._results.empty():
            results.append(self._results.get())
        size = sum(result.task.size for result in results if result.hashed)
        elapsed = max(time.monotonic() - began, 1e-6)
        # An average over about the last ten waits is steady enough to tell a time from.
        self.progress.rate += (
            (size / elapsed - self.progress.rate) * 0.1 if self.progress.rate else size / elapsed
        )
        return self._write(results)

    def _write(self, results: list[_Result]) -> int:
        stored = 0
        with self._catalog.write() as unit:
            for task, hashed, error in results:
                self._active.pop(task.file_id, None)
                if hashed is not None:
                    hashes, header = hashed.hashes, hashed.header
                    trainer, _ = detect_trainer(header.metadata)
                    claims = check_claims(header.metadata, hashes, header, trainer)
                    stored += record_hashes(
                        unit,
                        task.file_id,
                        signed(hashed.stat),
                        _identity(task, hashed),
                        digests_of(hashes),
                        [asdict(claim) for claim in claims],
                        _problems(claims),
                    )
                elif not isinstance(error, Cancelled) and error is not None:
                    record_hash_failure(
                        unit, task.file_id, Note(error.slug, f"It could not be hashed: {error}")
                    )
                    self.progress.failed += 1
        for task, _, error in results:
            if isinstance(error, FileChanged):
                self._changed(task.root_id, task.rel)
        self.progress.done += stored
        return stored

    def _abandon(self) -> None:
        """Keep what the readers finish while they are asked to stop."""
        while self._active:
            self._write([self._results.get()])


def _identity(task: HashTask, hashed: HashedFile) -> str:
    """Return the identity of a file; an empty one keeps its provisional one, since nothing tells it apart."""
    found = identity(hashed.header, hashed.hashes)
    return f"{PROVISIONAL}{task.file_id}" if is_hash_of_nothing(found.partition(":")[2]) else found


def digests_of(hashes: Hashes) -> dict[str, str]:
    """Return the hashes that are stored, by name."""
    return {name: value for name in STORED if (value := getattr(hashes, name)) is not None}


def _problems(claims: tuple[Claim, ...]) -> list[Note]:
    return [
        Note(
            "claimed-hash-differs",
            f"The header says {claim.name} is {claim.claimed[:80]}, but it is {claim.computed}: the file was "
            "changed after it was written, or the claim was copied from another file.",
        )
        for claim in claims
        if claim.verdict == "differs"
    ]
