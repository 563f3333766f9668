"""`DELETE /api/v1/loras/{ref}`: forgetting a lora of which no file is left."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from registry.api.access import actor_of, needs
from registry.api.context import context_of
from registry.api.levels import resolve_told
from registry.api.references import ONE, Reference, check_reference
from registry.api.serialise import answer
from registry.catalog.forgetting import Forgetting
from registry.forgetting import forget_loras
from registry.notekeeping import notes_of

router = APIRouter(tags=["loras"], dependencies=[needs("admin")])

DryRun = Annotated[bool, Query(description="only say what would go")]


@router.delete(ONE, responses={200: {"model": Forgetting}})
def forget(request: Request, ref: Reference, *, dry_run: DryRun = False) -> Response:
    """Forget a lora whose files are all gone, with all that is known of it; a 409 while one is there.

    What was noted of it is put into an archive in the data folder first.
    """
    check_reference(ref)
    context = context_of(request)
    with context.catalog.read() as conn:
        lora_id = resolve_told(request, conn, ref)
    done = forget_loras(
        context.catalog,
        notes_of(context.catalog, context.settings, context.studio),
        [lora_id],
        actor=actor_of(request),
        dry_run=dry_run,
        remove_pictures=context.studio.store.remove,
    )
    return answer(request, done)
