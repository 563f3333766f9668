"""Who looks at a page: what it may do, and up to which level it is shown pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from registry.api.access import principal_of
from registry.api.profiles import Limits, is_capped, limits_of, profile_of
from registry.catalog.tokens import ROLES
from registry.toolpaths import NSFW_LEVELS

if TYPE_CHECKING:
    from starlette.requests import Request

_WRITE = "write"


class Viewer(NamedTuple):
    """Who looks at a page.

    `most` is the highest level that it may ask pictures for, `capped` says that its token or tool limits
    levels. `by_address` says that its token stands in the
    address, which no link of a page keeps.
    """

    name: str | None
    may_write: bool
    limits: Limits
    most: int
    capped: bool
    by_address: bool


def viewer_of(request: Request) -> Viewer:
    """Return who looks at a page. Reads the catalog; raises as `profile_of` does."""
    who = principal_of(request)
    caps = (who.scope.nsfw_pictures, profile_of(request).nsfw_pictures)
    with_token = request.scope["state"]["token"] is not None
    return Viewer(
        name=who.name,
        may_write=who.role in ROLES and ROLES.index(who.role) >= ROLES.index(_WRITE),
        limits=limits_of(request),
        most=min([max(NSFW_LEVELS.values()), *(cap for cap in caps if cap is not None)]),
        capped=is_capped(request),
        by_address=with_token and "authorization" not in request.headers,
    )
