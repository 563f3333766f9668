"""A run of the sync: in bulk first, one by one what is left, each answer stored before the next is asked.

By SHA-256 the ids of 10,000 files at once, then the details of 100 versions at once, what users chose by its
number, each model once, and by other hashes one after the other for what the SHA-256 did not find, so many a
run; then a second source, if there is one, for what is still missing. Whatever fails is an outcome of its
files; a run ends for nothing but a cancel, and the next one goes on where it stopped.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.asked import ARCHIVE, FOUND, GONE, KNOWN, NOT_FOUND, Outcome
from registry.catalog.choices import askable_choices, models_of
from registry.catalog.lookups import asked_of, matches_of, other_hashes
from registry.catalog.remote import (
    matched_models,
    model_is_gone,
    models_of_hashes,
    store_model,
    stored_models,
)
from registry.civitai.chosen import ask_for_choices
from registry.civitai.files import ask_for_files
from registry.civitai.matching import SINGLES, asked_as, believed, outcome
from registry.civitai.policy import model_due
from registry.civitai.run import PATIENCE, SOURCE, WAITING, due_pages, parts
from registry.civitai.second import ask_the_archive
from registry.civitai.several import Failed, one_by_one

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.asked import Asked
    from registry.catalog.engine import Catalog
    from registry.catalog.remote import StoredModel
    from registry.civitai.client import Version
    from registry.civitai.run import Desk, Wish

log = logging.getLogger(__name__)
_MODELS_AT_ONCE: Final = 500
_FILES_AT_ONCE: Final = 1000


def carry_out(desk: Desk, wish: Wish) -> None:
    """Ask for what is due; raises Cancelled, and Offline before anything is asked."""
    left: list[str] = []
    desk.stage("files", sum(map(len, due_pages(desk.catalog, wish))))
    for reasons in due_pages(desk.catalog, wish):
        left += ask_for_files(desk, reasons)
    ask_for_choices(desk, wish)
    _ask_for_models(desk, wish)
    if _ask_one_by_one(desk, left, wish.misses):
        _ask_for_models(desk, wish)
    if ask_the_archive(desk, wish.misses):
        _ask_for_models(desk, wish)


def _ask_for_models(desk: Desk, wish: Wish) -> None:
    desk.stage("models")
    failures = 0
    for model_id, found in one_by_one(desk.client.model, due_models(desk.catalog, wish)):
        if isinstance(found, Failed):
            failures += 1
            desk.progress.failed(str(found.error))
            if failures >= PATIENCE:
                log.warning("models: %s; the others are left for the next run", found.error)
                return
            continue
        failures = 0
        with desk.catalog.write() as unit:
            if found is None:
                model_is_gone(unit, model_id, SOURCE)
            elif found.told.id == model_id:
                store_model(unit, found.raw, found.told, SOURCE)
            else:
                desk.progress.failed(f"asked for model {model_id} it answers with another one")
        desk.moved(1)


def due_models(catalog: Catalog, wish: Wish) -> Iterator[int]:
    """Yield the models of the files that were wished for that are to be fetched, each once."""
    seen: set[int] = set()
    for page in _model_pages(catalog, wish):
        now = catalog.clock()
        for model_id, known in page:
            if model_id in seen:
                continue
            seen.add(model_id)
            if known is None or model_due(
                known.checked_at, known.newest_at, now, gone=known.gone, everything=wish.everything
            ):
                yield model_id


def _model_pages(catalog: Catalog, wish: Wish) -> Iterator[list[tuple[int, StoredModel | None]]]:
    """Yield the models of the files that were wished for, with what is known of each.

    Those of versions that users chose are first, and may come again.
    """
    with catalog.read() as conn:
        chosen = sorted(set(models_of(conn, askable_choices(conn, wish.hashes)).values()))
        known = stored_models(conn, chosen)
    yield [(model_id, known.get(model_id)) for model_id in chosen]
    after = 0
    while wish.hashes is None:
        with catalog.read() as conn:
            page = matched_models(conn, after, _MODELS_AT_ONCE)
        if not page:
            return
        yield page
        after = page[-1][0]
    for some in parts(wish.hashes or (), _FILES_AT_ONCE):
        with catalog.read() as conn:
            ids = models_of_hashes(conn, some)
            known = stored_models(conn, ids)
        yield [(model_id, known.get(model_id)) for model_id in ids]


class _Question(NamedTuple):
    """A file and the hashes that it may be known by, by kind."""

    sha256: str
    hashes: dict[str, str]
    asked: Asked | None
    matched: tuple[int, ...]


class _Told(NamedTuple):
    """Which kind of hash found what."""

    kind: str
    version: Version


def _ask_one_by_one(desk: Desk, left: Sequence[str], most: int) -> bool:
    """Ask for files by their other hashes, new ones first; return whether anything was found."""
    wanted = _in_order(desk, left)
    desk.stage("other hashes", min(most, len(wanted)))
    tried = failures = found_any = 0

    def ask(question: _Question) -> _Told | None:
        for kind, digest in question.hashes.items():
            found = desk.client.version_of(digest)
            if found is not None and believed([found.told], kind, digest):
                return _Told(kind, found)
        return None

    for question, found in one_by_one(ask, _questions(desk, islice(wanted, most))):
        tried += 1
        if isinstance(found, Failed):
            failures += 1
            desk.fail([question.sha256], found.error)
            if failures >= PATIENCE:
                break
        else:
            failures = 0
            found_any += found is not None
            _settle(desk, question, found)
        desk.moved(1)
    desk.progress.outcomes[WAITING] += len(wanted) - tried
    return bool(found_any)


def _in_order(desk: Desk, left: Sequence[str]) -> list[str]:
    """Return files that were never asked for by other hashes before those that were."""
    with desk.catalog.read() as conn:
        asked = asked_of(conn, left)
    return sorted(left, key=lambda sha: (sha in asked and asked[sha].state in {NOT_FOUND, *KNOWN}, sha))


def _questions(desk: Desk, wanted: Iterator[str]) -> Iterator[_Question]:
    while some := list(islice(wanted, _FILES_AT_ONCE)):
        with desk.catalog.read() as conn:
            digests, asked, matched = other_hashes(conn, some), asked_of(conn, some), matches_of(conn, some)
        for sha in some:
            known = digests.get(sha, {})
            hashes = {kind: digest for kind in SINGLES if (digest := asked_as(kind, known))}
            yield _Question(sha, hashes, asked.get(sha), tuple(matched.get(sha, ())))


def _settle(desk: Desk, question: _Question, found: _Told | None) -> None:
    if found is not None:
        ids = believed([found.version.told], found.kind, question.hashes[found.kind])
        known = outcome(question.sha256, found.kind, ids)
        desk.store([] if known is None else [known], [found.version])
        return
    asked = question.asked
    if asked is not None and asked.archived:
        # It is as missing as it was; what the archive said of it stays.
        desk.store([Outcome(question.sha256, FOUND, ARCHIVE, question.matched)])
        return
    was_known = asked is not None and asked.state in KNOWN
    desk.store([Outcome(question.sha256, GONE if was_known else NOT_FOUND)])
