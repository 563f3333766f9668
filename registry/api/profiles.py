"""What a request is to be told: the profile of a tool, and the levels up to which things are sent."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from registry.api.access import principal_of
from registry.api.context import context_of
from registry.catalog.listing import mounted_roots
from registry.catalog.roots import list_roots
from registry.formats.nsfw import BLOCKED, highest
from registry.toolpaths import (
    BACKSLASH,
    NSFW_LEVELS,
    SLASH,
    Profile,
    check_tool,
    is_windows,
    parse_profile,
    parse_profiles,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection
    from starlette.requests import Request

    from registry.api.context import Context

RAISED = "nsfw"
"""The parameter, or else the cookie, with which a viewer asks for another limit of pictures."""
RAISES = "pictures and prompts up to this level, as far as the token and tool allow: pg, pg13, r, x, xxx"
UNNAMED = ""
"""The name of the profile of who chose none: all roots as they are here."""


class Limits(NamedTuple):
    """The highest levels that are sent: of pictures and prompts, and of entries (`None` = all)."""

    pictures: int
    entries: int | None

    def shows(self, level: int | None) -> bool:
        """Tell whether a picture is sent with its prompt, by its mask; one whose level nothing tells is."""
        return (highest(level) or 0) <= self.pictures

    def lists(self, level: int | None) -> bool:
        """Tell whether a lora is listed; one whose level nothing tells is."""
        return self.entries is None or (highest(level) or 0) <= self.entries


class PlacedRoot(NamedTuple):
    """A root as profiles know it: where it is on this machine, else on the one that scans it."""

    id: int
    path: str


def placed_roots(conn: Connection, machine_id: str) -> dict[str, PlacedRoot]:
    """Return the roots by the names that profiles know them by, in listing order.

    That is the label. Of several with one label the oldest has it, the others are called `LABEL#ID`.
    """
    roots, paths = list_roots(conn, machine_id), mounted_roots(conn, machine_id)
    names: dict[str, int] = {}
    for root in sorted(roots, key=lambda root: root.id):
        name = root.label
        while name in names:
            name = f"{name}#{root.id}"
        names[name] = root.id
    called = {root_id: name for name, root_id in names.items()}
    return {called[root.id]: PlacedRoot(root.id, paths[root.id]) for root in roots}


def check_tools(context: Context) -> None:
    """Raise BadRequest, which names the key, where `[tools]` cannot be used with the roots of the catalog."""
    parse_profiles(context.settings.tools, _paths(context))


def profile_of(request: Request, dialect: str = "a1111", *, conn: Connection | None = None) -> Profile:
    """Return the profile that the path chose, else the token, else the one of all roots as they are here.

    The last has the `dialect` of who asks. Reads the catalog; who reads it already gives that unit, for
    requests with two at a time can wait for each other. Raises NotFound for a tool that is not there any
    more, BadRequest where its roots changed so that it cannot be used.
    """
    context, tool = context_of(request), _tool(request)
    if tool is None:
        return _everything(_paths(context, conn), dialect)
    check_tool(tool, context.settings.tools)
    return parse_profile(tool, context.settings.tools[tool], _paths(context, conn))


def limits_of(request: Request, *, conn: Connection | None = None) -> Limits:
    """Return up to which levels things are sent to whoever asks.

    Profile and token lower what the settings say. The limit of pictures may be raised up to what they allow.
    Reads the catalog where there is a profile, as `profile_of` does, and raises as it does.
    """
    settings, scope = context_of(request).settings, principal_of(request).scope
    pictures, entries = [scope.nsfw_pictures], [scope.nsfw_entries, NSFW_LEVELS.get(settings.nsfw_entries)]
    if _tool(request) is not None:
        profile = profile_of(request, conn=conn)
        pictures.append(profile.nsfw_pictures)
        entries.append(profile.nsfw_entries)
    asked = _asked(request)
    wanted = NSFW_LEVELS.get(settings.nsfw_pictures, BLOCKED) if asked is None else asked
    return Limits(min([wanted, *_set(pictures)]), min(_set(entries), default=None))


def is_capped(request: Request, *, conn: Connection | None = None) -> bool:
    """Tell whether the token or tool of whoever asks limits levels: then it may not change what those are.

    Reads the catalog and raises as `profile_of` does.
    """
    scope, profile = principal_of(request).scope, profile_of(request, conn=conn)
    caps = (scope.nsfw_pictures, scope.nsfw_entries, profile.nsfw_pictures, profile.nsfw_entries)
    return any(cap is not None for cap in caps)


def mark_of(profile: Profile, limits: Limits) -> str:
    """Return what tells apart the answers for several profiles or limits; it belongs into their ETags."""
    told = (
        profile.name, profile.dialect, profile.roots, sorted(profile.prefix.items()), profile.separator,
        sorted(profile.kinds), sorted(profile.architectures), profile.nsfw_entries, limits,
    )  # fmt: skip
    return hashlib.blake2b(repr(told).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _tool(request: Request) -> str | None:
    chosen: str | None = request.scope["state"]["tool"]
    return principal_of(request).scope.tool if chosen is None else chosen


def _paths(context: Context, conn: Connection | None = None) -> dict[str, str]:
    if conn is None:
        with context.catalog.read() as own:
            return _paths(context, own)
    return {name: root.path for name, root in placed_roots(conn, context.machine_id).items()}


def _everything(paths: dict[str, str], dialect: str) -> Profile:
    windows = bool(paths) and all(map(is_windows, paths.values()))
    return Profile(UNNAMED, dialect, tuple(paths), paths, BACKSLASH if windows else SLASH)


def _set(levels: Iterable[int | None]) -> list[int]:
    return [level for level in levels if level is not None]


def _asked(request: Request) -> int | None:
    """Return the level that the viewer asks for, if it is one: tools too have a parameter of that name."""
    # A link shows what it was signed for, whoever opens it.
    linked = request.scope["state"]["token"] is None and principal_of(request).role == "read"
    cookie = None if linked else request.cookies.get(RAISED)
    for given in (request.query_params.get(RAISED), cookie):
        if given is not None:
            level = NSFW_LEVELS.get(given.lower().replace("-", ""))
            if level is not None:
                return level
    return None
