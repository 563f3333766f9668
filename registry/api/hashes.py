"""`/api/v1/loras/by-hash`: which loras have a hash, one or up to a thousand at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.api.access import needs
from registry.api.conditional import view
from registry.api.context import context_of
from registry.api.levels import told_ids
from registry.api.profiles import limits_of
from registry.api.serialise import answer
from registry.api.shapes import HashAnswer, HashMatch
from registry.catalog.lookup import by_hash, loras_of
from registry.catalog.reading import lora_views
from registry.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

router = APIRouter(tags=["hashes"], dependencies=[needs("read")])

MAX_HASHES = 1000
# A beginning of eight digits that more loras share than this is not worth listing in full.
_SHOWN = 50


class HashQuery(BaseModel):
    """Hashes of any kind, each in full or its first 8 or more digits."""

    model_config = ConfigDict(extra="forbid")
    hashes: list[Annotated[str, Field(max_length=200)]] = Field(max_length=MAX_HASHES)


@router.get("/loras/by-hash/{hash}", responses={200: {"model": HashAnswer}})
def find_one(request: Request, digest: Annotated[str, Path(alias="hash", max_length=200)]) -> Response:
    """Find what has a hash, by 8 or more of its first digits; several loras make it ambiguous."""
    context = context_of(request)
    with context.catalog.read() as conn:
        current = view(request, conn, repr(limits_of(request, conn=conn)))
        by_hash(conn, digest, limit=1)
        if current.unchanged:
            return current.not_modified()
        return current.answer(_find(request, conn, [digest]))


@router.post("/loras/by-hash", responses={200: {"model": HashAnswer}})
def find_many(request: Request, query: HashQuery) -> Response:
    """Find what has up to 1,000 hashes."""
    with context_of(request).catalog.read() as conn:
        return answer(request, _find(request, conn, query.hashes))


def _find(request: Request, conn: Connection, hashes: Sequence[str]) -> HashAnswer:
    context = context_of(request)
    found: dict[str, list[int]] = {}
    for digest in dict.fromkeys(hashes):
        try:
            found[digest] = loras_of(by_hash(conn, digest))
        except BadRequest:
            found[digest] = []
    every = {lora_id for lora_ids in found.values() for lora_id in lora_ids}
    told = told_ids(conn, every, limits_of(request, conn=conn), context.searching.place.words)
    found = {
        digest: [lora_id for lora_id in lora_ids if lora_id in told][:_SHOWN]
        for digest, lora_ids in found.items()
    }
    ids = dict.fromkeys(lora_id for lora_ids in found.values() for lora_id in lora_ids)
    views = {lora.id: lora for lora in lora_views(conn, list(ids), context.machine_id)}
    return HashAnswer(
        items=[
            HashMatch(digest, [views[each] for each in lora_ids])
            for digest, lora_ids in found.items()
            if lora_ids
        ],
        ambiguous=[digest for digest, lora_ids in found.items() if len(lora_ids) > 1],
        missing=[digest for digest, lora_ids in found.items() if not lora_ids],
    )
