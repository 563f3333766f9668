"""Paths whose clients name their token in the body: everybody is let in, as nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from registry.api import dialects
from registry.api.access import needs, principal_of
from registry.api.problems import Refused, problem_of, respond
from registry.api.security import Door
from registry.api.throttle import Throttle
from registry.api.tokens import Tokens, principal_of_secret
from registry.errors import RegistryError
from tests.support.catalogs import open_builder
from tests.support.serving import REMOTE, Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

PATH, PLAIN = "/list", "/plain"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    builder = open_builder(tmp_path)
    yield Service(builder, tmp_path, lambda: 0.0)
    builder.catalog.close()


async def by_body(request: Request) -> Response:
    body = await request.json()
    before = principal_of(request).role
    who = await run_in_threadpool(principal_of_secret, request, body["token"])
    await needs("read").dependency(request)
    return JSONResponse([before, who.name, principal_of(request).role])


async def by_role(request: Request) -> Response:
    await needs("read").dependency(request)
    return JSONResponse(principal_of(request).role)


async def told(request: Request, error: Exception) -> Response:
    problem = error.problem if isinstance(error, Refused) else problem_of(error)  # type: ignore[arg-type]
    return respond(problem, request.url.path)


def application(service: Service) -> Starlette:
    context = service.app.state.context
    tokens = Tokens(context.catalog, Throttle(lambda: 0.0))
    app = Starlette(
        routes=[Route(path, by_body, methods=["POST"]) for path in (PATH, "/other")]
        + [Route(PLAIN, by_role)],
        middleware=[
            Middleware(Door, context=context, tokens=tokens, tell=dialects.respond, body_paths={PATH, PLAIN})
        ],
        exception_handlers={RegistryError: told, Refused: told},
    )
    app.state.tokens = tokens
    return app


def post(app: Starlette, path: str, secret: str, method: str = "POST") -> httpx.Response:
    async def send() -> httpx.Response:
        transport: Any = httpx.ASGITransport(app, client=REMOTE)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8567") as client:
            return await client.request(method, path, json={"token": secret})

    return asyncio.run(send())


def test_whoever_names_a_token_in_the_body_is_known_by_it(service: Service) -> None:
    answer = post(application(service), PATH, service.token("friend", "write"))
    assert (answer.status_code, answer.json()) == (200, ["nobody", "friend", "write"])


def test_nobody_may_do_anything(service: Service) -> None:
    answer = post(application(service), PLAIN, service.token("friend", "write"), "GET")
    assert (answer.status_code, answer.json()["detail"]) == (401, "this server wants a token")


def test_other_paths_want_the_token_before_the_body(service: Service) -> None:
    assert post(application(service), "/other", service.token("friend", "write")).status_code == 401


def test_a_tool_in_front_changes_nothing_and_is_not_told_to_nobody(service: Service) -> None:
    answer = post(application(service), f"/t/comfx{PATH}", service.token("friend", "read"))
    assert (answer.status_code, answer.json()) == (200, ["nobody", "friend", "read"])


def test_guessing_in_bodies_is_slowed(service: Service) -> None:
    app = application(service)
    assert [post(app, PATH, f"lrt_{number}").status_code for number in range(5)] == [401] * 4 + [429]
    assert post(app, PATH, service.token("friend", "read")).status_code == 200
    assert post(app, PATH, "").status_code == 401
