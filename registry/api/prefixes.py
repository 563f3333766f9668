"""What may stand in front of every path: `/t/NAME` chooses a tool profile, `/k/SECRET` says who asks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from starlette.types import Scope

_PREFIX = re.compile(r"/+([tk])/([^/]*)(.*)", re.DOTALL)
# RFC 3986, section 3.3: what may stand in a path as it is.
_UNQUOTED = "/:@!$&'()*+,;=~"


class Prefixes(NamedTuple):
    """What stood in front of a path, in either order, and the `rest` of it.

    `twice` says that one of the two is there again: then there is no rest, for a secret may be in it.
    """

    rest: str
    tool: str | None = None
    secret: str | None = None
    twice: bool = False


def split_prefixes(path: str) -> Prefixes:
    """Return what stands in front of a decoded path; names and secrets may be anything, or empty."""
    found: dict[str, str] = {}
    rest = path
    while (match := _PREFIX.fullmatch(rest)) is not None:
        letter, value, rest = match.groups()
        if letter in found:
            return Prefixes("/", found.get("t"), found.get("k"), twice=True)
        found[letter] = value
    return Prefixes(rest or "/", found.get("t"), found.get("k"))


def take_prefixes(scope: Scope) -> Prefixes:
    """Take what stands in front of the path of a request out of its scope, and return it.

    The path becomes the rest, so that all behind judge it by that alone. Addresses that are made for the
    request keep the tool (`root_path`), never the secret. The scope itself is changed: whoever writes a log
    when the request is over looks at this one.
    """
    given = split_prefixes(scope["path"])
    if given.tool is None and given.secret is None:
        return given
    scope["path"] = given.rest
    scope["raw_path"] = quote(given.rest, safe=_UNQUOTED, errors="replace").encode("ascii")
    if given.tool is not None:
        scope["root_path"] = f"{scope.get('root_path', '')}/t/{given.tool}"
    return given
