"""The stage of a run that asks for versions that users chose, by their numbers: no hash is sent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from registry.catalog.choices import askable_choices, unfetched
from registry.catalog.remote import versions_are_gone
from registry.civitai.run import PATIENCE
from registry.civitai.several import Failed, one_by_one

if TYPE_CHECKING:
    from registry.catalog.engine import Catalog
    from registry.civitai.run import Desk, Wish

log = logging.getLogger(__name__)


def due_choices(catalog: Catalog, wish: Wish) -> list[int]:
    """Return the versions that were chosen for what was wished for and whose details are not known."""
    with catalog.read() as conn:
        return unfetched(conn, askable_choices(conn, wish.hashes))


def ask_for_choices(desk: Desk, wish: Wish) -> None:
    """Ask for chosen versions that are not known yet; files and their outcomes stay as they are."""
    wanted = due_choices(desk.catalog, wish)
    if not wanted:
        return
    desk.stage("chosen versions", len(wanted))
    failures = 0
    for version_id, found in one_by_one(desk.client.version, wanted):
        if isinstance(found, Failed):
            failures += 1
            desk.progress.failed(str(found.error))
            if failures >= PATIENCE:
                log.warning("chosen versions: %s; the others are left for the next run", found.error)
                return
            continue
        failures = 0
        if found is None:
            with desk.catalog.write() as unit:
                versions_are_gone(unit, [version_id])
        elif found.told.id == version_id:
            desk.store([], [found])
        else:
            desk.progress.failed(f"asked for version {version_id} it answers with another one")
        desk.moved(1)
