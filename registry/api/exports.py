"""`/api/v1/export`: writing sidecars for other tools beside models."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import actor_of, needs
from registry.api.context import context_of
from registry.api.profiles import limits_of
from registry.api.serialise import answer
from registry.api.shapes import ExportStarted
from registry.errors import BadRequest, Forbidden
from registry.exported import ExportTally, ExportWish

router = APIRouter(tags=["export"])


class ExportBody(BaseModel):
    """What to export, for which tools: what a query finds (an empty one finds everything), or some loras."""

    model_config = ConfigDict(extra="forbid")
    query: Annotated[str, Field(max_length=10_000)] | None = None
    ids: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(max_length=10_000)] | None = None
    to: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=20)] = []
    previews: bool = False
    dry_run: bool = False


@router.post(
    "/export",
    status_code=202,
    dependencies=[needs("write")],
    responses={
        200: {"model": ExportTally, "description": "With `dry_run`: the first 1,000 files to be written"},
        202: {"model": ExportStarted},
    },
)
def export(request: Request, body: ExportBody) -> Response:
    """Start to write sidecars beside the models of writable roots; nothing else is ever written there.

    The result of the job tells the first 200 files that were written.
    """
    if (body.query is None) == (body.ids is None):
        raise BadRequest(
            "an export is of a query or of ids", remedy='give one; `"query": ""` finds everything'
        )
    wish = ExportWish(
        tuple(body.to), body.query or "", None if body.ids is None else tuple(body.ids), body.previews
    )
    context = context_of(request)
    if body.dry_run:
        if limits_of(request).entries is not None:
            raise Forbidden(
                "what would be written may name what this token or tool is not told of",
                remedy="ask for the dry run with a token and a tool without a limit of entries",
            )
        return answer(request, context.plan_export(wish))
    return answer(request, ExportStarted(context.export(wish, actor_of(request))), status=202)
