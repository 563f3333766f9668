"""Fingerprints of an open registry put together: measuring in the background, and what is like what."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from registry.catalog import changes
from registry.catalog.fingerprints import count_due, due, fingerprint_of, traits_of
from registry.errors import NotFound, UnreadableFile, UnsupportedKind
from registry.ingest.fingerprints import Bench, Measuring
from registry.ingest.measuring import MeasureTask, PairTask, compare_files
from registry.ingest.paths import absolute, long_path
from registry.ingest.workers import Deriver
from registry.lora.fingerprint import VERSION
from registry.measured import RELATED
from registry.search.relatives import is_of_unet, relative, relatives_of, with_parents
from registry.searching import likeness_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.app import Registry
    from registry.measured import Measured, Relatives
    from registry.search.likeness import Likeness
    from registry.work.jobs import JobContext

FINGERPRINT: Final = "fingerprint"
_PAUSE_MS: Final = 60_000


@dataclass(slots=True)
class Fingerprinting:
    """The fingerprints of one registry; `find` gives the ids of the loras that a query finds."""

    registry: Registry
    find: Callable[[str], Sequence[int]]
    likeness: Likeness = field(init=False)
    progress: Measuring | None = None
    _deriver: Deriver = field(init=False)
    _looked: int | None = None
    _tried_at: int = 0

    def __post_init__(self) -> None:
        self.likeness = likeness_of(self.registry)
        # A process of its own: headers are to be read at once, also while weights are measured.
        self._deriver = Deriver(min(1, self.registry.settings.workers))
        self.registry.jobs.register(FINGERPRINT, self._body, lambda _key: "the measuring of weights")

    def close(self) -> None:
        """Stop the child process and let go of files."""
        self._deriver.close()
        self.likeness.close()

    def run(self, query: str = "", *, anew: bool = False, actor: str | None = None) -> dict[str, object]:
        """Measure what a query finds, or all, in this thread; Conflict names who is at it already."""
        result = self.registry.jobs.run(FINGERPRINT, self._key, _spec(query, anew=anew), actor=actor)
        return result if isinstance(result, dict) else {}

    def start(self, query: str = "", *, anew: bool = False, actor: str | None = None) -> int:
        """Measure in the background and return the id of the job; Conflict names who is at it already."""
        return self.registry.jobs.start(FINGERPRINT, self._key, _spec(query, anew=anew), actor=actor)

    def start_if_due(self) -> bool:
        """Measure what has no fingerprint yet if nothing else is to be done; return whether it began."""
        registry = self.registry
        if not registry.settings.fingerprints or not self._may_work():
            return False
        now = registry.catalog.clock()
        with registry.catalog.read() as conn:
            generation = changes.generation(conn)
            if generation == self._looked or now - self._tried_at < _PAUSE_MS:
                return False
            left = count_due(conn, registry.machine_id, VERSION)
        self._looked, self._tried_at = generation, now
        if not left:
            return False
        self.registry.jobs.start(FINGERPRINT, self._key, {**_spec(""), "idle": True})
        return True

    def left(self) -> int:
        """Return how many loras of this machine are hashed and not measured yet."""
        with self.registry.catalog.read() as conn:
            return count_due(conn, self.registry.machine_id, VERSION)

    def told(self) -> dict[str, object]:
        """Tell how far the measuring of this process is, as the status has it."""
        progress = self.progress
        if progress is None:
            return {"state": "idle"}
        return {"state": "measuring", "done": progress.measured, "total": progress.total}

    def fingerprint(self, lora_id: int) -> Measured:
        """Return the fingerprint of a lora, measured now if it has none yet.

        Raises NotFound where no file of it can be read by this machine, Cancelled.
        """
        with self.registry.catalog.read() as conn:
            known = fingerprint_of(conn, lora_id)
        if known is None or known.version != VERSION:
            bench = self._bench()
            bench.run(self.registry.mounted_roots(), [lora_id])
            with self.registry.catalog.read() as conn:
                known = fingerprint_of(conn, lora_id)
        if known is None:
            raise NotFound(
                "its weights were not measured",
                remedy="that takes a hashed adapter with a file that this machine can read",
            )
        return known

    def relatives(
        self, lora_id: int, *, limit: int = 20, least: float = RELATED, exact: bool = False
    ) -> Relatives:
        """Return the loras most like one; with `exact` their angles are calculated from the files.

        That takes about a second for each, and leaves estimates where files cannot be read. Raises NotFound
        as `fingerprint` does.
        """
        self.fingerprint(lora_id)
        found = relatives_of(self.registry.catalog, self.likeness, lora_id, limit=limit, least=least)
        return with_parents(self._exactly(found)) if exact else found

    @property
    def _key(self) -> str:
        return self.registry.machine_id

    def _bench(self, job: JobContext | None = None, *, idle: bool = False) -> Bench:
        return Bench(
            self.registry.catalog,
            self.registry.machine_id,
            self._deriver,
            cancelled=(lambda: False) if job is None else job.cancelled,
            allowed=self._may_work if idle else lambda: True,
        )

    def _may_work(self) -> bool:
        registry = self.registry
        hashing = registry.hashing.progress
        return registry.may_hash() and not registry.scans and not hashing.files

    def _body(self, job: JobContext) -> object:
        said = job.spec if isinstance(job.spec, dict) else {}
        bench = self._bench(job, idle=bool(said.get("idle")))
        query = str(said.get("query") or "")
        among = self.find(query) if query else None
        self.progress = bench.progress

        def report(progress: Measuring) -> None:
            job.report(progress.measured + progress.unreadable, progress.total)

        bench.report = report
        try:
            done = bench.run(self.registry.mounted_roots(), among, anew=bool(said.get("anew")))
        finally:
            self.progress = None
        if done.measured + done.unreadable < done.total:
            # Something else was to be done first; that nothing changes meanwhile means nothing.
            self._looked = None
        return {name: getattr(done, name) for name in Measuring.__slots__}

    def _exactly(self, found: Relatives) -> Relatives:
        ids = [found.id, *(item.id for item in found.items)]
        tasks = self._tasks(ids)
        with self.registry.catalog.read() as conn:
            traits = traits_of(conn, ids)
        made = []
        for item in found.items:
            angles: dict[str, float | None] = {}
            if found.id in tasks and item.id in tasks:
                # What cannot be read or calculated keeps its estimate.
                with suppress(UnreadableFile, UnsupportedKind):
                    pair = PairTask(tasks[found.id], tasks[item.id])
                    angles = self._deriver.call(compare_files, pair)
            own, other = traits[found.id], traits[item.id]
            cosine = angles.get("unet" if is_of_unet(own, other) else "te")
            te = None if item.te_cosine is None else angles.get("te")
            kept = item if cosine is None else relative(item.id, own, other, cosine, te, exact=True)
            made.append(kept)
        return replace(found, items=tuple(sorted(made, key=lambda item: -item.cosine)))

    def _tasks(self, lora_ids: Sequence[int]) -> dict[int, MeasureTask]:
        places = {root.id: root.path for root in self.registry.mounted_roots() if root.path is not None}
        with self.registry.catalog.read() as conn:
            files = due(
                conn, self.registry.machine_id, VERSION, limit=len(lora_ids), among=set(lora_ids), anew=True
            )
        return {
            file.lora_id: MeasureTask(
                long_path(absolute(places[file.root_id], file.rel)), file.size, file.mtime_ns
            )
            for file in files
            if file.root_id in places
        }


def _spec(query: str, *, anew: bool = False) -> dict[str, object]:
    return {"query": query, "anew": anew}
