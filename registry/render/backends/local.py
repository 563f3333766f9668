"""This program itself, with torch and diffusers, on one device of the machine that it runs on."""

from __future__ import annotations

import base64
import binascii
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import torch

from registry.errors import BadPicture, RegistryError
from registry.hashing.contents import open_tensors
from registry.render.bases import Bases
from registry.render.batch import (
    CANCELLED,
    FLAT,
    MEMORY,
    NAN,
    NO_EFFECT,
    Answer,
    Made,
    pack_answer,
    unpack_batch,
)
from registry.render.engine import Cell, Look
from registry.render.fitting import fit
from registry.render.output import pixels_of, png
from registry.render.precision import device_of, free_bytes
from registry.render.reading import ROOM, Adapters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from registry.render.bases import Base
    from registry.render.batch import Batch, CellAsk, LoraAsk
    from registry.render.engine import Drawn
    from registry.render.fitting import Adapter
    from registry.work.lines import Line

BUSY_SECONDS: Final = 30.0
_NO_EFFECT: Final = 1e-3
"""The mean difference of pixels (0 to 1) below which a lora changes nothing that anybody sees."""
_WRITERS: Final = 4
_TEXTS: Final = {
    NAN: "what was drawn holds no numbers, in 32 bits too",
    FLAT: "the picture shows one colour",
    MEMORY: "there is not enough memory to draw one picture of this size",
    CANCELLED: "",
}
_UNDISTILLED: Final = (
    "drawn in few steps without an LCM lora: the setting `draft_loras` (LORAS_DRAFT_LORAS) names one"
)


@dataclass(slots=True)
class _Work:
    """A batch under way: what came of each place, what is drawn, and the pixels of that."""

    batch: Batch
    base: Base
    made: dict[int, Made] = field(default_factory=dict)
    cells: dict[int, Cell] = field(default_factory=dict)
    drawn: dict[int, Drawn] = field(default_factory=dict)


