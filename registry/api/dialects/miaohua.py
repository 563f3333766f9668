"""The lists of models of SenseTime Miaohua, whose clients name their token in each body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from registry.api.access import needs
from registry.api.context import context_of
from registry.api.dialects.addresses import Addresses
from registry.api.dialects.answers import Dialect, JsonBody, sent
from registry.api.dialects.origins import ids_by_name, ids_of, one_each, within
from registry.api.shelf import shelf_of
from registry.api.tokens import principal_of_secret
from registry.wire import miaohua
from registry.wire.miaohua import Login, Query

if TYPE_CHECKING:
    from registry.errors import RegistryError

router = APIRouter(prefix="/api/v1b")

NAME: Final = "miaohua"
_KNOWN: Final = "civitai:*"


async def _login(request: Request, body: JsonBody) -> Login:
    login = miaohua.read_login(body)
    await run_in_threadpool(principal_of_secret, request, login.password)
    return login


async def _query(request: Request, body: JsonBody) -> Query:
    query = miaohua.read_query(body)
    # Whoever has said so in a header or in the address is not asked again.
    if query.token and request.scope["state"]["token"] is None:
        await run_in_threadpool(principal_of_secret, request, query.token)
    return query


# Read before the role is asked for: the token is in there.
_LOGIN: Final = Depends(_login)
_QUERY: Final = Depends(_query)
Asked = Annotated[Query, _QUERY]


@router.post("/get_token", dependencies=[_LOGIN, needs("read")])
def get_token(request: Request, login: Annotated[Login, _LOGIN]) -> Response:
    """Give back the token that was sent as the password, if it is known."""
    answer = sent(request, miaohua.token(login))
    answer.headers["cache-control"] = "no-store"
    return answer


@router.post("/models/lora", dependencies=[_QUERY, needs("read")])
def loras(request: Request, query: Asked) -> Response:
    """List LoRAs."""
    return _page(request, query, {miaohua.KINDS["lora"]})


@router.post("/models/base", dependencies=[_QUERY, needs("read")])
def checkpoints(request: Request, query: Asked) -> Response:
    """List checkpoints."""
    return _page(request, query, {miaohua.KINDS["base"]})


@router.post("/models/private", dependencies=[_QUERY, needs("read")])
def unknown(request: Request, query: Asked) -> Response:
    """List what Civitai does not know, LoRAs and checkpoints."""
    return _page(request, query, set(miaohua.KINDS.values()), without=ids_of(request, _KNOWN))


def _page(
    request: Request, query: Query, kinds: set[str], without: set[int] | frozenset[int] = frozenset()
) -> Response:
    addresses = Addresses(request)
    named = None if query.query is None else ids_by_name(request, query.query)
    with context_of(request).catalog.read() as conn:
        shelf = shelf_of(request, conn, NAME)
        files = [
            one
            for one in one_each(shelf.files)
            if one.kind in kinds and one.lora_id not in without and (named is None or one.lora_id in named)
        ]
        end = query.start + query.per_page
        entries = within(shelf.limits, shelf.entries(conn, files[query.start : end]))
        covers = addresses.covers(conn, entries, shelf.limits)
    page = [miaohua.model(entry, demo_picture=covers.get(entry.lora_id, "")) for entry in entries]
    answer = miaohua.models(page, query, has_next=end < len(files))
    return sent(request, answer, withheld=shelf.withheld)


def _failure(error: RegistryError) -> tuple[int, object]:
    return 200, miaohua.failed(error)


_PATHS: Final = [route.path for route in router.routes if isinstance(route, APIRoute)]
DIALECT: Final = Dialect(router, _failure, frozenset(_PATHS))
