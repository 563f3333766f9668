"""Filters whose values come from closed tables: a name that no table has is a mistake, not an empty list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import BadRequest
from registry.identify.names import ADAPTERS, ARCHITECTURES, KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

# Filter -> (what several of its values are called, the values).
_TABLES = {
    "kind": ("kinds", KINDS),
    "architecture": ("architectures", tuple(ARCHITECTURES)),
    "adapter": ("adapters", tuple(ADAPTERS)),
}


def check_filters(filters: Mapping[str, str]) -> None:
    """Raise BadRequest, which lists what there is, for a value that its table does not know."""
    for name, (several, known) in _TABLES.items():
        value = filters.get(name)
        if value is not None and value not in known:
            raise BadRequest(f"there is no {name} {value[:80]!r}", remedy=f"{several} are {', '.join(known)}")
