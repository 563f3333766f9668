"""The routes of Civitai's REST v1, and where its images lie, answered from a library.

Source: civitai/civitai src/pages/api/v1/models and src/pages/api/v1/model-versions.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from tests.support.civitai_faults import HTML, JSON
from tests.support.civitai_library import DETAILS, IDS, Library, NotThere

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL: Final = "/api/v1/models/{model_id}"
VERSION: Final = "/api/v1/model-versions/{version_id}"
ONE_HASH: Final = "/api/v1/model-versions/by-hash/{digest}"
_IMAGE: Final = "/images/{name}"
_MOST: Final = {DETAILS: 100, IDS: 10_000}
_MAX_ID: Final = 2_147_483_647


def app_of(library: Library) -> FastAPI:
    """Return the application that answers of a library."""
    app = FastAPI(openapi_url=None)
    app.include_router(_single(library))
    app.include_router(_bulk(library))

    @app.exception_handler(HTTPException)
    async def other(_request: Request, error: HTTPException) -> Response:
        return _error(405, "Method not allowed") if error.status_code == 405 else _page(error.status_code)

    return app


def json_or_none(body: bytes) -> Any:
    """Return what a body says in JSON, `None` where it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _single(library: Library) -> APIRouter:
    router = APIRouter()

    @router.get(MODEL)
    async def model(model_id: str) -> Response:
        number = _number(model_id)
        if number is None or not 0 < number <= _MAX_ID:
            return _error(400, f"✖ Invalid input: {model_id[:40]} is no id\n  → at id")
        return _found(partial(library.model_body, number))

    @router.get(VERSION)
    async def version(version_id: str) -> Response:
        number = _number(version_id)
        if number is None:
            return _error(400, "✖ Invalid input: expected number, received NaN\n  → at id")
        if number == 0:
            return _error(400, "Missing modelVersionId")
        if not abs(number) <= _MAX_ID:
            return _error(500, "Failed to fetch model version details")
        return _found(partial(library.version_body, number))

    @router.get(ONE_HASH)
    async def by_hash(digest: str) -> Response:
        return _found(lambda: library.version_body(library.oldest(digest)))

    @router.get(_IMAGE)
    async def image(name: str) -> Response:
        found = library.image(name)
        return _page(404) if found is None else Response(found[0], 200, media_type=found[1])

    return router


def _bulk(library: Library) -> APIRouter:
    router = APIRouter()

    @router.post(DETAILS)
    async def details(request: Request) -> Response:
        sha256s = await _sha256s(library, request, DETAILS)
        if isinstance(sha256s, Response):
            return sha256s
        bodies = [_body_or_null(library, row.version_id) for _, row in library.rows(sha256s)]
        return Response(b"[" + b",".join(bodies) + b"]", 200, media_type=JSON)

    @router.post(IDS)
    async def ids(request: Request) -> Response:
        sha256s = await _sha256s(library, request, IDS)
        if isinstance(sha256s, Response):
            return sha256s
        models = library.tells_models
        found = [
            {
                "modelVersionId": row.version_id,
                **({"modelId": row.model_id} if models else {}),
                "hash": sha256,
            }
            for sha256, row in library.rows(sha256s)
        ]
        return Response(orjson.dumps(found), 200, media_type=JSON)

    return router


async def _sha256s(library: Library, request: Request, route: str) -> list[str] | Response:
    off = library.status_of(route)
    if off is not None:
        return _error(off, "Method not allowed") if off == 405 else _page(off)
    found = json_or_none(await request.body())
    if not isinstance(found, list) or not all(isinstance(one, str) and len(one) == 64 for one in found):
        problem = "Invalid hash"
    elif len(found) > _MOST[route]:
        problem = "Too many hashes"
    else:
        return found
    return _error(400, f"Request must include an array of SHA256 Hashes. {problem}")


def _body_or_null(library: Library, version_id: int) -> bytes:
    try:
        return library.version_body(version_id)
    except NotThere:
        return b"null"


def _found(body: Callable[[], bytes]) -> Response:
    try:
        return Response(body(), 200, media_type=JSON)
    except NotThere as reason:
        return _error(404, str(reason))


def _error(status: int, reason: str) -> Response:
    return Response(orjson.dumps({"error": reason}), status, media_type=JSON)


def _page(status: int) -> Response:
    return Response(f"<!DOCTYPE html><title>{status}</title>", status, media_type=HTML)


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
