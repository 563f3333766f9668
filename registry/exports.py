"""The export of an open registry put together; apart from `registry.app`, because few commands need it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from registry.beside import BATCH, Bench
from registry.catalog.changes import generation
from registry.catalog.curation_rows import standing, still_standing
from registry.catalog.pictures import cover_of
from registry.catalog.showing import known_of
from registry.errors import BadRequest, Cancelled
from registry.exported import MOST_TOLD, ExportTally, ExportWish
from registry.search.chosen import choose
from registry.searching import MOST_LORAS
from registry.wire.exports import TABLE, export_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.app import Registry
    from registry.search.service import Searching
    from registry.work.jobs import JobContext

EXPORT: Final = "export"
# So much of it stays with the job, for lists of jobs are sent as a whole.
_KEPT: Final = 200
_PREVIEWS: Final = frozenset({"image/png", "image/jpeg", "image/webp"})


def loras_found(registry: Registry, searching: Searching, query: str) -> list[int]:
    """Return the loras that a query finds in the catalog as it is; all, hidden ones too, for an empty one.

    Raises what `choose` does.
    """
    with registry.catalog.read() as conn:
        now = generation(conn)
    if query.strip():
        return choose(searching, query, MOST_LORAS, now)
    searching.search("", limit=1, min_generation=now)
    return searching.all_ids("", MOST_LORAS, hidden=True)


class Progress(NamedTuple):
    """How many loras were looked at, of how many."""

    done: int = 0
    total: int | None = None


@dataclass(slots=True)
class Exporting:
    """The export of one registry.

    `find` gives the ids of the loras that a query finds, of all for an empty one. `most` changes are told one
    by one, `None` for all. `tally` is what the last run came to so far.
    """

    registry: Registry
    find: Callable[[str], Sequence[int]]
    most: int | None = MOST_TOLD
    tally: ExportTally = field(default_factory=lambda: ExportTally(dry_run=True))
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.registry.jobs.register(EXPORT, self._body, lambda _key: "the export of sidecars")

    def run(self, wish: ExportWish, *, actor: str | None = None) -> ExportTally:
        """Export now, in this thread; Conflict names who is at it already."""
        self._check(wish)
        self.registry.jobs.run(EXPORT, self.registry.machine_id, _spec(wish), actor=actor)
        return self.tally

    def start(self, wish: ExportWish, *, actor: str | None = None) -> int:
        """Export in the background and return the id of the job; Conflict names who is at it already."""
        self._check(wish)
        return self.registry.jobs.start(EXPORT, self.registry.machine_id, _spec(wish), actor=actor)

    def plan(self, wish: ExportWish, cancelled: Callable[[], bool] = lambda: False) -> ExportTally:
        """Return what an export would write, and write nothing; it ends when no more changes can be told."""
        self._check(wish)
        tally = ExportTally(dry_run=True)
        self._export(wish, tally, cancelled, self._report)
        return tally

    def _check(self, wish: ExportWish) -> None:
        """Raise BadRequest for what cannot be exported, NotFound for loras that are not there."""
        for tool in wish.tools:
            export_of(tool)
        if not wish.tools and not wish.previews:
            raise BadRequest("say for which tools", remedy=f"They are {', '.join(sorted(TABLE))}.")
        if wish.ids is not None:
            with self.registry.catalog.read() as conn:
                standing(conn, wish.ids)

    def _loras(self, wish: ExportWish) -> Sequence[int]:
        if wish.ids is None:
            return self.find(wish.query)
        with self.registry.catalog.read() as conn:
            return still_standing(conn, wish.ids)

    def _body(self, job: JobContext) -> object:
        def report(progress: Progress) -> None:
            self._report(progress)
            job.report(*progress)

        self.tally = ExportTally(dry_run=False)
        self._export(_wish(job.spec), self.tally, job.cancelled, report)
        told = self.tally
        return replace(told, changes=told.changes[:_KEPT], problems=told.problems[:_KEPT])

    def _report(self, progress: Progress) -> None:
        self.progress = progress

    def _cover(self, lora_id: int) -> bytes | None:
        """Return the picture that stands for a lora, as tools may show it."""
        with self.registry.catalog.read() as conn:
            found = cover_of(conn, known_of(conn, [lora_id])).get(lora_id)
        if found is None:
            return None
        store = self.registry.studio.store
        original = store.original(found.key)
        if original is not None and original.media_type in _PREVIEWS:
            with suppress(OSError):
                return original.path.read_bytes()
        return store.thumbnail(found.key)

    def _export(
        self,
        wish: ExportWish,
        tally: ExportTally,
        cancelled: Callable[[], bool],
        report: Callable[[Progress], None],
    ) -> None:
        began = time.monotonic()
        loras = self._loras(wish)
        cover = self._cover if wish.previews else None
        bench = Bench(self.registry, wish.tools, cover, dry_run=tally.dry_run)
        for start in range(0, len(loras), BATCH):
            report(Progress(start, len(loras)))
            for one in bench.outcomes(loras[start : start + BATCH]):
                tally.add(one, self.most)
                tally.models, tally.seconds = bench.models, round(time.monotonic() - began, 3)
                _ask(cancelled)
                if tally.dry_run and self.most is not None and len(tally.changes) >= self.most:
                    return
            _ask(cancelled)
        tally.models, tally.complete = bench.models, True
        report(Progress(len(loras), len(loras)))


def _ask(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("the export was stopped; what was written stays")


def _spec(wish: ExportWish) -> dict[str, object]:
    ids = None if wish.ids is None else list(wish.ids)
    return {"tools": list(wish.tools), "query": wish.query, "ids": ids, "previews": wish.previews}


def _wish(spec: object) -> ExportWish:
    said: dict[str, Any] = spec if isinstance(spec, dict) else {}
    ids = said.get("ids")
    return ExportWish(
        tuple(said.get("tools", ())),
        str(said.get("query") or ""),
        None if ids is None else tuple(ids),
        bool(said.get("previews")),
    )
