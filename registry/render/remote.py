"""What a worker of Dask runs: `draw` for each batch, with base models and loras of its own machine.

It has no database and no settings but these of its environment: LORAS_WORKER_BASES, the folder with base
models, LORAS_WORKER_CACHE, the folder for loras that it fetches, LORAS_WORKER_CACHE_MB, their room, and
LORAS_WORKER_VRAM_MB, the video memory that must be free before a base model is loaded.
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from platformdirs import user_cache_path

from registry.config import APP
from registry.errors import BadRequest
from registry.render.base_folder import BaseFolder
from registry.render.batch import BASE, Answer, Made, pack_answer, pack_batch, unpack_batch
from registry.render.child import OFFLINE
from registry.render.fetched import Fetched
from registry.work.cluster_line import TaskLine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.render.batch import LoraAsk
    from registry.work.lines import Line

BASES: Final = "LORAS_WORKER_BASES"
CACHE: Final = "LORAS_WORKER_CACHE"
CACHE_MB: Final = "LORAS_WORKER_CACHE_MB"
VRAM_MB: Final = "LORAS_WORKER_VRAM_MB"
_ROOM_MB: Final = 20_000
_LEAST_MB: Final = 4000


class Draws(Protocol):
    """Whoever draws on this machine, such as `registry.render.backends.local.Local`."""

    def draw(self, spec: str, line: Line) -> str:
        """Return the packed answer to a packed batch."""


class Station:
    """Draws batches of another machine, one at a time, with the base models in a folder here."""

    def __init__(self, bases: BaseFolder | None, local: Draws) -> None:
        self._bases = bases
        self._local = local
        self._turn = threading.Lock()

    def draw(self, spec: str, line: Line) -> str:
        """Return the packed answer to a packed batch; BadRequest for what is none."""
        batch = unpack_batch(spec)
        with self._turn:
            path = None if self._bases is None else self._bases.find(batch.base)
            if path is None:
                text = self._lacks(batch.base.name)
                return pack_answer(
                    Answer(tuple(Made(cell.key, problem=BASE, text=text) for cell in batch.cells))
                )
            here = replace(
                batch,
                # A copy has times of its own, and so another stamp.
                base=replace(batch.base, path=str(path), stamp=None),
                cells=tuple(replace(cell, lora=_here(cell.lora)) for cell in batch.cells),
                soon=tuple(each for each in map(_here, batch.soon) if each is not None),
                draft_lora=_here(batch.draft_lora),
            )
            return self._local.draw(pack_batch(here), line)

    def _lacks(self, name: str) -> str:
        why = "names no folder" if self._bases is None else "does not hold it"
        return f"the worker {socket.gethostname()} has no base model {name}: {BASES} {why}"


def draw(spec: str) -> str:
    """Return the packed answer to a packed batch, within a task of Dask."""
    with TaskLine() as line:
        return _station().draw(spec, line)


_made: Station | None = None
_making = threading.Lock()


def _station() -> Station:
    global _made  # noqa: PLW0603 - what a process has for all its batches
    with _making:
        if _made is None:
            _made = station_of(os.environ)
        return _made


def station_of(environment: Mapping[str, str]) -> Station:
    """Return who draws in this process, as its environment has it; BadRequest for what is no number."""
    folder = environment.get(BASES)
    cache = environment.get(CACHE)
    room, least = _megabytes(environment, CACHE_MB, _ROOM_MB), _megabytes(environment, VRAM_MB, _LEAST_MB)
    place = Path(cache).expanduser() if cache else user_cache_path(APP, appauthor=False) / "worker"
    fetched = Fetched(place, room)
    os.environ.update(OFFLINE)

    from registry.render.backends.local import Local  # noqa: PLC0415 - not before the environment is set

    local = Local(fetch=fetched.fetch, least_free=least)
    return Station(BaseFolder(Path(folder).expanduser()) if folder else None, local)


def _megabytes(environment: Mapping[str, str], name: str, default: int) -> int:
    """Return a number of bytes that is told in megabytes."""
    told = environment.get(name, str(default))
    if not told.isdecimal():
        raise BadRequest(f"{name} is no number of megabytes")
    return int(told) * 1_000_000


def _here(lora: LoraAsk | None) -> LoraAsk | None:
    """Return a lora without its place on the machine that handed it out, if it can be fetched."""
    return lora if lora is None or lora.url is None else replace(lora, path=None)