class Local:
    """Draws batches, one at a time, at most `most` pictures at once.

    `draft_loras` are LCM loras by architecture, for batches that name none. Where less than `least_free`
    bytes of a graphics card are free, no base model is opened: whoever uses it was there before. `fetch`
    brings files of loras that are on another machine. `bases` are made for the device unless given.
    """

    def __init__(  # noqa: PLR0913 - what it draws with
        self,
        gpu: int | None = None,
        *,
        most: int = 8,
        least_free: int = 0,
        draft_loras: Mapping[str, str] | None = None,
        fetch: Callable[[LoraAsk], Path] | None = None,
        bases: Bases | None = None,
        adapter_room: int = ROOM,
        free: Callable[[torch.device], int | None] = free_bytes,
    ) -> None:
        self.adapters = Adapters(adapter_room, fetch)
        self.bases = bases or Bases(device_of(gpu), most=most)
        self.bases.on_close = self.adapters.forget
        self._least_free = least_free
        self._draft_loras = draft_loras or {}
        self._free = free

    def draw(self, spec: str, line: Line) -> str:
        """Return the packed answer to a packed batch; BadRequest for what is none."""
        return pack_answer(self._answer(unpack_batch(spec), line))

    def close(self) -> None:
        """Let go of everything."""
        self.adapters.close()
        self.bases.close()

    def _answer(self, batch: Batch, line: Line) -> Answer:
        try:
            busy = self._busy(batch)
            if busy is not None:
                return Answer(busy=busy, seconds=BUSY_SECONDS)
            base = self.bases.open(batch.base, batch.dtype)
            base.draft_with(*self._draft(batch, base))
        except RegistryError as error:
            return Answer(tuple(_failed(cell, error) for cell in batch.cells))
        except torch.OutOfMemoryError:
            self.bases.close()
            text = f"the base model {batch.base.name} does not fit into memory"
            return Answer(tuple(Made(cell.key, problem=MEMORY, text=text) for cell in batch.cells))
        work = _Work(batch, base)
        self._prepare(work, line)
        self.adapters.read_ahead(batch.soon, base)
        self._draw(work, line)
        return Answer(self._made(work))

    def _busy(self, batch: Batch) -> str | None:
        """Return who is to be waited for before a base model is opened."""
        if self.bases.has(batch.base, batch.dtype) or self._has_room():
            return None
        # Ours are in the way too.
        self.bases.close()
        if self._has_room():
            return None
        return "the graphics card has too little free memory: something else is using it"

    def _has_room(self) -> bool:
        free = self._free(self.bases.device)
        return free is None or free >= self._least_free

    def _draft(self, batch: Batch, base: Base) -> tuple[str | None, Callable[[], Adapter]]:
        path = self._draft_path(batch)

        def read() -> Adapter:
            with open_tensors(path or "") as raw:
                return fit("the LCM lora", raw, base.engine.base)

        return path, read

    def _is_distilled(self, batch: Batch) -> bool:
        return batch.draft_lora is not None or bool(self._draft_loras.get(batch.base.architecture))

    def _draft_path(self, batch: Batch) -> str | None:
        if not batch.draft:
            return None
        if batch.draft_lora is not None:
            return str(self.adapters.path(batch.draft_lora))
        return self._draft_loras.get(batch.base.architecture)

    def _prepare(self, work: _Work, line: Line) -> None:
        """Read what the cells need; one that cannot be drawn fails alone."""
        broken: dict[str, RegistryError] = {}
        for place, cell in enumerate(work.batch.cells):
            if place in line.dropped():
                work.made[place] = Made(cell.key, problem=CANCELLED)
                continue
            try:
                if cell.lora is not None and cell.lora.data_sha256 in broken:
                    raise broken[cell.lora.data_sha256]
                work.cells[place] = self._cell(work, cell)
            except RegistryError as error:
                if cell.lora is not None and not isinstance(error, BadPicture):
                    broken[cell.lora.data_sha256] = error
                work.made[place] = _failed(cell, error)
            except torch.OutOfMemoryError:
                work.made[place] = Made(cell.key, problem=MEMORY, text="the lora does not fit into memory")

    def _cell(self, work: _Work, ask: CellAsk) -> Cell:
        lora = None if ask.lora is None or not ask.weight else self.adapters.get(ask.lora, work.base)
        start = None
        if ask.start is not None:
            try:
                data = base64.b64decode(ask.start, validate=True)
            except binascii.Error as error:
                raise BadPicture("a picture to begin with is no base64") from error
            start = pixels_of(data, work.batch.width, work.batch.height)
        return Cell(ask.prompt, ask.seed, ask.negative, lora, ask.weight, start, ask.denoise)

    def _draw(self, work: _Work, line: Line) -> None:
        batch, places = work.batch, list(work.cells)
        look = Look(batch.width, batch.height, batch.steps, batch.sampler, batch.cfg)
        own = {place: number for number, place in enumerate(places)}
        whole = len(batch.cells) * batch.steps
        before = whole - len(places) * batch.steps

        def dropped() -> frozenset[int]:
            return frozenset(own[place] for place in line.dropped() if place in own)

        try:
            for number, drawn in work.base.engine.draw(
                list(work.cells.values()),
                look,
                step=lambda done, _total: line.step(before + done, whole),
                dropped=dropped,
            ):
                work.drawn[places[number]] = drawn
        except RegistryError as error:
            for place in places:
                if place not in work.drawn:
                    work.made[place] = _failed(batch.cells[place], error)

    def _made(self, work: _Work) -> tuple[Made, ...]:
        with ThreadPoolExecutor(_WRITERS) as pool:
            files = {
                place: pool.submit(png, drawn.pixels, work.batch.cells[place].infotext)
                for place, drawn in work.drawn.items()
                if drawn.pixels is not None
            }
        note = _UNDISTILLED if work.batch.draft and not self._is_distilled(work.batch) else ""
        for place, drawn in work.drawn.items():
            problem, text = _judged(work, place, drawn)
            file = files.get(place)
            work.made[place] = Made(
                work.batch.cells[place].key,
                file.result() if file is not None else None,
                problem,
                text or note,
            )
        return tuple(work.made[place] for place in range(len(work.batch.cells)))


def _judged(work: _Work, place: int, drawn: Drawn) -> tuple[str | None, str]:
    """Return what is wrong with a picture; a lora without effect by its weights, or beside one without."""
    if drawn.problem is not None:
        return drawn.problem, _TEXTS.get(drawn.problem, "")
    ask = work.batch.cells[place]
    if drawn.pixels is None or not _has_lora(ask):
        return None, ""
    adapter = work.cells[place].adapter
    if adapter is not None and adapter.is_void:
        return NO_EFFECT, "the weights of the lora change nothing"
    for other, plain in work.drawn.items():
        if (
            plain.pixels is None
            or _has_lora(work.batch.cells[other])
            or not _alike(ask, work.batch.cells[other])
        ):
            continue
        difference = abs(drawn.pixels.astype("float32") - plain.pixels.astype("float32")).mean() / 255
        if difference < _NO_EFFECT:
            return NO_EFFECT, "the picture is the same without the lora"
    return None, ""


def _has_lora(cell: CellAsk) -> bool:
    return cell.lora is not None and cell.weight != 0


def _alike(one: CellAsk, other: CellAsk) -> bool:
    """Whether two pictures differ in their loras alone."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("prompt", "negative", "seed", "start", "denoise")
    )


def _failed(cell: CellAsk, error: RegistryError) -> Made:
    text = f"{error}; {error.remedy}" if error.remedy else str(error)
    return Made(cell.key, problem=error.slug, text=text)
