"""Counts of the values of fields among all matches: exact, by the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest
from registry.search.fields import FACETS, FIELDS, TAG
from registry.views import Facet, FacetValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    import tantivy

SHOWN: Final = 100
_ALL: Final = 60_000


def check_facets(names: Sequence[str]) -> list[str]:
    """Return the names of facets, each once; `all` is all of them. Raises BadRequest for another name."""
    wanted: dict[str, None] = {}
    for name in names:
        if name == "all":
            wanted |= dict.fromkeys((*FACETS, TAG))
        elif name in FACETS or name == TAG:
            wanted[name] = None
        else:
            raise BadRequest(
                f"there is no facet {name[:80]!r}", remedy=f"facets are all, {TAG}, {', '.join(FACETS)}"
            )
    return list(wanted)


def count(searcher: tantivy.Searcher, query: tantivy.Query, names: Sequence[str]) -> dict[str, Facet]:
    """Return the counts of the values of each field, the commonest first and then by value."""
    asked = {name: {"terms": {"field": f"f_{name}", "size": _ALL}} for name in names if name != TAG}
    if not asked:
        return {}
    answer = searcher.aggregate(query, asked)
    found = {}
    for name in asked:
        pairs = [(str(bucket["key"]), int(bucket["doc_count"])) for bucket in answer[name]["buckets"]]
        pairs.sort(key=lambda pair: (-pair[1], pair[0]))
        row = FIELDS[name]
        values = [FacetValue(value, row.names.get(value, value), hits) for value, hits in pairs[:SHOWN]]
        found[name] = Facet(name, values, len(pairs))
    return found
