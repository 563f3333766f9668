"""An index over records that were made by hand or by chance, without any catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.search.engine import Engine
from registry.search.index import Place, State, Writer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from registry.views import SearchRecord

SEGMENT = 25


def indexed(folder: Path, records: Iterable[SearchRecord]) -> Engine:
    """Return an engine over an index of the records, made of several commits."""
    place = Place(folder)
    name = place.fresh()
    writer = Writer(place.open(name))
    some = list(records)
    documents = 0
    for start in range(0, len(some), max(SEGMENT, len(some) // 4)):
        writer.add(some[start : start + max(SEGMENT, len(some) // 4)])
        documents = writer.commit()
    writer.close()
    place.keep(State(name, 1, 1, documents))
    return Engine(place)
