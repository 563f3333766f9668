"""Edits of so many loras that they take turns with everybody else who writes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.catalog.curation import edit, plan_edit
from registry.catalog.curation_rows import still_standing
from registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Collection

    from registry.catalog.engine import Catalog
    from registry.curation import Changes

MOST: Final = 100_000
"""So many loras can be edited at once."""
UNIT: Final = 2000
_PAUSE: Final = 0.01


class Bulk(NamedTuple):
    """What an edit of many came to: which loras were meant and changed, and its batch if it has one."""

    matched: list[int]
    changed: list[int]
    batch: int | None


def edit_many(
    catalog: Catalog,
    lora_ids: Collection[int],
    changes: Changes,
    *,
    actor: str | None = None,
    dry_run: bool = False,
) -> Bulk:
    """Make the changes to what is noted of loras, as one batch in units of 2,000 loras.

    Follows loras that were merged and leaves out those that are gone. Raises BadRequest, before anything is
    written, for changes that do not fit what is noted of one of them. If it fails later, because of what
    somebody else did meanwhile, the units before it stay, and the remedy names their batch. A dry run tells
    which loras would change.
    """
    with catalog.read() as conn:
        matched = still_standing(conn, lora_ids)
        planned = plan_edit(conn, matched, changes)
    if dry_run:
        return Bulk(matched, [*dict.fromkeys(row.lora_id for row in planned)], None)
    batch: int | None = None
    changed: dict[int, None] = {}
    for start in range(0, len(matched), UNIT):
        if start:
            time.sleep(_PAUSE)  # who waits for the lock gets it only if nobody takes it at once
        try:
            with catalog.write(actor=actor) as unit:
                part = still_standing(unit.conn, matched[start : start + UNIT])
                done = edit(unit, part, changes, batch=batch)
        except RegistryError as error:
            if batch is not None:
                error.remedy = f"{len(changed):,} loras were changed before, in batch {batch}. {error.remedy}"
            raise
        batch = batch or done.batch
        changed.update(dict.fromkeys(done.changed))
    return Bulk(matched, [*changed], batch)
