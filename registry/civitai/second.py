"""The last stage of a run: a second source is asked for files that the first does not have, so many a run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from registry.asked import ARCHIVE, FOUND, GONE, NOT_FOUND, Outcome
from registry.catalog.archived import store_archived
from registry.catalog.lookups import match_also, matches_of, record_outcomes
from registry.catalog.remote import fetched_at
from registry.civitai.run import PATIENCE
from registry.civitai.several import Failed, one_by_one

if TYPE_CHECKING:
    from registry.civitai.archive import Archived
    from registry.civitai.run import Desk

log = logging.getLogger(__name__)
_THREADS: Final = 1
"""An archive is run by few people: it is asked one question at a time."""


def ask_the_archive(desk: Desk, most: int) -> bool:
    """Ask for files that were not found in this run, and for gone ones of which nothing is known.

    Return whether anything was found. That it fails is no outcome of a file: it is asked again when the first
    source is.
    """
    if desk.archive is None:
        return False
    wanted = _wanted(desk)[:most]
    if not wanted:
        return False
    desk.stage("archive", len(wanted))
    failures = found_any = 0
    for sha, found in one_by_one(desk.archive.version_of, wanted, _THREADS):
        if isinstance(found, Failed):
            failures += 1
            desk.progress.failed(f"the archive: {found.error}")
            if failures >= PATIENCE:
                log.warning("the archive: %s; the others are left for a later run", found.error)
                break
        else:
            failures = 0
            if found is not None and found.told.id is not None:
                found_any += 1
                _keep(desk, sha, found, found.told.id)
        desk.moved(1)
    return bool(found_any)


def _wanted(desk: Desk) -> list[str]:
    missing = [sha for sha, state in desk.lost.items() if state == NOT_FOUND]
    gone = [sha for sha, state in desk.lost.items() if state == GONE]
    with desk.catalog.read() as conn:
        matched = matches_of(conn, gone)
        known = fetched_at(conn, sorted({key for some in matched.values() for key in some}))
    return missing + [sha for sha in gone if known.keys().isdisjoint(matched.get(sha, ()))]


def _keep(desk: Desk, sha256: str, found: Archived, version_id: int) -> None:
    with desk.catalog.write() as unit:
        if desk.lost[sha256] == GONE:
            match_also(unit, sha256, version_id)
        else:
            record_outcomes(unit, [Outcome(sha256, FOUND, ARCHIVE, (version_id,))])
        store_archived(unit, found.raw, found.told, found.model, ARCHIVE)
    if desk.lost[sha256] != GONE:
        desk.progress.outcomes[NOT_FOUND] -= 1
        desk.progress.outcomes[FOUND] += 1
