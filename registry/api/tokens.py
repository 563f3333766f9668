"""The tokens of a catalog, as requests bring them: looked up each time, and who guesses is slowed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from registry.api.access import Principal
from registry.api.problems import Problem, Refused
from registry.catalog.tokens import find_token, used_token
from registry.errors import CatalogError, Unauthorized

if TYPE_CHECKING:
    from starlette.requests import Request

    from registry.api.callers import Caller
    from registry.api.throttle import Throttle
    from registry.catalog.engine import Catalog
    from registry.catalog.tokens import TokenView

USED_EVERY_MS = 60_000


class Tokens:
    """Finds the token that a secret is of, whatever way it came; all but `is_noted` wait for the database."""

    def __init__(self, catalog: Catalog, throttle: Throttle) -> None:
        self._catalog = catalog
        self._throttle = throttle

    def find(self, caller: Caller, secret: str | None) -> TokenView:
        """Return the token of a secret; Unauthorized, or Refused for somebody who guesses too fast."""
        # Looked up before anybody is slowed: behind one address some may guess while others know, and however
        # many look-ups there are, none guesses 32 random bytes.
        token = self._look_up(secret) if secret else None
        if token is not None:
            self._throttle.succeeded(caller.key)
            return token
        wait = self._throttle.wait(caller.key)
        if wait > 0:
            again = (("retry-after", str(math.ceil(wait))),)
            raise Refused(
                Problem(429, "slow-down", "too many wrong tokens from there", "wait a little", headers=again)
            )
        self._throttle.failed(caller.key)
        raise Unauthorized("that token is not known", remedy="`loras token list` shows which there are")

    def is_noted(self, token: TokenView) -> bool:
        """Tell whether the use of a token was noted a short while ago."""
        return self._catalog.clock() - (token.used_at or 0) <= USED_EVERY_MS

    def note_use(self, token: TokenView) -> None:
        """Note that a token was used just now."""
        try:
            with self._catalog.write() as unit:
                used_token(unit, token.id)
        except CatalogError:
            return  # a catalog that is busy or full serves on; the next request notes it

    def _look_up(self, secret: str) -> TokenView | None:
        with self._catalog.read() as conn:
            return find_token(conn, secret)


def principal_of_secret(request: Request, secret: str | None) -> Principal:
    """Return who has the token that the body of a request names; from here on it is they who ask.

    Waits for the database. Raises Unauthorized, or Refused for somebody who guesses too fast.
    """
    state = request.scope["state"]
    token = cast("Tokens", request.app.state.tokens).find(state["caller"], secret)
    principal = Principal.of(token)
    state |= {"principal": principal, "token": token}
    return principal
