"""Which host names a request may use, and which web pages may send one.

A page of a stranger can reach a server of this machine through the browser of its user: by a name that it
lets point here (DNS rebinding), or by a plain cross-site request. Host, Origin and Sec-Fetch-Site tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.api.callers import is_loopback_name, parse_address
from registry.api.problems import Problem

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from registry.config import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on


class Origins:
    """The rules that follow from the settings."""

    def __init__(self, settings: Settings) -> None:
        self._names = {_bare(name) for name in (*settings.allowed_hosts, settings.host)} - _EVERYWHERE
        self._everywhere = settings.host.strip("[]") in _EVERYWHERE
        self._pages = {origin.rstrip("/").lower() for origin in settings.cors_origins}

    def objection(self, method: str, headers: Headers, server: str | None) -> Problem | None:
        """Return why a request must not be served, if so; `server` is the address that it came in at."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._knows_host(_bare(hosts[0]), server):
            return Problem(
                421,
                "unknown-host",
                f"this server is not called {', '.join(hosts)[:200]!r}",
                "use its address, or add the name to allowed_hosts",
            )
        origin = headers.get("origin")
        allowed_page = origin is not None and origin.lower() in self._pages
        if headers.get("sec-fetch-site", "").lower() == "cross-site" and not allowed_page:
            return _CROSS_SITE
        if method in SAFE_METHODS or origin is None or allowed_page:
            return None
        scheme, _, place = origin.lower().partition("://")
        return None if scheme in {"http", "https"} and place == hosts[0].lower() else _CROSS_SITE

    def _knows_host(self, host: str, server: str | None) -> bool:
        if not host:
            return False
        if is_loopback_name(host) or host in self._names:
            return True
        # No foreign name can be made to look like an address, so any of ours will do.
        address = parse_address(host)
        return address is not None and (self._everywhere or address == parse_address(server))


_CROSS_SITE = Problem(
    403,
    "cross-site",
    "requests from other web sites are not served",
    "add the origin of the page to cors_origins if you trust it",
)


def _bare(host: str) -> str:
    """Return a host without its port, in lower case."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    name = text.partition(":")[0] if text.count(":") == 1 else text
    return name.rstrip(".")
