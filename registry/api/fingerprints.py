"""What the weights of a lora tell, which others are like it, and the measuring of all."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import actor_of, needs
from registry.api.context import context_of
from registry.api.levels import resolve_told, told_ids
from registry.api.profiles import limits_of
from registry.api.references import ONE, Reference, check_reference
from registry.api.serialise import REVALIDATE, answer, matches
from registry.api.shapes import FingerprintBody, MeasuringStarted, RelativesBody
from registry.formats.block_chart import picture
from registry.measured import RELATED

router = APIRouter(tags=["fingerprints"])

_SVG = "image/svg+xml"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_VARY = "Authorization, Cookie"


class MeasureWish(BaseModel):
    """What to measure: what a query finds, all without one; with `all` also what was measured before."""

    model_config = ConfigDict(extra="forbid")
    query: Annotated[str, Field(max_length=10_000)] = ""
    all: bool = False


class SimilarQuery(BaseModel):
    """How many of the most alike, from which cosine on, and whether it is calculated from the files."""

    model_config = ConfigDict(extra="forbid")
    limit: Annotated[int, Field(ge=1, le=200)] = 20
    least: Annotated[float, Field(ge=-1, le=1, description="the least cosine")] = RELATED
    exact: Annotated[bool, Field(description="calculate it from the files, about a second each")] = False


@router.post(
    "/fingerprints",
    status_code=202,
    dependencies=[needs("write")],
    responses={202: {"model": MeasuringStarted}},
)
def measure(request: Request, wish: MeasureWish | None = None) -> Response:
    """Start to measure the weights of adapters that have no fingerprint yet."""
    wish = wish or MeasureWish()
    job = context_of(request).measure(wish.query, wish.all, actor_of(request))
    return answer(request, MeasuringStarted(job), status=202)


@router.get(
    f"{ONE}/fingerprint.svg",
    dependencies=[needs("read")],
    responses={
        200: {"content": {_SVG: {}}},
        304: {"description": "The client has it already"},
    },
    response_class=Response,
)
def drawn(request: Request, ref: Reference) -> Response:
    """Draw by how much each block changes.

    The ETag is of what is drawn, and stays when anything else of the catalog changes.
    """
    found = context_of(request).fingerprint(_told(request, ref))
    image = picture(found).encode("utf-8", "replace")
    etag = f'"{found.version}-{blake2b(image, digest_size=12).hexdigest()}"'
    headers = {"etag": etag, "cache-control": REVALIDATE, "vary": _VARY, "content-security-policy": _POLICY}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(image, headers=headers, media_type=_SVG)


@router.get(f"{ONE}/fingerprint", dependencies=[needs("read")], responses={200: {"model": FingerprintBody}})
def fingerprint(request: Request, ref: Reference) -> Response:
    """Tell what the weights of a lora tell; they are measured now if they were not yet."""
    lora_id = _told(request, ref)
    return answer(request, FingerprintBody.of(lora_id, context_of(request).fingerprint(lora_id)))


@router.get(f"{ONE}/similar", dependencies=[needs("read")], responses={200: {"model": RelativesBody}})
def similar(request: Request, ref: Reference, query: Annotated[SimilarQuery, Query()]) -> Response:
    """List the loras whose weights are most like those of one."""
    lora_id = _told(request, ref)
    context, limits = context_of(request), limits_of(request)
    found = context.relatives(lora_id, query.limit, query.least, query.exact)
    if limits.entries is None:
        return answer(request, RelativesBody.of(found, 0))
    with context.catalog.read() as conn:
        ids = [item.id for item in found.items]
        told = told_ids(conn, [*ids, *found.parents], limits, context.searching.place.words)
    return answer(request, RelativesBody.of(found, len(set(ids) - told), told))


def _told(request: Request, ref: str) -> int:
    check_reference(ref)
    with context_of(request).catalog.read() as conn:
        return resolve_told(request, conn, ref)
