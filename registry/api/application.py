"""The web application: routes, the door in front of them, and what is said when something goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from registry.api import (
    compat,
    duplicates,
    events,
    hashes,
    loras,
    problem_rows,
    roots,
    saved_searches,
    scans,
    search,
    status,
)
from registry.api.openapi import describe
from registry.api.prepared import PreparedAnswers
from registry.api.problems import Problem, problem_of, respond
from registry.api.security import Door
from registry.api.shapes import ProblemBody
from registry.api.throttle import Throttle
from registry.api.version import version
from registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fastapi.telemetry import TelemetryConfig

    from registry.api.context import Context

PREFIX = "/api/v1"
# Fixed paths come before `/loras/{ref}`, which takes any text.
_RESOURCES = (
    search,
    saved_searches,
    hashes,
    loras,
    duplicates,
    problem_rows,
    roots,
    scans,
    status,
    events,
)
_ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": ProblemBody, "description": "What went wrong"}
}
# Nothing about requests leaves this machine, whatever the environment says.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
_SLUGS = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}


def create_app(context: Context, *, clock: Callable[[], float] = time.monotonic) -> FastAPI:
    """Return the application that serves a catalog; `clock` gives the seconds by which guessing is slowed."""
    folder = context.settings.data_dir
    prepared = PreparedAnswers(folder if folder.is_dir() else None)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(context.feed.watch_others())
        try:
            yield
        finally:
            context.feed.close()
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            prepared.close()

    # The pages that FastAPI brings to show the document load scripts from elsewhere.
    app = FastAPI(
        title="LoRA registry",
        version=version(),
        summary="A catalog of LoRA files: what they are, where they are, which of them are the same.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        lifespan=lifespan,
        middleware=_middleware(context, Throttle(clock)),
        exception_handlers={
            RegistryError: _registry_error,
            RequestValidationError: _invalid,
            HTTPException: _http_error,
            Exception: _crash,
        },
    )
    app.state.context = context
    for resource in _RESOURCES:
        app.include_router(resource.router, prefix=PREFIX, responses=_ERRORS)
    app.include_router(status.health, responses=_ERRORS)
    app.include_router(compat.mount(prepared))
    describe(app)
    return app


def _middleware(context: Context, throttle: Throttle) -> list[Middleware]:
    door = Middleware(Door, context=context, throttle=throttle)
    origins = context.settings.cors_origins
    if not origins:
        return [door]
    # In front of the door, so that pages of these origins can read refusals too.
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "If-None-Match", "Last-Event-ID"],
        expose_headers=["ETag"],
    )
    return [cors, door]


async def _registry_error(request: Request, error: RegistryError) -> Response:
    return respond(problem_of(error), request.url.path)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    wrong = [f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors()[:10]]
    problem = Problem(
        400, "bad-request", "; ".join(wrong), "see /openapi.json", name="RequestValidationError"
    )
    return respond(problem, request.url.path)


async def _http_error(request: Request, error: HTTPException) -> Response:
    slug = _SLUGS.get(error.status_code, "http-error")
    headers = tuple((error.headers or {}).items())
    return respond(Problem(error.status_code, slug, str(error.detail), headers=headers), request.url.path)


async def _crash(request: Request, _: Exception) -> Response:
    # The server logs the error itself; clients learn nothing of its insides.
    problem = Problem(
        500, "internal-error", "something went wrong inside the server", "see its log", name="Exception"
    )
    return respond(problem, request.url.path)
