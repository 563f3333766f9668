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
    curation,
    dialects,
    duplicates,
    events,
    exports,
    files,
    fingerprints,
    forgets,
    hashes,
    jobs,
    links,
    loras,
    notes,
    pictures,
    problem_rows,
    renders,
    roots,
    saved_searches,
    scans,
    search,
    status,
    syncs,
)
from registry.api.openapi import describe
from registry.api.prepared import PreparedAnswers
from registry.api.problems import Problem, Refused, problem_of
from registry.api.profiles import check_tools
from registry.api.security import Door
from registry.api.shapes import ProblemBody
from registry.api.throttle import Throttle
from registry.api.tokens import Tokens
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
    files,
    links,
    pictures,
    curation,
    fingerprints,
    loras,
    forgets,
    notes,
    duplicates,
    problem_rows,
    roots,
    scans,
    jobs,
    syncs,
    exports,
    renders,
    status,
    events,
)
_ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": ProblemBody, "description": "What went wrong"}
}
# Nothing about requests leaves this machine, whatever the environment says.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
# What a page needs to fetch a file in parts and to verify it.
_FILE_REQUEST = ("If-Match", "If-Range", "Range")
_FILE_ANSWER = ("Accept-Ranges", "Content-Disposition", "Content-Range", "Repr-Digest")
_SLUGS = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}


def create_app(context: Context, *, clock: Callable[[], float] = time.monotonic) -> FastAPI:
    """Return the application that serves a catalog; `clock` gives the seconds by which guessing is slowed.

    Raises BadRequest for settings that cannot be used with this catalog.
    """
    folder = context.settings.data_dir
    prepared = PreparedAnswers(folder if folder.is_dir() else None)
    tokens = Tokens(context.catalog, Throttle(clock))
    check_tools(context)

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
        middleware=_middleware(context, tokens),
        exception_handlers={
            RegistryError: _registry_error,
            Refused: _refused,
            RequestValidationError: _invalid,
            HTTPException: _http_error,
            Exception: _crash,
        },
    )
    app.state.context, app.state.tokens = context, tokens
    for resource in _RESOURCES:
        app.include_router(resource.router, prefix=PREFIX, responses=_ERRORS)
    app.include_router(status.health, responses=_ERRORS)
    app.include_router(compat.mount(prepared))
    for dialect in dialects.dialects():
        app.include_router(dialect.router, tags=dialects.TAGS, responses=dialects.ERRORS)
    describe(app)
    return app


def _middleware(context: Context, tokens: Tokens) -> list[Middleware]:
    body_paths = compat.body_token_paths() | dialects.body_token_paths()
    door = Middleware(Door, context=context, tokens=tokens, tell=dialects.respond, body_paths=body_paths)
    origins = context.settings.cors_origins
    if not origins:
        return [door]
    # In front of the door, so that pages of these origins can read refusals too.
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "If-None-Match", "Last-Event-ID", *_FILE_REQUEST],
        expose_headers=["ETag", *_FILE_ANSWER],
    )
    return [cors, door]


async def _registry_error(request: Request, error: RegistryError) -> Response:
    return dialects.respond(problem_of(error), request.scope)


async def _refused(request: Request, refusal: Refused) -> Response:
    return dialects.respond(refusal.problem, request.scope)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    wrong = [f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors()[:10]]
    problem = Problem(
        400, "bad-request", "; ".join(wrong), "see /openapi.json", name="RequestValidationError"
    )
    return dialects.respond(problem, request.scope)


async def _http_error(request: Request, error: HTTPException) -> Response:
    slug = _SLUGS.get(error.status_code, "http-error")
    headers = tuple((error.headers or {}).items())
    problem = Problem(error.status_code, slug, str(error.detail), headers=headers)
    return dialects.respond(problem, request.scope)


async def _crash(request: Request, _: Exception) -> Response:
    # The server logs the error itself; clients learn nothing of its insides.
    problem = Problem(
        500, "internal-error", "something went wrong inside the server", "see its log", name="Exception"
    )
    return dialects.respond(problem, request.scope)
