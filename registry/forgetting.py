"""Forgetting loras, after what is noted of them was put into an archive."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from registry.catalog.forgetting import Forgetting, Forgotten, forget, require_gone
from registry.catalog.notes import pictures_given
from registry.notekeeping import pictures_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from registry.catalog.engine import Catalog
    from registry.catalog.forgetting import Candidate
    from registry.notekeeping import NotesFolder

log = logging.getLogger(__name__)


def forget_loras(  # noqa: PLR0913 - what is forgotten, by whom, and what goes with it
    catalog: Catalog,
    notes: NotesFolder,
    lora_ids: Collection[int],
    *,
    actor: str | None = None,
    dry_run: bool = False,
    remove_pictures: Callable[[Sequence[str]], object] = lambda _keys: None,
) -> Forgetting:
    """Forget loras of which all files are gone, all of them or none; with `dry_run` say what would go.

    `remove_pictures` gets the keys of pictures that are of nothing any more, once that is certain; those that
    were given and did not get into the archive keep their files. Raises Conflict where a file is not gone,
    NotFound where one of the loras is not there, CatalogError.
    """
    archive: Path | None = None
    done = Forgotten()
    loras: list[Candidate] = []
    committed: list[bool] = []
    try:
        with suppress(_Undone), catalog.write(actor=actor) as unit:
            loras = require_gone(unit.conn, lora_ids)
            archive = None if dry_run else notes.write_forgotten(unit, [one.id for one in loras])
            given = pictures_given(unit.conn, [*lora_ids])
            done = forget(unit, lora_ids)
            _end_dry_run(dry_run)
            _spare(done, {key for keys in given.values() for key in keys}, archive)
            unit.after_commit(lambda: committed.append(True))
            unit.after_commit(partial(_remove, remove_pictures, done))
    except BaseException:
        # What is forgotten is in the archive alone, whatever goes wrong after that.
        if archive is not None and not committed:
            archive.unlink(missing_ok=True)
        raise
    rows = {name: count for name, count in sorted(done.rows.items()) if count}
    return Forgetting(loras, rows, done.pictures, None if archive is None else str(archive), dry_run)


def _end_dry_run(dry_run: bool) -> None:  # noqa: FBT001 - what was asked for
    if dry_run:
        raise _Undone


def _remove(remove_pictures: Callable[[Sequence[str]], object], done: Forgotten) -> None:
    remove_pictures(done.pictures)


def _spare(done: Forgotten, given: set[str], archive: Path | None) -> None:
    """Take those of the given pictures from what goes that are not in the archive."""
    given -= set() if archive is None else pictures_in(archive)
    spared = [key for key in done.pictures if key in given]
    if spared:
        done.pictures = [key for key in done.pictures if key not in given]
        log.warning(
            "%d given pictures of what was forgotten are not in an archive: their files stay (%s, ...)",
            len(spared),
            spared[0],
        )


class _Undone(Exception):
    """A unit is to leave nothing behind."""
