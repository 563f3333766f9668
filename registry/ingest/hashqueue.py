"""The background hashing of a machine's files: wanted ones first, then small ones, one read for all digests.

Each result is committed as it comes, so that a stop at any moment costs at most the files being read.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

from registry.catalog.hashing import record_hash_failure, record_hashes
from registry.catalog.loras import PROVISIONAL
from registry.errors import Cancelled, FileChanged, RegistryError
from registry.formats.trainers import detect_trainer
from registry.hashing.claims import check_claims, claim_problems
from registry.hashing.lookup import identity, is_hash_of_nothing
from registry.hashing.reader import hash_file
from registry.ingest.derive import is_opened, reader_failed, signed
from registry.ingest.hashreaders import Readers, Rules, Waiting
from registry.views import FileStat, Note

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.catalog.engine import Catalog, Unit
    from registry.catalog.hashing import Backlog, HashTask
    from registry.hashing.reader import HashedFile
    from registry.views import Claim, Hashes, RootView

# The hashes of a file that are stored and looked up; AutoV2 and AutoV3 are their beginnings.
STORED = (
    "sha256",
    "autov1",
    "blake3",
    "crc32",
    "data_sha256",
    "sshs_legacy_hash",
    "sshs_legacy_other",
    "tensor_hash",
)
# Those of them that take a file as bytes, whatever it may be.
OF_BYTES = ("sha256", "autov1", "blake3", "crc32")
_TICK_SECONDS = 0.5


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


class HashQueue:
    """Hashes what is pending; `run` returns when nothing is left, or goes on waiting for more.

    `changed(root id, path)` is told of files that are not what the catalog says.
    """

    def __init__(  # noqa: PLR0913 - what it works on, how, and whom it tells
        self,
        catalog: Catalog,
        machine_id: str,
        roots: Callable[[], list[RootView]],
        rules: Rules,
        *,
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
        self._woken = threading.Event()

    def wake(self) -> None:
        """Say that there may be more to hash."""
        self._woken.set()

    def run(
        self, cancelled: Callable[[], bool], *, wait: bool = False, report: Callable[[], None] = lambda: None
    ) -> int:
        """Hash until nothing is left (or, with `wait`, until cancelled); return how many files were hashed.

        Without `wait` it also returns where hashing is not allowed any more, with `paused` as its state.
        Raises Cancelled; what was hashed until then is stored.
        """
        finished = 0
        queue = Waiting(self._catalog, self._machine_id, self._roots, self._rules)
        readers = Readers(self._hasher, self._rules, cancelled)
        with readers:
            while not cancelled():
                allowed = self._rules.allowed()
                if queue.is_outdated() or self._woken.is_set():
                    self._woken.clear()
                    self._note(queue.renew())
                while (
                    allowed and readers.free and (task := queue.choose(readers.active.values())) is not None
                ):
                    readers.start(task, queue.roots[task.root_id], alone=queue.left == 0)
                if readers.active:
                    finished += self._collect(queue, readers, _TICK_SECONDS)
                    report()
                    continue
                if not wait:
                    self._note(queue.renew())
                    self.progress.state = "idle" if allowed or not self.progress.files else "paused"
                    return finished
                self.progress.state = "idle" if allowed else "paused"
                self._woken.wait(_TICK_SECONDS)
            readers.stop()
            while readers.active:
                self._collect(queue, readers, None)
        raise Cancelled("hashing was stopped")

    def _note(self, left: Backlog) -> None:
        self.progress.files = left.files
        self.progress.size = left.size
        self.progress.state = "hashing" if left.files else "idle"

    def _collect(self, queue: Waiting, readers: Readers, seconds: float | None) -> int:
        """Take what is done and write it in one unit; return how many files that were."""
        results = [(task, _judged(task, found)) for task, found in readers.done(seconds)]
        self.progress.rate = readers.rate(self.progress.rate)
        if not results:
            return 0
        stored = 0
        elsewhere = []
        with self._catalog.write() as unit:
            for task, found in results:
                if not isinstance(found, RegistryError):
                    stored += _record(unit, task, found)
                elif not isinstance(found, Cancelled):
                    elsewhere += [task] if self._failed(unit, task, found, queue) else []
        for task in elsewhere:
            self._changed(task.root_id, task.rel)
        queue.came_back(task for task, _ in results)
        self.progress.done += stored
        return stored

    def _failed(self, unit: Unit, task: HashTask, error: RegistryError, queue: Waiting) -> bool:
        """Note why a file could not be hashed; return whether somebody should look at it."""
        if not isinstance(error, FileChanged) and queue.is_gone(task):
            # Whether the file is missing or its whole root is away, a scan finds out.
            return True
        note = Note(error.slug, f"It could not be hashed: {error}")
        record_hash_failure(unit, task.file_id, note, size=task.size, mtime_ns=task.mtime_ns)
        self.progress.failed += 1
        return isinstance(error, FileChanged)


class _Judged(NamedTuple):
    """What follows from the hashes of a file."""

    stat: FileStat
    identity: str
    digests: dict[str, str]
    claims: tuple[Claim, ...]


def _judged(task: HashTask, hashed: HashedFile | RegistryError) -> _Judged | RegistryError:
    if isinstance(hashed, RegistryError):
        return hashed
    try:
        return _judge(task, hashed)
    except Exception as error:  # noqa: BLE001 - a stranger's file must never end the work on others
        return reader_failed(error)


def _judge(task: HashTask, hashed: HashedFile) -> _Judged:
    hashes, header = hashed.hashes, hashed.header
    claims: tuple[Claim, ...] = ()
    digests = digests_of(hashes)
    if is_opened(task.rel):
        trainer, _ = detect_trainer(header.metadata)
        claims = check_claims(header.metadata, hashes, header, trainer)
        found = identity(header, hashes)
    else:
        digests = {name: digests[name] for name in OF_BYTES}
        found = f"file:{hashes.sha256}"
    if is_hash_of_nothing(found.partition(":")[2]):
        # Nothing tells an empty file apart: it keeps its provisional identity.
        found = f"{PROVISIONAL}{task.file_id}"
    return _Judged(signed(FileStat(*hashed.stat)), found, digests, claims)


def _record(unit: Unit, task: HashTask, found: _Judged) -> bool:
    return record_hashes(
        unit,
        task.file_id,
        found.stat,
        found.identity,
        found.digests,
        [asdict(claim) for claim in found.claims],
        claim_problems(found.claims),
    )


def digests_of(hashes: Hashes) -> dict[str, str]:
    """Return the hashes that are stored, by name."""
    return {name: value for name in STORED if (value := getattr(hashes, name)) is not None}
