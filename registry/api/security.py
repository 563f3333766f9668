"""The door in front of all routes: where a request comes from, which token it has, how large it may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from registry.api.access import Principal, secret_of
from registry.api.callers import find_caller, is_loopback_name, parse_networks
from registry.api.origins import Origins
from registry.api.problems import SAFE_HEADERS, Problem, Refused, problem_of, respond
from registry.catalog.tokens import find_token, used_token
from registry.errors import CatalogError, RegistryError, Unauthorized

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from registry.api.callers import Caller
    from registry.api.context import Context
    from registry.api.throttle import Throttle
    from registry.catalog.tokens import TokenView

MAX_BODY = 1 << 20
USED_EVERY_MS = 60_000
# Somebody who only asks whether the server lives learns nothing else.
OPEN_PATHS = frozenset({"/healthz"})


class Door:
    """ASGI middleware that admits requests and puts a Principal into `scope["state"]`."""

    def __init__(self, app: ASGIApp, context: Context, throttle: Throttle) -> None:
        settings = context.settings
        self._app = app
        self._catalog = context.catalog
        self._throttle = throttle
        self._origins = Origins(settings)
        self._trusted = parse_networks(settings.trusted_proxies)
        self._local_is_admin = is_loopback_name(settings.host) and not settings.require_token
        self._unsafe_open = settings.unsafe_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token: TokenView | None = None
        try:
            headers = Headers(scope=scope)
            self._check(scope, headers)
            principal, token = await self._admit(scope, headers)
        except Refused as refusal:
            await respond(refusal.problem, scope["path"])(scope, receive, send)
            return
        except RegistryError as error:
            await respond(problem_of(error), scope["path"])(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, _capped(receive), _guarded(send))
        if token is not None and self._catalog.clock() - (token.used_at or 0) > USED_EVERY_MS:
            await run_in_threadpool(self._note_use, token)

    def _check(self, scope: Scope, headers: Headers) -> None:
        server = scope.get("server")
        objection = self._origins.objection(scope["method"], headers, server[0] if server else None)
        if objection is not None:
            raise Refused(objection)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 18 or int(length) > MAX_BODY:
            raise Refused(_TOO_LARGE)

    async def _admit(self, scope: Scope, headers: Headers) -> tuple[Principal, TokenView | None]:
        peer = scope.get("client")
        caller = find_caller(peer[0] if peer else None, scope["headers"], self._trusted)
        given = headers.get("authorization")
        if given is not None:
            token = await self._token(caller, given)
            return Principal(token.name, token.role, token.id), token
        if caller.loopback and self._local_is_admin:
            return Principal(None, "admin"), None
        if self._unsafe_open:
            # Choosing folders of this machine stays with those who sit at it or hold a token.
            return Principal(None, "write"), None
        if scope["path"] in OPEN_PATHS:
            return Principal(None, "read"), None
        raise Unauthorized("this server wants a token", remedy="make one with `loras token create`")

    async def _token(self, caller: Caller, authorization: str) -> TokenView:
        # Looked up before anybody is slowed: behind one address some may guess while others know, and however
        # many look-ups there are, none guesses 32 random bytes.
        secret = secret_of(authorization)
        token = await run_in_threadpool(self._find, secret) if secret else None
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

    def _find(self, secret: str) -> TokenView | None:
        with self._catalog.read() as conn:
            return find_token(conn, secret)

    def _note_use(self, token: TokenView) -> None:
        try:
            with self._catalog.write() as unit:
                used_token(unit, token.id)
        except CatalogError:
            return  # a catalog that is busy or full serves on; the next request notes it


_TOO_LARGE = Problem(413, "too-large", "request bodies are limited to 1 MiB", "send it in parts")


def _capped(receive: Receive) -> Receive:
    """Stop a body that turns out to be larger than allowed."""
    seen = 0

    async def capped() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY:
            raise HTTPException(413, _TOO_LARGE.detail)
        return message

    return capped


def _guarded(send: Send) -> Send:
    """Tell browsers not to guess types, follow, frame or load anything."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SAFE_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return guarded
