"""TABLE: samplers by the names that A1111 gives them, and the schedulers of diffusers that they are.

All but LCM solve an ordinary differential equation: no noise is added on the way, so that a picture follows
from its first noise alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import diffusers

from registry.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping


class Sampler(NamedTuple):
    """A class of diffusers, and what it is made with beside the configuration of the base model."""

    scheduler: str
    options: Mapping[str, Any]


SAMPLERS: Final[Mapping[str, Sampler]] = {
    "Euler": Sampler("EulerDiscreteScheduler", {}),
    "DPM++ 2M": Sampler("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "DPM++ 2M Karras": Sampler(
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": True},
    ),
    "DDIM": Sampler("DDIMScheduler", {"clip_sample": False}),
    "LCM": Sampler("LCMScheduler", {}),
}


def scheduler_of(name: str, config: Mapping[str, Any]) -> Any:
    """Return the scheduler of a sampler for a base model; BadRequest for a name that there is not."""
    found = SAMPLERS.get(name)
    if found is None:
        raise BadRequest(f"there is no sampler {name!r}", remedy=f"samplers are {', '.join(SAMPLERS)}")
    return getattr(diffusers, found.scheduler).from_config(config, **found.options)
