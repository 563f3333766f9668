"""`<stem>.swarm.json` of SwarmUI: ModelSpec's keys and its own, all of them with ModelSpec's prefix.

Source: mcmonkeyprojects/SwarmUI src/Text2Image/T2IModel.cs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.formats.modelspec import PREFIX
from registry.formats.sidecar_values import of_modelspec, record, said

if TYPE_CHECKING:
    from registry.told import SidecarFacts

FAMILIES: Final = ("swarmui",)


def read(value: object) -> SidecarFacts | None:
    """Return what SwarmUI says; `None` for a file of another tool."""
    return said(of_modelspec(value), theirs=any(key.startswith(PREFIX) for key in record(value)))
