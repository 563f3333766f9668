"""One picture of all pictures of a job, by two axes, with labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest
from registry.render import output, plan

if TYPE_CHECKING:
    from registry.render.decoding import Pixels
    from registry.render.plan import Planned
    from registry.rendering import Rendering

_MOST_PIXELS: Final = 120_000_000


def sheet_of(rendering: Rendering, job_id: int, across: str, down: str) -> bytes | None:
    """Return one PNG of the pictures of a job by two axes, `None` where there are none.

    Raises BadRequest for what is no axis, and for a sheet that would be too large.
    """
    results = rendering.results(job_id)
    there = {id(each.planned): each for each in results if each.picture is not None}
    planned = [each.planned for each in results if each.picture is not None]
    if not planned:
        return None
    rows = plan.grid(planned, across, down)
    first = planned[0].spec
    if len(rows) * len(rows[0]) * first.width * first.height > _MOST_PIXELS:
        raise BadRequest(
            f"a sheet of {len(rows[0]):,} x {len(rows):,} pictures is too large",
            remedy="ask for fewer, or for smaller ones with --size",
        )

    def pixels(each: Planned | None) -> Pixels | None:
        data = None if each is None else rendering.picture(there[id(each)].picture or "")
        return None if data is None else output.pixels_of(data, first.width, first.height)

    return output.sheet(
        [[pixels(each) for each in row] for row in rows],
        [str(place) for place in plan.places(planned, across)],
        [str(place) for place in plan.places(planned, down)],
    )
