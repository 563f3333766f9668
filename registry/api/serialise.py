"""Turning values into JSON answers: one pass of orjson, compressed where the client takes it."""

from __future__ import annotations

import dataclasses
import json
import math
from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson
from starlette.responses import Response

from registry.api.encoding import IDENTITY, WORTH_IT, compress, negotiate

if TYPE_CHECKING:
    from starlette.requests import Request

MEDIA_TYPE = "application/json"
REVALIDATE = "private, no-cache"
VARY = "Accept-Encoding, Authorization, Cookie"


def to_json(value: object) -> bytes:
    """Return JSON of dataclasses and plain values; lone surrogates are escaped, NaN becomes null."""
    try:
        return orjson.dumps(value)
    except TypeError:  # lone surrogates, or integers beyond 64 bits
        return json.dumps(_plain(value), separators=(",", ":"), allow_nan=False).encode("ascii")


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def coding_for(request: Request) -> str:
    """Return the compression to answer this request with."""
    return negotiate(request.headers.get("accept-encoding"))


def answer(request: Request, value: object, *, status: int = 200, etag: str | None = None) -> Response:
    """Return the value as a JSON answer; the answer to a GET without an `etag` gets one made of its bytes."""
    body = to_json(value)
    coding = coding_for(request)
    headers = {"cache-control": REVALIDATE, "vary": VARY}
    if request.method == "GET" and status == 200:
        headers["etag"] = etag or f'"{blake2b(body, digest_size=12).hexdigest()}-{coding}"'
        if etag is None and matches(request.headers.get("if-none-match"), headers["etag"]):
            return Response(status_code=304, headers=headers)
    if coding != IDENTITY and len(body) > WORTH_IT:
        body = compress(body, coding)
        headers["content-encoding"] = coding
    return Response(body, status, headers, MEDIA_TYPE)


def matches(if_none_match: str | None, etag: str) -> bool:
    """Tell whether a client has what `etag` names already (RFC 9110, section 13.1.2: weak comparison)."""
    if if_none_match is None:
        return False
    given = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return etag.removeprefix("W/") in given or given == ["*"]
