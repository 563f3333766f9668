"""TABLE: the samplers that can be asked for, by the names that A1111 gives them. Pure, and without torch.

What they are in diffusers says `registry.render.samplers`, what other programs call them
`registry.render.called`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL: Final = "local"
SAMPLERS: Final = ("Euler", "DPM++ 2M", "DPM++ 2M Karras", "DDIM", "LCM")
"""Those that this program draws with itself."""
OF_TOOLS: Final = (
    "Euler",
    "Euler a",
    "DPM++ 2M",
    "DPM++ 2M Karras",
    "DPM++ 2M SDE Karras",
    "DPM++ SDE Karras",
    "DDIM",
    "UniPC",
    "LCM",
)
"""Those that another program is told to draw with."""
# Ancestral samplers add noise on the way, and no picture is drawn so here: the same without that noise is
# the nearest thing, and what most clients ask for by default.
INSTEAD: Final[Mapping[str, str]] = {"Euler a": "Euler"}


def samplers_of(renderer: str) -> tuple[str, ...]:
    """Return the names that may be asked for where this `renderer` of the settings draws."""
    return (*SAMPLERS, *INSTEAD) if renderer == LOCAL else OF_TOOLS


def drawn_with(name: str, renderer: str) -> str:
    """Return the sampler that is drawn with for one of these names."""
    return INSTEAD.get(name, name) if renderer == LOCAL else name
