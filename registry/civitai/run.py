"""What the stages of a run share: what is wished, how far it is, and how outcomes are stored."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from registry.asked import BEGUN, FAILED, GONE, NOT_FOUND, Outcome
from registry.catalog.lookups import asked_of, hash_page, matches_of, record_outcomes
from registry.catalog.remote import Sent, store_versions, versions_are_gone
from registry.civitai.client import IDS_AT_ONCE
from registry.civitai.policy import due
from registry.errors import Cancelled, OutboundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.catalog.engine import Catalog
    from registry.civitai.archive import Archive
    from registry.civitai.client import Client, Version

T = TypeVar("T")
log = logging.getLogger(__name__)
SOURCE: Final = "civitai"
MISSES: Final = 500
"""Files that are asked for by other hashes in one run."""
PATIENCE: Final = 5
"""After so many failures in a row the rest of a stage is left for the next run."""
_MOST_ERRORS: Final = 20
_COUNTED: Final = ("found", "not_found", "ambiguous", "gone", "failed", "waiting")
WAITING: Final = "waiting"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to ask for: `hashes` in order (`None` = of all files), also what is not due with `everything`.

    So many `misses` are asked for one by one, and so many of a second source.
    """

    hashes: Sequence[str] | None = None
    everything: bool = False
    misses: int = MISSES


@dataclass(slots=True)
class Progress:
    """How far a run is: the stage it is in, what is done and to do in it, and what came of files so far."""

    stage: str = "files"
    done: int = 0
    total: int | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    pictures: int = 0

    def failed(self, error: str) -> None:
        """Remember what went wrong, the first of each kind."""
        if len(self.errors) < _MOST_ERRORS and error not in self.errors:
            self.errors.append(error)


def summary(progress: Progress, requests: int, seconds: float) -> dict[str, object]:
    """Return what a run came to, in numbers of files; `waiting` are those whose turn is in a later run."""
    counts = {name: progress.outcomes[name] for name in _COUNTED}
    return {
        "asked": sum(counts.values()),
        **counts,
        "pictures": progress.pictures,
        "requests": requests,
        "seconds": round(seconds, 3),
        "errors": list(progress.errors),
    }


def due_pages(catalog: Catalog, wish: Wish, size: int = IDS_AT_ONCE) -> Iterator[dict[str, str]]:
    """Yield the files that are due, each with the reason, for each `size` files that there are."""
    after, place = "", 0
    while True:
        with catalog.read() as conn:
            if wish.hashes is None:
                page: Sequence[str] = hash_page(conn, after, size)
            else:
                page = wish.hashes[place : place + size]
            asked = asked_of(conn, page)
        if not page:
            return
        after, place = page[-1], place + size
        now = catalog.clock()
        reasons = ((sha, due(asked.get(sha), now, everything=wish.everything)) for sha in page)
        yield {sha: reason for sha, reason in reasons if reason is not None}


def parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in parts of `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


class Desk:
    """Where the stages of one run put down what they found; `report` is called whenever `progress` moved.

    `archive` is asked for what the service of `client` does not have; `lost` are the files of this run that
    are of that kind, each with its state.
    """

    def __init__(
        self,
        catalog: Catalog,
        client: Client,
        *,
        archive: Archive | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        self.catalog = catalog
        self.client = client
        self.archive = archive
        self.progress = Progress()
        self.lost: dict[str, str] = {}
        self._cancelled = cancelled
        self._report = report

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin another stage."""
        self.progress.stage, self.progress.done, self.progress.total = name, 0, total
        self.moved(0)

    def moved(self, count: int) -> None:
        """Say that so many more are done; raises Cancelled."""
        self.progress.done += count
        self._report(self.progress)
        if self._cancelled():
            raise Cancelled("the sync was stopped", remedy="the next one goes on where this one stopped")

    def store(self, outcomes: Sequence[Outcome], versions: Sequence[Version] = ()) -> None:
        """Store versions and what they mean for files, in one transaction."""
        gone = [one.sha256 for one in outcomes if one.state == GONE]
        with self.catalog.write() as unit:
            store_versions(unit, [Sent(*one) for one in versions], SOURCE)
            lost = {key for some in matches_of(unit.conn, gone).values() for key in some}
            versions_are_gone(unit, lost - {one.told.id for one in versions if one.told.id is not None})
            record_outcomes(unit, outcomes)
        self.lost.update((one.sha256, one.state) for one in outcomes if one.state in {NOT_FOUND, GONE})
        self.progress.outcomes.update(one.state for one in outcomes if one.state not in BEGUN)

    def fail(self, sha256s: Sequence[str], error: OutboundError) -> None:
        """Store that these files could not be asked for."""
        log.warning("%d files: %s", len(sha256s), error)
        self.progress.failed(str(error))
        self.store([Outcome(sha256, FAILED, error=str(error)) for sha256 in sha256s])
