"""`/api/v1/renders`: pictures of loras, drawn in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import actor_of, needs
from registry.api.context import Context, context_of
from registry.api.profiles import limits_of
from registry.api.serialise import answer
from registry.api.shapes import RenderPlan, RenderStarted
from registry.drawings import NEGATIVE, SEED, Asking
from registry.errors import BadRequest, Forbidden

if TYPE_CHECKING:
    from collections.abc import Collection

router = APIRouter(tags=["renders"])

_Id = Annotated[int, Field(ge=0, lt=2**63)]
_Text = Annotated[str, Field(max_length=10_000)]


class RenderBody(BaseModel):
    """What to draw: what a query finds, or some loras; without either the base model alone, by a prompt.

    Every weight is drawn with every seed and prompt. Without a prompt each lora has its own, with `house` one
    for comparing beside it; without weights the preferred one, without a size its own.
    """

    model_config = ConfigDict(extra="forbid")
    query: _Text | None = None
    ids: Annotated[list[_Id], Field(max_length=10_000)] | None = None
    weights: Annotated[list[float], Field(max_length=50)] = []
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1, max_length=1000)] = [
        SEED
    ]
    prompt: _Text | None = None
    house: bool = False
    negative: _Text = NEGATIVE
    width: Annotated[int, Field(ge=64, le=2048)] | None = None
    height: Annotated[int, Field(ge=64, le=2048)] | None = None
    steps: Annotated[int, Field(ge=1, le=200)] = 20
    sampler: Annotated[str, Field(max_length=100)] = "DPM++ 2M"
    cfg: Annotated[float, Field(ge=0, le=30)] = 7.0
    base: Annotated[str, Field(max_length=1000)] = ""
    draft: bool = False
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    ends_at: Annotated[int, Field(ge=0, lt=2**53)] | None = None
    webhook: Annotated[str, Field(max_length=2000)] | None = None
    dry_run: bool = False


@router.post(
    "/renders",
    status_code=202,
    dependencies=[needs("write")],
    responses={
        200: {"model": RenderPlan, "description": "With `dry_run`: what would be drawn"},
        202: {"model": RenderStarted},
    },
)
def render(request: Request, body: RenderBody) -> Response:
    """Start to draw pictures; they become pictures of their loras, and each is drawn once."""
    if limits_of(request).entries is not None:
        raise Forbidden("pictures are drawn for those who are told of all loras")
    context = context_of(request)
    asking = _asking(body, _loras(context, body), context.settings.bases)
    if body.dry_run:
        return answer(request, RenderPlan.of(context.plan_render(asking)))
    job, plan = context.render(asking, actor_of(request))
    return answer(request, RenderStarted(job, RenderPlan.of(plan)), status=202)


def _loras(context: Context, body: RenderBody) -> tuple[int, ...]:
    if body.query is not None and body.ids is not None:
        raise BadRequest("pictures are of a query or of ids", remedy="give one of them")
    if body.query is not None:
        return tuple(context.find(body.query))
    return tuple(dict.fromkeys(body.ids or ()))


def _asking(body: RenderBody, loras: tuple[int, ...], bases: Collection[str]) -> Asking:
    if body.base and body.base not in bases:
        raise BadRequest(
            f"there is no base model called {body.base!r} in the settings",
            remedy=f"these are {', '.join(sorted(bases)) or '(none)'}",
        )
    if (body.width is None) != (body.height is None):
        raise BadRequest("a size is a width and a height", remedy="give both, or none")
    if not loras and (body.query is not None or body.ids is not None):
        raise BadRequest("no lora was found")
    size = None if body.width is None or body.height is None else (body.width, body.height)
    return Asking(
        loras=loras,
        base=body.base,
        weights=tuple(body.weights),
        seeds=tuple(body.seeds),
        prompt=body.prompt,
        house=body.house,
        negative=body.negative,
        size=size,
        steps=body.steps,
        sampler=body.sampler,
        cfg=body.cfg,
        draft=body.draft,
        priority=body.priority,
        ends_at=body.ends_at,
        webhook=body.webhook,
    )
