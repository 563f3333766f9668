"""Following the change log: what changed is indexed again, and where that cannot be told, everything is."""

from __future__ import annotations

import gc
import logging
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from registry.catalog.changes import changes_since, pruned_to, started_at
from registry.catalog.counting import stamp
from registry.catalog.loras import loras_of_root
from registry.catalog.searching import count_searchable, search_records, searchable_ids
from registry.catalog.tag_lists import TagNames
from registry.errors import Cancelled, IndexDamaged
from registry.search.index import Place, State, Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from filelock import FileLock
    from sqlalchemy import Connection

    from registry.catalog.engine import Catalog

log = logging.getLogger(__name__)
BATCH: Final = 250
_CHANGES: Final = 2000
_SELDOM: Final = 200_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the index is: loras done of all, while it is made anew."""

    state: str = "idle"
    done: int = 0
    total: int | None = None


class Follower:
    """Keeps one index up to date with one catalog; only one process can at a time.

    `report` is told how far a rebuild is, `cancelled` asked often.
    """

    def __init__(
        self,
        catalog: Catalog,
        place: Place,
        *,
        report: Callable[[Progress], None] = lambda _progress: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._catalog = catalog
        self._place = place
        self._report = report
        self._cancelled = cancelled
        self._writer: Writer | None = None
        self._state: State | None = None
        self._names = TagNames()
        self._claim: FileLock | None = None
        self._turn = threading.Lock()

    def catch_up(self) -> State:
        """Bring the index up to the catalog of now and return its state.

        Raises IndexTaken if another process does that, Cancelled, and CatalogError kinds.
        """
        with self._turn:
            self._claim = self._claim or self._place.claim()
            try:
                return self._catch_up()
            except IndexDamaged as error:
                log.warning("%s; it is made anew", error)
                self._let_go()
                self._place.forget()
                return self._catch_up()

    def close(self) -> None:
        """Let another process write."""
        with self._turn:
            self._let_go()
            if self._claim is not None:
                self._claim.release()
                self._claim = None

    def _let_go(self) -> None:
        writer, self._writer, self._state = self._writer, None, None
        if writer is not None:
            try:
                writer.close()
            except (IndexDamaged, ValueError) as error:
                log.warning("the search index was not closed well: %s", error)

    def _catch_up(self) -> State:
        state = self._begin()
        while state is not None:
            with self._catalog.read() as conn:
                if not _known(conn, state):
                    log.info("the search index is of another time; it is made anew")
                    break
                changes = changes_since(conn, state.seq, limit=_CHANGES)
                if changes is None:
                    break
                if not changes:
                    return state
                seq, at = changes[-1].seq, changes[-1].at
                loras = {change.lora_id for change in changes if change.lora_id is not None}
                loras |= {change.entity_id for change in changes if change.entity == "lora"}
                roots = {c.entity_id for c in changes if c.entity == "root" and not c.apart}
                self._index(conn, sorted(loras))
            for root_id in sorted(roots):
                self._index_root(root_id)
            state = self._commit(seq, at)
        return self._rebuild()

    def _begin(self) -> State | None:
        """Take the writer of the current index; `None` if there is none."""
        if self._writer is not None:
            return self._state
        state = self._place.state()
        if state is None:
            return None
        index = self._place.open(state.folder)
        index.reload()
        if index.searcher().num_docs != state.documents:
            # A commit whose state was not written any more is fine; a loss of documents is not.
            log.info("the search index holds other documents than it should; changes are repeated")
            if index.searcher().num_docs == 0 and state.documents:
                raise IndexDamaged("the search index has lost its documents")
        self._writer, self._state = Writer(index), state
        return state

    def _index(self, conn: Connection, lora_ids: list[int]) -> None:
        writer = self._writer
        if writer is None:
            return
        for start in range(0, len(lora_ids), BATCH):
            self._ask()
            part = lora_ids[start : start + BATCH]
            writer.replace(part, search_records(conn, part, self._names, self._place.words))

    def _index_root(self, root_id: int) -> None:
        after = 0
        while True:
            with self._catalog.read() as conn:
                part = loras_of_root(conn, root_id, after, BATCH)
                self._index(conn, part)
            if len(part) < BATCH:
                return
            after = part[-1]

    def _commit(self, seq: int, at: int) -> State:
        if self._writer is None or self._state is None:
            raise IndexDamaged("the search index is closed")
        self._state = replace(self._state, seq=seq, at=at, documents=self._writer.commit())
        self._place.keep(self._state)
        return self._state

    def _rebuild(self) -> State:
        """Make a new index beside the current one, which goes on answering meanwhile, and take its place."""
        self._let_go()
        name = self._place.fresh()
        writer = Writer(self._place.open(name))
        rounds = gc.get_threshold()
        # Records and documents hold no circles; to look for them takes a tenth of the time.
        gc.set_threshold(_SELDOM, *rounds[1:])
        try:
            with self._catalog.read() as conn:
                now = stamp(conn)
                total = count_searchable(conn)
            done = after = 0
            while True:
                self._ask()
                self._report(Progress("rebuilding", done, total))
                with self._catalog.read() as conn:
                    part = searchable_ids(conn, after, BATCH)
                    writer.add(search_records(conn, part, self._names, self._place.words))
                done += len(part)
                if len(part) < BATCH:
                    break
                after = part[-1]
            documents = writer.commit()
        except BaseException:
            writer.close()
            raise
        finally:
            gc.set_threshold(*rounds)
        self._writer, self._state = (
            writer,
            State(name, now.generation, now.at, documents, words=self._place.digest),
        )
        self._place.keep(self._state)
        self._place.clear(name)
        # What changed while it was made.
        return self._catch_up()

    def _ask(self) -> None:
        if self._cancelled():
            raise Cancelled("the search index was not finished; it goes on next time")


def _known(conn: Connection, state: State) -> bool:
    """Whether the catalog is still the one that the state is of, and not an older copy of it."""
    at = started_at(conn, state.seq)
    # Nothing tells of the newest generation any more when all that is older than a month was forgotten.
    return at == state.at or (at is None and state.seq == pruned_to(conn))
