"""The loras whose weights are most like those of one, ready for pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from registry.measured import RELATIONS
from registry.web.presenters import Badge, Row, row

if TYPE_CHECKING:
    from registry.measured import Relative
    from registry.views import LoraView
    from registry.web.presenters import Marks


class Kin(NamedTuple):
    """A lora as a line of a list, what it is to another one, and the cosine of the two changes."""

    row: Row
    relation: Badge
    cosine: str


def kin(lora: LoraView, marks: Marks, found: Relative) -> Kin:
    """Return a lora that is like another one."""
    relation = Badge(found.relation.replace("-", " "), "", RELATIONS.get(found.relation, ""))
    return Kin(row(lora, marks), relation, f"{found.cosine:.3f}")
