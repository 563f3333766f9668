"""The page of one lora: everything known about it, its pictures, and the form for what is noted of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse

from registry.catalog.curation import carry_offer
from registry.catalog.curation_history import history_of, revision
from registry.catalog.detail import lora_detail
from registry.catalog.hashing import want_hashes
from registry.catalog.lookup import resolve
from registry.catalog.pictures import pictures_of
from registry.catalog.showing import known_of
from registry.errors import CatalogError, Forbidden, NotFound
from registry.formats.covers import without_pictures
from registry.lora.fingerprint import VERSION
from registry.shown import Shown
from registry.web import notebook, words
from registry.web.called import called
from registry.web.drawing import drawing_form
from registry.web.editing import editor
from registry.web.frame import endpoint, root_of, whole
from registry.web.gallery import gallery
from registry.web.origin import origin
from registry.web.particulars import particulars
from registry.web.rendering import HEADERS, page, revalidated, unchanged
from registry.web.underway import underway
from registry.web.weights import weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection
    from starlette.requests import Request
    from starlette.responses import Response

    from registry.catalog.curation_history import HistoryEntry
    from registry.catalog.pictures import PictureView
    from registry.views import LoraDetail
    from registry.web.notebook import Differing
    from registry.web.sources import Sources, Viewer
    from registry.web.underway import Underway
    from registry.web.weights import Weights

_HISTORY: Final = 30
_DIGITS: Final = 18


class Notice(NamedTuple):
    """What was done, or why it was not; `undo` is the batch that takes it back.

    Of what goes on `again` is the address of the page as it is by then, and `poll` one for scripts, which is
    answered with it once there is something new. `job` is the address of the job that does it.
    """

    text: str
    remedy: str = ""
    undo: int | None = None
    bad: bool = False
    again: str | None = None
    poll: str | None = None
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a page says beside the lora: a notice, and of a form that was refused what was typed into it.

    `typed` is of the form of notes, `asked` of the one that asks for pictures.
    """

    notice: Notice | None = None
    typed: Mapping[str, str] = field(default_factory=dict)
    differing: tuple[Differing, ...] = ()
    status: int = 200
    asked: Mapping[str, str] = field(default_factory=dict)


class _Read(NamedTuple):
    detail: LoraDetail
    pictures: list[PictureView]
    revision: int
    history: list[HistoryEntry]
    carry: int | None


def lora_id_of(given: str) -> int:
    """Return the number in an address; NotFound for what is none."""
    if not (given.isascii() and given.isdecimal() and len(given) <= _DIGITS):
        raise NotFound("there is no such lora")
    return int(given)


def shown_lora(sources: Sources) -> Callable[[Request], Response]:
    """Return the endpoint that shows a lora; an id that was merged away leads to what it became."""

    def show(sources: Sources, request: Request, viewer: Viewer) -> Response:
        given = request.path_params["id"]
        with sources.catalog.read() as conn:
            lora_id = resolve(conn, f"id:{lora_id_of(given)}", sources.machine_id)
            if str(lora_id) != given:
                url = f"{root_of(request)}{words.lora_url(lora_id)}"
                return RedirectResponse(url, headers=dict(HEADERS))
            drawn = underway(conn, lora_id, request.query_params) if may_draw(viewer) else None
            if drawn is not None and drawn.nothing_new:
                return unchanged()
            read = _read(sources, conn, lora_id)
        notice = _notice(request) if drawn is None else _of_drawing(drawn)
        answer = revalidated(request, _body(sources, request, viewer, read, Told(notice)))
        files = read.detail.lora.files
        if any(file.state == "present" and file.hash_state == "pending" for file in files):
            answer.background = BackgroundTask(_hash_soon, sources, lora_id)
        return answer

    return endpoint(sources, show)


def lora_page(sources: Sources, request: Request, viewer: Viewer, lora_id: int, told: Told) -> Response:
    """Return the page of a lora after something was refused."""
    with sources.catalog.read() as conn:
        read = _read(sources, conn, lora_id)
    return page(_body(sources, request, viewer, read, told), status=told.status)


