"""A server with two roots and two tools, and a route that tells what it makes of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotations

from registry.api.access import needs, principal_of
from registry.api.profiles import limits_of, profile_of
from registry.catalog.tokens import TokenScope, create_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

WEBUI = {"dialect": "a1111", "roots": ["more"], "prefix": {"more": "D:\\Lora"}, "nsfw_pictures": "r"}
COMFY = {"dialect": "comfyui", "kinds": ["lora"], "nsfw_entries": "x"}
TOOLS = {"webui": WEBUI, "comfy": COMFY}


def opener(builder: Builder, start: Callable[..., Service]) -> Callable[..., Service]:
    """Return what starts the server with more settings; `/told` tells."""
    builder.root("/srv/loras", label="main")
    builder.root("/mnt/more", label="more")

    def opened(**settings: object) -> Service:
        service = start(**{"tools": TOOLS, **settings})
        service.app.add_api_route("/told", told, dependencies=[needs("read")], methods=["GET"], name="told")
        return service

    return opened


def told(request: Request) -> dict[str, Any]:
    """Answer with what there is to know of the request."""
    profile, limits = profile_of(request), limits_of(request)
    who = principal_of(request)
    return {
        "tool": profile.name,
        "separator": profile.separator,
        "prefix": dict(profile.prefix),
        "pictures": limits.pictures,
        "entries": limits.entries,
        "who": [who.name, who.role],
        "url": str(request.url),
        "next": str(request.url_for("told")),
    }


def token(service: Service, name: str = "friend", role: str = "read", **scope: Any) -> str:
    """Make a token and return its secret; `scope` has members of TokenScope."""
    with service.builder.catalog.write() as unit:
        return create_token(unit, name, role, TokenScope(**scope))


def ask(service: Service, path: str, **more: Any) -> Any:
    """Return the JSON that a GET is answered with."""
    answer = service.ask("GET", path, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def status(service: Service, path: str, method: str = "GET", **more: Any) -> int:
    """Return the status of an answer."""
    return service.ask(method, path, **more).status_code


def bearer(secret: str) -> dict[str, str]:
    """Return the header for a token."""
    return {"Authorization": f"Bearer {secret}"}
