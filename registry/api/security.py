"""The door in front of all routes: where a request comes from, which token it has, how large it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from registry.api.access import NOBODY, Principal, secret_of, token_wanted
from registry.api.callers import find_caller, is_loopback_name, parse_networks
from registry.api.origins import Origins
from registry.api.prefixes import take_prefixes
from registry.api.problems import SAFE_HEADERS, Problem, Refused, problem_of
from registry.api.signing import Signed, check, find_signature
from registry.catalog.secrets import find_link_key
from registry.errors import Forbidden, NotFound, RegistryError
from registry.toolpaths import check_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from registry.api.callers import Caller
    from registry.api.context import Context
    from registry.api.prefixes import Prefixes
    from registry.api.tokens import Tokens

MAX_BODY = 1 << 20
MAX_PICTURE = 32 << 20
MAX_DRAWING = 43 << 20
"""Of bodies with a picture of `MAX_PICTURE` bytes in base64, and of uploads."""
MAX_ARCHIVE = 256 << 20
# Somebody who only asks whether the server lives learns nothing else.
OPEN_PATHS = frozenset({"/healthz"})
_DRAWING_PATHS = frozenset(
    {
        "/sdapi/v1/img2img",
        "/sdapi/v1/png-info",
        "/api/v1b/task_submit",
        "/api/v1b/upload_img",
        "/api/v1b/upload_imgs",
    }
)
# Of POST routes those that only read need the role that a token in an address has, all others a higher one.
_READING = frozenset({"GET", "HEAD", "POST"})


class Door:
    """ASGI middleware that admits requests and takes from their paths what stands in front.

    `scope["state"]` gets the `principal`, the `caller`, the `token` if there is one, and the `tool` that the
    path chose. `tell` gives the answer to what is refused. To `body_paths` everybody is admitted, as nobody
    until the token in the body is known.
    """

    def __init__(
        self,
        app: ASGIApp,
        context: Context,
        tokens: Tokens,
        tell: Callable[[Problem, Scope], Response],
        body_paths: Collection[str] = (),
    ) -> None:
        settings = context.settings
        self._app = app
        self._catalog = context.catalog
        self._tokens = tokens
        self._tell = tell
        self._tools = context.settings.tools
        self._body_paths = body_paths
        self._origins = Origins(settings)
        self._trusted = parse_networks(settings.trusted_proxies)
        self._local_is_admin = is_loopback_name(settings.host) and not settings.require_token
        self._unsafe_open = settings.unsafe_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        prefixes = None if scope["type"] == "lifespan" else take_prefixes(scope)
        if prefixes is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state |= {"tool": prefixes.tool, "token": None}
        try:
            headers = Headers(scope=scope)
            self._check(scope, headers)
            await self._admit(scope, headers, prefixes)
        except Refused as refusal:
            await self._tell(refusal.problem, scope)(scope, receive, send)
            return
        except RegistryError as error:
            await self._tell(problem_of(error), scope)(scope, receive, send)
            return
        # Strangers whose token is still to be read do not fill the memory before it is.
        most = MAX_BODY if state["principal"].role == NOBODY else _most(scope)
        await self._app(scope, _capped(receive, most), _guarded(send))
        token = state["token"]
        if token is not None and not self._tokens.is_noted(token):
            await run_in_threadpool(self._tokens.note_use, token)

    def _check(self, scope: Scope, headers: Headers) -> None:
        server = scope.get("server")
        objection = self._origins.objection(scope["method"], headers, server[0] if server else None)
        if objection is not None:
            raise Refused(objection)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 18 or int(length) > _most(scope):
            raise Refused(_too_large(_most(scope)))

    async def _admit(self, scope: Scope, headers: Headers, prefixes: Prefixes) -> None:
        if prefixes.twice:
            raise NotFound("there is no such address", remedy="put /t/ and /k/ in front of it once each")
        peer = scope.get("client")
        caller = find_caller(peer[0] if peer else None, scope["headers"], self._trusted)
        state = scope["state"]
        state["caller"] = caller
        given = headers.get("authorization")
        if prefixes.secret is not None:
            state["token"] = await run_in_threadpool(self._tokens.find, caller, prefixes.secret)
            state["principal"] = Principal.of(state["token"])._replace(role="read")
            if scope["method"] not in _READING:
                raise Forbidden("a token in the address may only read", remedy="send it in a header")
        elif given is not None:
            state["token"] = await run_in_threadpool(self._tokens.find, caller, secret_of(given))
            state["principal"] = Principal.of(state["token"])
        else:
            state["principal"] = await self._without_token(scope, caller)
        # Who holds a link, or no more than an address, learns nothing of the tools that there are.
        stranger = state["token"] is None and state["principal"].role in {"read", NOBODY}
        if prefixes.tool is not None and not stranger:
            check_tool(prefixes.tool, self._tools)

    async def _without_token(self, scope: Scope, caller: Caller) -> Principal:
        if scope["method"] in {"GET", "HEAD"} and (signed := find_signature(_query(scope))) is not None:
            # A link is judged by what it says alone, on this machine too: it works everywhere or nowhere.
            await run_in_threadpool(self._judge, scope["path"], signed)
            return Principal(None, "read")
        if caller.loopback and self._local_is_admin:
            return Principal(None, "admin")
        if self._unsafe_open:
            # Choosing folders of this machine stays with those who sit at it or hold a token.
            return Principal(None, "write")
        if scope["path"] in OPEN_PATHS:
            return Principal(None, "read")
        if scope["path"] in self._body_paths:
            return Principal(None, NOBODY)
        raise token_wanted()

    def _judge(self, path: str, signed: Signed) -> None:
        with self._catalog.read() as conn:
            key = find_link_key(conn)
        check(key, path, signed, self._catalog.clock() // 1000)


def _too_large(most: int) -> Problem:
    return Problem(413, "too-large", f"request bodies are limited to {most >> 20} MiB", "send it in parts")


def _most(scope: Scope) -> int:
    """Return how large the body of a request may be: pictures and archives are larger than all else."""
    if (scope["method"], scope["path"]) == ("POST", "/api/v1/notes"):
        return MAX_ARCHIVE
    if scope["method"] == "POST" and scope["path"] in _DRAWING_PATHS:
        return MAX_DRAWING
    picture = scope["method"] == "PUT" and scope["path"].endswith("/pictures")
    return MAX_PICTURE if picture else MAX_BODY


def _query(scope: Scope) -> str:
    return str(scope["query_string"], "latin-1")


def _capped(receive: Receive, most: int) -> Receive:
    """Stop a body that turns out to be larger than allowed."""
    seen = 0

    async def capped() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, _too_large(most).detail)
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
