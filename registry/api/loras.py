"""`/api/v1/loras`: pages of loras, and all about one."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from registry import cursor as cursors
from registry.api.access import needs
from registry.api.conditional import view
from registry.api.context import Context, context_of
from registry.api.levels import resolve_told, told_of, within
from registry.api.profiles import RAISES, limits_of
from registry.api.references import ONE, Reference, check_reference
from registry.api.shapes import LoraPage
from registry.api.told_pages import Spot, fill, read_spot, write_spot
from registry.catalog.detail import lora_detail
from registry.catalog.filters import check_filters
from registry.catalog.hashing import want_hashes
from registry.catalog.reading import list_loras, place_of
from registry.errors import CatalogError
from registry.views import LoraDetail, Page

router = APIRouter(tags=["loras"], dependencies=[needs("read")])


Text = Annotated[str | None, Field(max_length=200, pattern=r"^[^\x00]*$")]
_FILTERS = ("kind", "architecture", "base_model", "adapter", "trainer", "root")


class LoraQuery(BaseModel):
    """Which loras, in which order, from where on."""

    model_config = ConfigDict(extra="forbid")
    sort: Literal["name", "size", "date", "added", "id"] = "name"
    order: Literal["asc", "desc"] = "asc"
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    cursor: Annotated[str | None, Field(max_length=2000, description="next_cursor of the page before")] = None
    state: Literal["present", "missing", "all"] = "present"
    kind: Text = None
    architecture: Text = None
    base_model: Text = None
    adapter: Text = None
    trainer: Text = None
    nsfw: Annotated[str | None, Field(max_length=20, description=RAISES)] = None
    root: Annotated[int | None, Field(ge=0, lt=2**63)] = None

    def filters(self) -> dict[str, str]:
        """Return what loras must be equal in; BadRequest for a name that cannot be."""
        found = {name: str(value) for name in _FILTERS if (value := getattr(self, name)) is not None}
        check_filters(found)
        return found


@router.get("/loras", responses={200: {"model": LoraPage}})
def list_(request: Request, query: Annotated[LoraQuery, Query()]) -> Response:
    """List loras page by page; an answer stays valid while the catalog does not change."""
    context = context_of(request)
    filters = query.filters()
    descending = query.order == "desc"
    limits = limits_of(request)
    start = _start(query, everything=limits.entries is None)
    with context.catalog.read() as conn:
        current = view(request, conn, repr(limits))
        if current.unchanged:
            return current.not_modified()

        def read(after: tuple[object, int] | None, skip: int, limit: int) -> Page:
            return list_loras(
                conn,
                machine_id=context.machine_id,
                sort=query.sort,
                descending=descending,
                after=after,
                skip=skip,
                limit=limit,
                state=query.state,
                filters=filters,
            )

        if limits.entries is None:
            page = read(start.after, 0, query.limit)
            more = None if page.next is None else cursors.after(query.sort, page.next, descending=descending)
            return current.answer(LoraPage(page.items, more, page.total, current.generation, 0))
        told = fill(
            read,
            lambda views: told_of(conn, views, limits, context.searching.place.words),
            start,
            query.limit,
        )
        after = start.after if told.last is None else place_of(conn, query.sort, told.last)
    spot = Spot(after, told.skip)
    more = write_spot(spot, query.sort, descending=descending) if told.more else None
    return current.answer(LoraPage(told.items, more, told.total, current.generation, told.withheld))


def _start(query: LoraQuery, *, everything: bool) -> Spot:
    """Return where a page begins; raises BadRequest for what is no cursor of this list."""
    if query.cursor is None:
        return Spot()
    fits = cursors.is_text if query.sort == "name" else cursors.is_integer
    descending = query.order == "desc"
    if everything:
        return Spot(cursors.decode(query.cursor, query.sort, fits, descending=descending))
    return read_spot(query.cursor, query.sort, fits, descending=descending)


@router.get(ONE, responses={200: {"model": LoraDetail}})
def show(request: Request, ref: Reference) -> Response:
    """Show everything known about one lora; an id that was merged away shows what it became."""
    check_reference(ref)
    context, limits = context_of(request), limits_of(request)
    with context.catalog.read() as conn:
        current = view(request, conn, repr(limits))
        lora_id = resolve_told(request, conn, ref)
        if current.unchanged:
            return current.not_modified()
        detail = lora_detail(conn, lora_id, context.machine_id, context.searching.place.words)
    answer = current.answer(within(detail, limits))
    if any(file.state == "present" and file.hash_state == "pending" for file in detail.lora.files):
        answer.background = BackgroundTask(_hash_soon, context, lora_id)
    return answer


def _hash_soon(context: Context, lora_id: int) -> None:
    """Hash what somebody looks at before the rest."""
    try:
        with context.catalog.write() as unit:
            want_hashes(unit, lora_id)
    except CatalogError:
        return  # a hint: it is hashed in its turn anyway
