"""The files that a request of another tool is told of: its roots, its kinds, its levels, in its order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from registry.api.context import context_of
from registry.api.profiles import limits_of, placed_roots, profile_of
from registry.catalog.changes import loras_changed_since
from registry.catalog.entries import bare_entries, entries_of, listed_among, listed_files
from registry.catalog.showing import known_of
from registry.catalog.tag_lists import TagNames
from registry.formats.nsfw import LEVELS, NAMES
from registry.formats.showing import limited

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection
    from starlette.requests import Request

    from registry.api.context import Context
    from registry.api.profiles import Limits
    from registry.catalog.entries import Listed
    from registry.shown import Entry
    from registry.toolpaths import Profile

_AT_ONCE: Final = 500
_BARE_AT_ONCE: Final = 5_000
_MOST: Final = 10_000_000
_NO_ROOT: Final = 0


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a request may be told of: `files` in the order of its roots, `withheld` how many more there are.

    Pictures and prompts above the limit are in none of its entries.
    """

    context: Context
    profile: Profile
    limits: Limits
    files: Sequence[Listed]
    withheld: int

    def entries(
        self, conn: Connection, files: Sequence[Listed] | None = None, names: TagNames | None = None
    ) -> list[Entry]:
        """Return all that is told of some of the files, in their order."""
        wanted = self.files if files is None else files
        found = entries_of(
            conn,
            wanted,
            words=self.context.searching.place.words,
            names=names,
            pictures=self.limits.pictures,
        )
        return [replace(one, shown=limited(one.shown, self.limits.shows)) for one in found]

    def batches(self, files: Sequence[Listed] | None = None) -> Iterator[list[Entry]]:
        """Yield the entries of some of the files bit by bit, so that a large library is never held whole."""
        wanted = self.files if files is None else files
        names = TagNames()
        for start in range(0, len(wanted), _AT_ONCE):
            with self.context.catalog.read() as conn:
                found = self.entries(conn, wanted[start : start + _AT_ONCE], names)
            yield found

    def whole(self, chosen: Sequence[Entry]) -> Iterator[Entry]:
        """Yield entries that tell little once more, with all that is told of them."""
        files = {one.file_id: one for one in self.files}
        for batch in self.batches([files[entry.file_id] for entry in chosen]):
            yield from batch

    def bare(self) -> Iterator[Entry]:
        """Yield entries that tell no more than what lists are chosen and sorted by."""
        for start in range(0, len(self.files), _BARE_AT_ONCE):
            with self.context.catalog.read() as conn:
                found = bare_entries(conn, self.files[start : start + _BARE_AT_ONCE])
            yield from found


def shelf_of(
    request: Request, conn: Connection, dialect: str, which: ColumnElement[bool] | None = None
) -> Shelf:
    """Return what a request of a dialect may be told of; raises as `profile_of` does.

    With a condition of `registry.catalog.finding` only of those files is it told, and no others are read.
    """
    context = context_of(request)
    profile, limits = profile_of(request, dialect, conn=conn), limits_of(request, conn=conn)
    roots = placed_roots(conn, context.machine_id)
    # One that has just gone keeps its place, so that those behind it keep theirs.
    ids = [roots[label].id if label in roots else _NO_ROOT for label in profile.roots]
    files = listed_files(conn, ids) if which is None else listed_among(conn, ids, which)
    admitted = [
        one
        for one in files
        if (not profile.kinds or one.kind in profile.kinds)
        and (not profile.architectures or one.architecture in profile.architectures)
    ]
    above = (_above if which is None else _among_above)(context, conn, limits, admitted)
    shown = [one for one in admitted if one.lora_id not in above] if above else admitted
    return Shelf(context, profile, limits, shown, len(admitted) - len(shown))


def _above(context: Context, conn: Connection, limits: Limits, files: Sequence[Listed]) -> set[int]:
    """Return the loras above the limit of entries, as the search knows them, what it lacks as the catalog.

    Where nobody can tell what the index lacks all levels are read from the catalog, which takes long.
    """
    names = [NAMES[level] for level in LEVELS.values() if not limits.lists(level)]
    if not names:
        return set()
    # Looked at before the index is asked: what it learns in between is read twice and does no harm.
    generation = context.searching.engine.refresh()
    found = set(context.searching.all_ids(f"nsfw:{','.join(names)}", _MOST, hidden=True))
    changed = loras_changed_since(conn, generation)
    if changed is None:
        return _among_above(context, conn, limits, files)
    newer = [one for one in files if one.lora_id in changed] if changed else []
    return (found - changed) | _among_above(context, conn, limits, newer)


def _among_above(context: Context, conn: Connection, limits: Limits, files: Sequence[Listed]) -> set[int]:
    """Return the loras of some files above the limit of entries, as the catalog knows them."""
    if limits.entries is None:
        return set()
    wanted = list(dict.fromkeys(one.lora_id for one in files))
    words, names = context.searching.place.words, TagNames()
    above: set[int] = set()
    for start in range(0, len(wanted), _AT_ONCE):
        known = known_of(conn, wanted[start : start + _AT_ONCE], words=words, names=names)
        above.update(key for key, one in known.items() if not limits.lists(one.shown.nsfw_level))
    return above
