"""`/api/v1/loras`: pages of loras, and all about one."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.background import BackgroundTask

from registry.api import cursor as cursors
from registry.api.access import needs
from registry.api.conditional import view
from registry.api.context import Context, context_of
from registry.api.shapes import LoraPage
from registry.catalog.hashing import want_hashes
from registry.catalog.lookup import resolve
from registry.catalog.reading import list_loras, lora_detail
from registry.errors import BadRequest, CatalogError
from registry.views import LoraDetail

router = APIRouter(tags=["loras"], dependencies=[needs("read")])

Text = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.get("/loras", responses={200: {"model": LoraPage}})
def list_(
    request: Request,
    *,
    sort: Literal["name", "size", "date", "added", "id"] = "name",
    order: Literal["asc", "desc"] = "asc",
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
    state: Literal["present", "missing", "all"] = "present",
    kind: Text = None,
    architecture: Text = None,
    base_model: Text = None,
    adapter: Text = None,
    trainer: Text = None,
    root: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
) -> Response:
    """List loras page by page; an answer stays valid while the catalog does not change."""
    context = context_of(request)
    descending = order == "desc"
    given = {
        "kind": kind,
        "architecture": architecture,
        "base_model": base_model,
        "adapter": adapter,
        "trainer": trainer,
        "root": None if root is None else str(root),
    }
    after = None
    if cursor is not None:
        last = cursors.decode(cursor, sort=sort, descending=descending, text_value=sort == "name")
        after = (last.value, last.id)
    with context.catalog.read() as conn:
        current = view(request, conn)
        if current.unchanged:
            return current.not_modified()
        page = list_loras(
            conn,
            machine_id=context.machine_id,
            sort=sort,
            descending=descending,
            after=after,
            limit=limit,
            state=state,
            filters={name: value for name, value in given.items() if value is not None},
        )
    more = page.next and cursors.encode(cursors.Cursor(sort, descending, *page.next))
    return current.answer(LoraPage(page.items, more, page.total, current.generation))


@router.get("/loras/{ref:path}", responses={200: {"model": LoraDetail}})
def show(
    request: Request,
    ref: Annotated[
        str,
        Path(
            max_length=4096,
            description="an id (`12`, `id:12`), 8 or more digits of any hash (`hash:H`), a path or a name",
        ),
    ],
) -> Response:
    """Show everything known about one lora; an id that was merged away shows what it became."""
    if "\x00" in ref:
        raise BadRequest("no reference has a NUL in it")
    context = context_of(request)
    with context.catalog.read() as conn:
        current = view(request, conn)
        lora_id = resolve(conn, ref, context.machine_id)
        if current.unchanged:
            return current.not_modified()
        detail = lora_detail(conn, lora_id, context.machine_id)
    answer = current.answer(detail)
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
