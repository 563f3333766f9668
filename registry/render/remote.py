"""What a worker of Dask runs: `draw` for each batch, with base models and loras of its own machine.

It has no database and no settings but these of its environment: LORAS_WORKER_BASES, the folder with base
models, LORAS_WORKER_CACHE, the folder for loras that it fetches, and LORAS_WORKER_CACHE_MB, their room.
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
_ROOM_MB: Final = "20000"


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
                base=replace(batch.base, path=str(path)),
                cells=tuple(
                    cell if cell.lora is None else replace(cell, lora=_here(cell.lora))
                    for cell in batch.cells
                ),
                soon=tuple(_here(each) for each in batch.soon),
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
    room = environment.get(CACHE_MB, _ROOM_MB)
    if not room.isdecimal():
        raise BadRequest(f"{CACHE_MB} is no number of megabytes")
    place = Path(cache).expanduser() if cache else user_cache_path(APP, appauthor=False) / "worker"
    fetched = Fetched(place, int(room) * 1_000_000)
    os.environ.update(OFFLINE)

    from registry.render.backends.local import Local  # noqa: PLC0415 - not before the environment is set

    local = Local(fetch=fetched.fetch)
    return Station(BaseFolder(Path(folder).expanduser()) if folder else None, local)


def _here(lora: LoraAsk) -> LoraAsk:
    """Return a lora without its place on the machine that handed it out, if it can be fetched."""
    return lora if lora.url is None else replace(lora, path=None)
