"""Who draws, as the settings have it: child processes of this program, or a tool that the user runs."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.errors import BadRequest
from registry.formats.packing import pack_json
from registry.net import Door
from registry.render.backends.a1111 import A1111
from registry.render.backends.comfyui import ComfyUI
from registry.work.cluster import seats
from registry.work.executors import Child, Thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.config import Settings
    from registry.work.executors import Worker

URLS: Final = {"a1111": "http://127.0.0.1:7860", "comfyui": "http://127.0.0.1:8188"}
_PATIENCE: Final = 900.0
"""Seconds for which a tool may draw one picture."""
_CHILD: Final = "registry.render.child"


@dataclass(frozen=True, slots=True)
class Renderer:
    """Those who draw, and the doors through which they ask others.

    `key` tells their pictures from those of others, and is that of the workflow as it was read.
    """

    key: str
    workers: Sequence[Worker]
    doors: Sequence[Door] = ()

    def close(self) -> None:
        """Close the doors; whoever hands out closes the workers."""
        for door in self.doors:
            door.close()


def open_renderer(settings: Settings) -> Renderer:
    """Return who draws; nothing is started or asked before there is something to draw.

    Raises BadRequest for a workflow that cannot be read and an address that is not to be used, CannotDraw
    where a library is missing.
    """
    url = url_of(settings)
    auth = None if settings.renderer_auth is None else settings.renderer_auth.get_secret_value()
    # The user named the host, which may be this machine; only then it is asked with the network switched off.
    host = urlsplit(url).hostname or ""
    own, shut = {host}, settings.offline and not _is_here(host)
    if settings.renderer == "a1111":
        quick, patient = (
            Door(offline=shut, own_hosts=own),
            Door(offline=shut, own_hosts=own, seconds=_PATIENCE),
        )
        tool = A1111(quick, url, auth=auth, patient=patient)
        return Renderer(settings.renderer, [Thread(tool.draw)], [quick, patient])
    if settings.renderer == "comfyui":
        door = Door(offline=shut, own_hosts=own)
        workflow = _workflow(settings)
        comfyui = ComfyUI(door, url, workflow, auth=auth)
        return Renderer(_key(settings.renderer, workflow), [Thread(comfyui.draw)], [door])
    if settings.dask_address:
        return Renderer(settings.renderer, seats(settings.dask_address, settings.dask_certificates))
    return Renderer(
        settings.renderer, [Child(_CHILD, _options(settings, gpu)) for gpu in settings.render_gpus or (None,)]
    )


def _key(renderer: str, workflow: str | None) -> str:
    if workflow is None:
        return renderer
    return f"{renderer} {hashlib.blake2b(workflow.encode(), digest_size=8).hexdigest()}"


def url_of(settings: Settings) -> str:
    """Return where the tool answers that draws, nothing where this program does."""
    return (settings.renderer_url or URLS[settings.renderer]) if settings.renderer in URLS else ""


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _options(settings: Settings, gpu: int | None) -> str:
    options = {
        "gpu": gpu,
        "most": settings.render_most,
        "least_free": settings.render_vram_mb * 1_000_000,
        "draft_loras": {name: str(Path(place).expanduser()) for name, place in settings.draft_loras.items()},
    }
    return pack_json(options).decode()


def _workflow(settings: Settings) -> str | None:
    place = settings.renderer_workflow
    if place is None:
        return None
    try:
        return place.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(
            f"the workflow {place} cannot be read: {error}", remedy="see the setting `renderer_workflow`"
        ) from None
