"""Asking for one version by its number, and for its model: no hash is sent, and all else stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.asked import KNOWN
from registry.catalog.lookups import asked_of, matches_of
from registry.catalog.origins import holders_of
from registry.catalog.remote import model_is_gone, store_model, versions_are_gone
from registry.civitai.matching import SHA256, outcome
from registry.civitai.run import SOURCE
from registry.errors import OutboundError

if TYPE_CHECKING:
    from registry.asked import Outcome
    from registry.civitai.run import Desk
    from registry.told import RemoteVersion


def ask_for_version(desk: Desk, version_id: int) -> list[str]:
    """Ask for a version and its model, store both, and return the SHA-256 of its files that are here.

    A file that other versions are known to have as well has this one beside them. What is not there any more
    is marked as gone. Raises OutboundError, Offline and Cancelled.
    """
    desk.stage("version", 1)
    found = desk.client.version(version_id)
    if found is None:
        with desk.catalog.write() as unit:
            versions_are_gone(unit, [version_id])
        return []
    if found.told.id != version_id:
        raise OutboundError(f"asked for version {version_id} it answers with another one")
    outcomes = _outcomes(desk, found.told, version_id)
    desk.store(outcomes, [found])
    if found.told.model_id is not None:
        _ask_for_model(desk, found.told.model_id)
    desk.moved(1)
    return [one.sha256 for one in outcomes]


def _outcomes(desk: Desk, told: RemoteVersion, version_id: int) -> list[Outcome]:
    hashes = [file.hashes[SHA256] for file in told.files if SHA256 in file.hashes]
    with desk.catalog.read() as conn:
        here = sorted({one.sha256 for one in holders_of(conn, hashes)})
        asked, matched = asked_of(conn, here), matches_of(conn, here)
    found = []
    for sha in here:
        known = matched.get(sha, []) if sha in asked and asked[sha].state in KNOWN else []
        found.append(outcome(sha, SHA256, sorted({*known, version_id})))
    return [one for one in found if one is not None]


def _ask_for_model(desk: Desk, model_id: int) -> None:
    found = desk.client.model(model_id)
    if found is not None and found.told.id != model_id:
        raise OutboundError(f"asked for model {model_id} it answers with another one")
    with desk.catalog.write() as unit:
        if found is None:
            model_is_gone(unit, model_id, SOURCE)
        else:
            store_model(unit, found.raw, found.told, SOURCE)