def _read(sources: Sources, conn: Connection, lora_id: int) -> _Read:
    levels = sources.searching.place.words
    known = known_of(conn, [lora_id], words=levels)
    detail = lora_detail(conn, lora_id, sources.machine_id, levels)
    return _Read(
        detail,
        pictures_of(conn, lora_id, known[lora_id]),
        revision(conn, lora_id),
        history_of(conn, lora_id, limit=_HISTORY),
        carry_offer(conn, lora_id),
    )


def _body(sources: Sources, request: Request, viewer: Viewer, read: _Read, told: Told) -> bytes:
    detail = read.detail
    shown = detail.shown or Shown(detail.lora.name)
    _require_listed(viewer, shown)
    if not viewer.limits.shows(shown.nsfw_level):
        detail = replace(detail, metadata=without_pictures(detail.metadata))
    chosen = detail.curation.get("cover")
    cover = chosen if isinstance(chosen, str) else None
    name = called(shown)
    return whole(
        sources,
        request,
        "lora.html",
        viewer,
        busy=told.notice is not None and told.notice.poll is not None,
        here=words.lora_url(detail.lora.id),
        lora=particulars(detail),
        called=name,
        origin=origin(detail, sources.catalog.clock()),
        gallery=gallery(read.pictures, viewer.limits.shows, name.name, cover),
        edit=editor(detail, read.revision, told.typed) if viewer.may_write else None,
        offers=notebook.offers(detail.sidecars) if viewer.may_write else (),
        carry=read.carry if viewer.may_write else None,
        weights=_weights(detail),
        draw=drawing_form(sources.program(request).settings.bases, told.asked) if may_draw(viewer) else None,
        past=[
            notebook.past(
                field=one.field, old=one.old, new=one.new, at=one.at, actor=one.actor, kind=one.kind,
                batch=one.batch,
            )
            for one in read.history
        ],
        notice=told.notice,
        differing=told.differing,
    )  # fmt: skip


def _weights(detail: LoraDetail) -> Weights | None:
    found = detail.weights
    return None if found is None else weights(detail.lora.id, found, current=found.version == VERSION)


def may_draw(viewer: Viewer) -> bool:
    """Whether pictures are drawn for a viewer: they may be of loras that not everybody is told of."""
    return viewer.may_write and viewer.limits.entries is None


def require_may_draw(viewer: Viewer) -> None:
    """Raise Forbidden for a viewer that no pictures are drawn for."""
    if not viewer.may_write:
        raise Forbidden("drawing pictures needs the role write", remedy="use a token with that role")
    if not may_draw(viewer):
        raise Forbidden("pictures are drawn for those who are told of all loras")


def require_listed(sources: Sources, conn: Connection, viewer: Viewer, lora_id: int) -> None:
    """Raise Forbidden for a lora above the level of what a viewer is told of."""
    if viewer.limits.entries is not None:
        _require_listed(viewer, known_of(conn, [lora_id], words=sources.searching.place.words)[lora_id].shown)


def _require_listed(viewer: Viewer, shown: Shown) -> None:
    if not viewer.limits.lists(shown.nsfw_level):
        raise Forbidden("hidden by level", remedy="this token or tool is told of no lora of that level")


def _of_drawing(drawn: Underway) -> Notice:
    return Notice(drawn.text, bad=drawn.bad, again=drawn.again, poll=drawn.poll, job=drawn.job)


def _notice(request: Request) -> Notice | None:
    """Return what a form did that led here; the address names the batch."""
    for name, text in (("saved", "Saved."), ("undone", "Taken back.")):
        given = request.query_params.get(name, "")
        if given.isascii() and given.isdecimal() and len(given) <= _DIGITS:
            batch = int(given)
            return Notice(text, undo=batch) if batch else Notice("Nothing was changed.")
    return None


def _hash_soon(sources: Sources, lora_id: int) -> None:
    """Hash what somebody looks at before the rest; a hint, for it is hashed in its turn anyway."""
    with contextlib.suppress(CatalogError), sources.catalog.write() as unit:
        want_hashes(unit, lora_id)
