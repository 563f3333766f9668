"""Answers that say what went wrong: problem details (RFC 9457), and A1111's own shape on its routes.

Source of the latter: AUTOMATIC1111/stable-diffusion-webui `modules/api/api.py`, api_middleware.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson
from starlette.responses import Response

from registry.errors import Ambiguous, RegistryError, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE = "application/problem+json"
DIALECT_PREFIX = "/sdapi/"
# A header each: Chromium offers no log-in for a Basic that stands behind another scheme in the same one.
CHALLENGES = ('Bearer realm="lora-registry"', 'Basic realm="lora-registry", charset="UTF-8"')
SAFE_HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that went wrong, ready to be told; `name` is the error class that A1111's clients see."""

    status: int
    slug: str
    detail: str
    remedy: str = ""
    candidates: tuple[Mapping[str, object], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    name: str = "HTTPException"


class Refused(Exception):
    """A request is answered with a problem before it reaches a route."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def problem_of(error: RegistryError) -> Problem:
    """Return what to tell about one of our errors."""
    candidates = error.candidates if isinstance(error, Ambiguous) else ()
    challenges = CHALLENGES if isinstance(error, Unauthorized) else ()
    headers = tuple(("www-authenticate", challenge) for challenge in challenges)
    return Problem(
        error.status, error.slug, str(error), error.remedy, candidates, headers, type(error).__name__
    )


def respond(problem: Problem, path: str) -> Response:
    """Return the answer to a request for `path`."""
    dialect = path.startswith(DIALECT_PREFIX)
    body = _dialect_body(problem) if dialect else _body(problem)
    headers = {**SAFE_HEADERS, "cache-control": "no-store"}
    media_type = "application/json" if dialect else MEDIA_TYPE
    answer = Response(_dump(body), problem.status, headers, media_type)
    for name, value in problem.headers:
        answer.headers.append(name, value)
    return answer


def _body(problem: Problem) -> dict[str, object]:
    body: dict[str, object] = {
        "type": f"urn:lora-registry:{problem.slug}",
        "title": _title(problem.status),
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.remedy:
        body["remedy"] = problem.remedy
    if problem.candidates:
        body["candidates"] = problem.candidates
    return body


def _dialect_body(problem: Problem) -> dict[str, object]:
    return {"error": problem.name, "detail": problem.detail, "body": "", "errors": problem.detail}


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _dump(body: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # a lone surrogate quoted from the request
        return json.dumps(body).encode()
