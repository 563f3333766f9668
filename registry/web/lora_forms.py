"""What the forms on the page of a lora ask for: noting, taking back, carrying over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from registry.catalog.curation import copy_from, edit, plan_copy, values_with_provenance
from registry.catalog.curation_history import plan_undo, revision, undo
from registry.catalog.detail import lora_detail
from registry.catalog.lookup import resolve
from registry.curation import plain, read_changes
from registry.errors import BadRequest, Conflict, Forbidden, RegistryError
from registry.web import notebook, words
from registry.web.frame import root_of, viewer_of, wrong
from registry.web.lora_page import Notice, Told, lora_id_of, lora_page, require_listed
from registry.web.rendering import HEADERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from starlette.requests import Request
    from starlette.responses import Response

    from registry.catalog.engine import Unit
    from registry.web.sources import Sources, Viewer

_FIELDS: Final = 200
_REVISION: Final = "revision"
_BATCH: Final = "batch"
_FROM: Final = "from"
_LEVEL: Final = "nsfw"
_DIGITS: Final = 18

Form = dict[str, str]


class _Done(NamedTuple):
    """The batch that an action was, `None` if it changed nothing, and how the address tells it."""

    batch: int | None
    told: str = "saved"


class _Stale(Exception):
    """The notes were changed since the form was made; what of it differs from them."""

    def __init__(self, differing: tuple[notebook.Differing, ...]) -> None:
        super().__init__()
        self.differing = differing


async def read_form(request: Request) -> Form:
    """Return the fields of a form, the last of each name; BadRequest for a body that is none."""
    body = await request.body()
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="replace"
        )
    except ValueError:
        raise BadRequest("that is no form of these pages", remedy="load the page again") from None
    return dict(pairs)


def posted(
    sources: Sources, act: Callable[[Sources, Request, Viewer, Form], Response]
) -> Callable[..., Awaitable[Response]]:
    """Return the endpoint of a form, which is read before anything is done."""

    async def answer(request: Request) -> Response:
        try:
            form = await read_form(request)
        except RegistryError as error:
            return await run_in_threadpool(wrong, sources, request, error)
        return await run_in_threadpool(_acted, sources, request, form, act)

    return answer


def _acted(
    sources: Sources,
    request: Request,
    form: Form,
    act: Callable[[Sources, Request, Viewer, Form], Response],
) -> Response:
    try:
        return act(sources, request, viewer_of(sources, request), form)
    except RegistryError as error:
        return wrong(sources, request, error)


def save(sources: Sources, request: Request, viewer: Viewer, form: Form) -> Response:
    """Note what a form says; one that is older than the notes is refused, with both shown."""
    return _changed(sources, request, viewer, form, _save)


def take_back(sources: Sources, request: Request, viewer: Viewer, form: Form) -> Response:
    """Bring back what a batch replaced in a lora."""
    return _changed(sources, request, viewer, form, _take_back)


def carry_over(sources: Sources, request: Request, viewer: Viewer, form: Form) -> Response:
    """Copy the notes of the lora that this one replaced."""
    return _changed(sources, request, viewer, form, _carry_over)


def _changed(
    sources: Sources,
    request: Request,
    viewer: Viewer,
    form: Form,
    action: Callable[[Sources, Viewer, Unit, int, Form], _Done],
) -> Response:
    if not viewer.may_write:
        raise Forbidden("noting something needs the role write", remedy="use a token with that role")
    wanted = lora_id_of(request.path_params["id"])
    with sources.catalog.read() as conn:
        lora_id = resolve(conn, f"id:{wanted}", sources.machine_id)
        require_listed(sources, conn, viewer, lora_id)
    try:
        with sources.catalog.write(actor=viewer.name) as unit:
            lora_id = resolve(unit.conn, f"id:{wanted}", sources.machine_id)
            require_listed(sources, unit.conn, viewer, lora_id)
            done = action(sources, viewer, unit, lora_id, form)
    except _Stale as stale:
        notice = Notice(
            "These notes were changed since you began to edit them. Nothing was saved.",
            "Save once more to keep what you typed, or load the page again to keep what is there.",
            bad=True,
        )
        told = Told(notice, _typed(form), stale.differing, Conflict.status)
        return lora_page(sources, request, viewer, lora_id, told)
    except (BadRequest, Conflict, Forbidden) as error:
        notice = Notice(words.sentence(str(error)), words.sentence(error.remedy), bad=True)
        told = Told(notice, _typed(form), status=error.status)
        return lora_page(sources, request, viewer, lora_id, told)
    url = f"{root_of(request)}{words.lora_url(lora_id)}?{done.told}={done.batch or 0}"
    return RedirectResponse(url, 303, dict(HEADERS))


def _typed(form: Form) -> Form:
    """Return what was typed into fields, to be shown again."""
    return {name: text for name, text in form.items() if name in {*notebook.BOXES, notebook.OTHER_VERSION}}


def _save(sources: Sources, viewer: Viewer, unit: Unit, lora_id: int, form: Form) -> _Done:
    noted = {name: plain(one.value) for name, one in values_with_provenance(unit.conn, lora_id).items()}
    now = notebook.texts_of(noted)
    detail = lora_detail(unit.conn, lora_id, sources.machine_id)
    given = notebook.given_texts(form, now, notebook.said_elsewhere(detail.sidecars))
    wanted = notebook.changes(given, now)
    if wanted and form.get(_REVISION) != str(revision(unit.conn, lora_id)):
        raise _Stale(notebook.differing(given, now))
    _require_level_kept(viewer, wanted)
    return _Done(edit(unit, [lora_id], read_changes(wanted)).batch if wanted else None)


def _take_back(_: Sources, viewer: Viewer, unit: Unit, lora_id: int, form: Form) -> _Done:
    batch = _number(form, _BATCH)
    if viewer.capped:
        back = plan_undo(unit.conn, batch=batch, lora_id=lora_id)
        _require_level_kept(viewer, [row.field for row in back])
    return _Done(undo(unit, batch=batch, lora_id=lora_id).batch, "undone")


def _carry_over(sources: Sources, viewer: Viewer, unit: Unit, lora_id: int, form: Form) -> _Done:
    origin = resolve(unit.conn, f"id:{_number(form, _FROM)}", sources.machine_id)
    require_listed(sources, unit.conn, viewer, origin)
    _require_level_kept(viewer, [row.field for row in plan_copy(unit.conn, lora_id, origin)])
    return _Done(copy_from(unit, lora_id, origin).batch)


def _require_level_kept(viewer: Viewer, fields: Collection[str]) -> None:
    """Raise Forbidden if one of these fields is the level and the viewer is limited by levels."""
    if viewer.capped and _LEVEL in fields:
        raise Forbidden(
            "this token or tool is limited by levels and changes none",
            remedy="leave the level as it is, or use a token and a tool without such limits",
        )


def _number(form: Form, name: str) -> int:
    given = form.get(name, "")
    if not (given.isascii() and given.isdecimal() and len(given) <= _DIGITS):
        raise BadRequest("that is no form of these pages", remedy="load the page again")
    return int(given)
