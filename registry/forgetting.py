"""Forgetting loras, after what is noted of them was put into an archive."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from registry.catalog.forgetting import Forgetting, Forgotten, forget, require_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from registry.catalog.engine import Catalog, Unit
    from registry.catalog.forgetting import Candidate
    from registry.notekeeping import NotesFolder


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

    `remove_pictures` gets the keys of pictures that are of nothing any more, once that is certain. Raises
    Conflict where a file is not gone, NotFound where one of the loras is not there, CatalogError.
    """
    archive: Path | None = None
    done = Forgotten()
    loras: list[Candidate] = []
    try:
        with suppress(_Undone), catalog.write(actor=actor) as unit:
            loras = require_gone(unit.conn, lora_ids)
            archive = None if dry_run else notes.write_forgotten(unit, [one.id for one in loras])
            done = forget(unit, lora_ids)
            _end(unit, done, remove_pictures, dry_run=dry_run)
    except BaseException:
        if archive is not None:
            archive.unlink(missing_ok=True)
        raise
    rows = {name: count for name, count in sorted(done.rows.items()) if count}
    return Forgetting(loras, rows, done.pictures, None if archive is None else str(archive), dry_run)


def _end(
    unit: Unit, done: Forgotten, remove_pictures: Callable[[Sequence[str]], object], *, dry_run: bool
) -> None:
    if dry_run:
        raise _Undone

    def remove() -> None:
        remove_pictures(done.pictures)

    unit.after_commit(remove)


class _Undone(Exception):
    """A unit is to leave nothing behind."""
