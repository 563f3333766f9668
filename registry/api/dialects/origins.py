"""What a request may be told of that has a number at Civitai: found by indexes, nothing else is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from registry.api.context import context_of
from registry.api.shelf import shelf_of
from registry.catalog.keys import in_chunks
from registry.catalog.origins import of_loras, origins_by_model, origins_by_version
from registry.errors import IndexDamaged
from registry.search.nodes import Query, Sort
from registry.search.writing import format_query, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection
    from starlette.requests import Request

    from registry.api.profiles import Limits
    from registry.catalog.entries import Listed
    from registry.catalog.origins import Origin
    from registry.shown import Entry

    Number = Callable[[Entry], int | None]

ALL: Final = 10_000_000
_BY_ID: Final = Sort("id")
# As many as fit a query.
_NUMBERS: Final = 100


class Asked(NamedTuple):
    """A request of a dialect in the read unit that answers it."""

    request: Request
    conn: Connection
    dialect: str

    def of_loras(self, lora_ids: Iterable[int]) -> list[Entry]:
        """Return the files of these loras that the request may be told of; raises as `shelf_of` does."""
        found: list[Entry] = []
        for part in in_chunks(sorted(set(lora_ids))):
            shelf = shelf_of(self.request, self.conn, self.dialect, of_loras(part))
            found += shelf.entries(self.conn)
        return found

    def of_versions(self, version_ids: Iterable[int]) -> dict[int, list[Entry]]:
        """Return the files of versions of Civitai: those shown as one, and those that have its bytes."""
        wanted = {key for key in version_ids if key > 0}
        known = [(one.version_id, one) for one in origins_by_version(self.conn, wanted)]
        return self._of_numbers(wanted, known, lambda entry: entry.shown.version_id)

    def of_models(self, model_ids: Iterable[int]) -> dict[int, list[Entry]]:
        """Return the files of models of Civitai, as for versions."""
        wanted = {key for key in model_ids if key > 0}
        known = [(one.model_id or 0, one) for one in origins_by_model(self.conn, wanted)]
        return self._of_numbers(wanted, known, lambda entry: entry.shown.model_id)

    def _of_numbers(
        self, wanted: set[int], known: Sequence[tuple[int, Origin]], number: Number
    ) -> dict[int, list[Entry]]:
        matched: dict[int, set[int]] = {}
        for key, origin in known:
            matched.setdefault(origin.lora_id, set()).add(key)
        found: dict[int, list[Entry]] = {}
        for entry in self.of_loras({*matched, *self._linked(wanted)}):
            keys = {*matched.get(entry.lora_id, ()), number(entry)}
            for key in sorted(key for key in keys if key in wanted and key is not None):
                found.setdefault(key, []).append(entry)
        return found

    def _linked(self, numbers: Iterable[int]) -> list[int]:
        """Return the loras that users or sidecars say are these; none while there is no index yet."""
        wanted, found = sorted(numbers), list[int]()
        for start in range(0, len(wanted), _NUMBERS):
            text = f"civitai:{','.join(map(str, wanted[start : start + _NUMBERS]))}"
            try:
                found += context_of(self.request).searching.all_ids(text, ALL)
            except IndexDamaged:
                return []
        return found


def one_each(files: Iterable[Listed]) -> list[Listed]:
    """Return the first file of each lora, in the order in which loras came into the catalog."""
    first: dict[int, Listed] = {}
    for one in files:
        first.setdefault(one.lora_id, one)
    return [first[lora_id] for lora_id in sorted(first)]


def within(limits: Limits, entries: Iterable[Entry]) -> list[Entry]:
    """Return the files that may be listed by what is shown of them now: the index follows a moment later."""
    return [entry for entry in entries if limits.lists(entry.shown.nsfw_level)]


def ids_of(request: Request, text: str) -> set[int]:
    """Return the loras that a query finds, none for one that asks for nothing; raises IndexDamaged."""
    searching = context_of(request).searching
    where = searching.parse(text)[0].where
    return set() if where is None else set(searching.all_ids(format_query(Query(where, _BY_ID)), ALL))


def ids_by_name(request: Request, text: str) -> set[int]:
    """Return the loras with a name that has these words, or with a tag that begins so."""
    return _ids_by(request, ("name", "ctag", "usertag"), f"{plain(text)}*")


def ids_by_tag(request: Request, tag: str) -> set[int]:
    """Return the loras to which anybody gave a tag, in whatever case."""
    return _ids_by(request, ("ctag", "usertag"), plain(tag))


def _ids_by(request: Request, fields: Iterable[str], value: str) -> set[int]:
    # One by one: of a text that is too long only the beginning is read.
    return set().union(*(ids_of(request, f"{field}:{value}") for field in fields))
