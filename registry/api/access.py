"""Who may do what: roles, and what a request brings to prove one."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from fastapi import Depends, Request

from registry.catalog.tokens import ROLES, TokenScope
from registry.errors import Forbidden, Unauthorized

if TYPE_CHECKING:
    from registry.catalog.tokens import TokenView

NOBODY = "nobody"
"""The role of somebody whose token is in a body that nobody has read yet: there is nothing that it may do."""
_WHOLE = TokenScope()


class Principal(NamedTuple):
    """Who asks: the name of the token, `None` without one, the role that goes with it, and the token's id.

    `scope` is what the token chooses and how far it reaches.
    """

    name: str | None
    role: str
    token_id: int | None = None
    scope: TokenScope = _WHOLE

    @classmethod
    def of(cls, token: TokenView) -> Principal:
        """Return whoever has a token."""
        return cls(token.name, token.role, token.id, token.scope)


def token_wanted() -> Unauthorized:
    """Return what somebody is told who brings nothing."""
    return Unauthorized("this server wants a token", remedy="make one with `loras token create`")


def secret_of(authorization: str) -> str | None:
    """Return the token in an Authorization header.

    It is a bearer or the password of Basic, with any user name, or it stands there alone as Novita's clients
    send it.
    """
    scheme, blank, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    if scheme.lower() != "basic":
        return None if blank else scheme or None
    try:
        _, colon, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return password if colon and password else None


def principal_of(request: Request) -> Principal:
    """Return who asks; the door in front of all routes has found out."""
    return cast("Principal", request.scope["state"]["principal"])


def actor_of(request: Request) -> str | None:
    """Return the name that a change is logged under."""
    return principal_of(request).name


def needs(role: str) -> Any:
    """Return the dependency of a route that only this role and higher ones may use."""

    async def check(request: Request) -> None:
        have = principal_of(request).role
        if have == NOBODY:
            raise token_wanted()
        if ROLES.index(have) < ROLES.index(role):
            raise Forbidden(f"that needs the role {role}, not {have}", remedy="use a token with that role")

    check.__dict__["role"] = role
    return Depends(check)
