"""The field `similar`: which loras are like the one that a text names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.catalog.lookup import resolve
from registry.errors import Ambiguous, BadRequest, NotFound
from registry.measured import RELATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.catalog.engine import Catalog
    from registry.search.likeness import Likeness

_MOST: Final = 1000


class Alike:
    """Finds loras that are like one, whose reference is written as everywhere else."""

    def __init__(self, catalog: Catalog, likeness: Likeness, machine_id: str) -> None:
        self._catalog = catalog
        self._likeness = likeness
        self._machine_id = machine_id

    def __call__(self, text: str) -> Sequence[int]:
        """Return the ids of the loras like one and its own; none for what means no lora, or several."""
        try:
            with self._catalog.read() as conn:
                lora_id = resolve(conn, text, self._machine_id)
        except (NotFound, Ambiguous, BadRequest):
            return ()
        if not self._likeness.sketches([lora_id]):
            return ()
        near, _ = self._likeness.nearest(lora_id, _MOST, RELATED)
        return [lora_id, *(one.lora_id for one in near)]
