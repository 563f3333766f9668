"""What a task of Miaohua asks our renderer for: its models are those of our lists, by their ids."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.api.context import context_of
from registry.api.dialects.base_models import base_called
from registry.api.dialects.drawing import require_drawable
from registry.api.dialects.miaohua import NAME
from registry.api.dialects.starts import keep_start, key_at, start_of
from registry.api.shelf import shelf_of
from registry.catalog.lookup import resolve
from registry.catalog.origins import of_loras
from registry.catalog.sending import files_to_send
from registry.drawings import FIRST, Asking
from registry.errors import BadRequest, NotFound
from registry.formats.values import quoted
from registry.sampling import LOCAL
from registry.wire.miaohua import KINDS
from registry.wire.miaohua_drawing import SIDES

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.requests import Request

    from registry.api.dialects.starts import Start
    from registry.catalog.entries import Listed
    from registry.wire.miaohua_drawing import Task

_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class _Base(NamedTuple):
    """A base model as our renderer is told of it, and its architecture for when there is no lora."""

    name: str
    architecture: str


def asking_of(request: Request, task: Task) -> Asking:
    """Return what is to be drawn; the picture that it begins with is kept by then.

    Raises BadRequest and NotFound for what cannot be, Forbidden for loras that may not be seen.
    """
    with context_of(request).catalog.read() as conn:
        lora = None if task.lora is None else _lora(request, conn, task.lora[0])
        base = _base(request, conn, task)
    start = _start(request, task)
    return Asking(
        loras=() if lora is None else (lora,),
        architecture=base.architecture if lora is None else "",
        base=base.name,
        weights=() if task.lora is None else (task.lora[1],),
        seeds=task.seeds,
        prompt=task.prompt,
        negative=task.negative,
        size=task.size or _size_like(start),
        steps=task.steps,
        cfg=float(task.scale),
        start=None if start is None else start.key,
        denoise=task.denoising,
        priority=FIRST,
    )


def _lora(request: Request, conn: Connection, versionid: str) -> int:
    found = _listed(request, conn, versionid, KINDS["lora"])
    if found is None:
        raise NotFound(f"there is no lora {quoted(versionid)}", remedy="give a versionid of models/lora")
    require_drawable(request, conn, found.lora_id)
    return found.lora_id


def _base(request: Request, conn: Connection, task: Task) -> _Base:
    """Return the base model: a checkpoint of our lists, or one of the settings by its name."""
    context = context_of(request)
    wanted = task.versionid or task.model_name
    if wanted is None:
        return _Base("", "")
    listed = _listed(request, conn, wanted, KINDS["base"])
    if listed is None:
        name = base_called(context.settings, wanted).name
        return _Base(name, name)
    require_drawable(request, conn, listed.lora_id)
    file = files_to_send(conn, f"id:{listed.lora_id}", context.machine_id)[0]
    # Other tools have their own folders: they are told the name alone.
    local = context.settings.renderer == LOCAL
    place = os.fsdecode(file.mount.rstrip(b"/") + b"/" + file.rel) if local else file.name
    return _Base(place, listed.architecture)


def _listed(request: Request, conn: Connection, versionid: str, kind: str) -> Listed | None:
    """Return the model that a list told whoever asks of, `None` if there is none."""
    if not _ID.fullmatch(versionid):
        return None
    try:
        lora_id = resolve(conn, f"id:{versionid}", context_of(request).machine_id)
    except NotFound:
        return None
    files = shelf_of(request, conn, NAME, of_loras([lora_id])).files
    return next((one for one in files if one.kind == kind), None)


def _start(request: Request, task: Task) -> Start | None:
    if task.image is not None:
        return keep_start(request, task.image)
    if task.address is None:
        return None
    key = key_at(request, task.address)
    if key is None:
        raise BadRequest("init_img is no address of a picture that was uploaded here")
    return start_of(request, key)


def _size_like(start: Start | None) -> tuple[int, int] | None:
    """Return the size of a picture, as near as one can be drawn."""
    if start is None:
        return None
    least, most, step = SIDES
    scale = min(1.0, most / max(start.width, start.height))
    width, height = (max(least, int(side * scale) // step * step) for side in (start.width, start.height))
    return width, height
