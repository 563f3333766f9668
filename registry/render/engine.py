"""Pictures by the batch: different adapters at once, or one for many seeds, on one base model.

A picture depends on its own cell alone: its noise comes from its seed, and its neighbours in the batch do not
matter (within rounding).
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import diffusers
import torch

from registry.errors import BadRequest, Cancelled
from registry.render.batch import CANCELLED, FLAT, MEMORY, NAN
from registry.render.batched import batched
from registry.render.decoding import Decoder
from registry.render.fitting import Adapter, BaseModel
from registry.render.patch import merged
from registry.render.precision import in_32_bits
from registry.render.samplers import scheduler_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from registry.render.decoding import Pixels

_NOTHING: Final = Adapter("", ())
# The pipelines that begin with a picture, of the same parts as those that begin with noise.
_BEGUN: Final = {
    "StableDiffusionPipeline": ("StableDiffusionImg2ImgPipeline", {"requires_safety_checker": False}),
    "StableDiffusionXLPipeline": ("StableDiffusionXLImg2ImgPipeline", {"add_watermarker": False}),
}
_NOBODY: Final[frozenset[int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Look:
    """What the pictures of a batch have in common; sizes in pixels, multiples of eight."""

    width: int
    height: int
    steps: int = 20
    sampler: str = "DPM++ 2M"
    cfg: float = 7.0


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One picture that is asked for; without an adapter it is the base model's.

    `start` are the pixels of a picture to begin with, in the size of the look, of which `denoise` (0 to 1, at
    least one step) is drawn anew.
    """

    prompt: str
    seed: int
    negative: str = ""
    adapter: Adapter | None = None
    weight: float = 1.0
    start: Pixels | None = None
    denoise: float = 1.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of a cell: (height, width, 3) pixels, `None` if there are none, and what is wrong with it."""

    pixels: Pixels | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Watch:
    """What a batch is drawn under the eyes of: steps of its cells are told, those nobody wants are known."""

    places: frozenset[int]
    step: Callable[[float], object]
    dropped: Callable[[], frozenset[int]]

    def after(self, part: float) -> None:
        """Tell which part is done; raises Cancelled once nobody wants any of the cells."""
        self.step(part)
        if self.places <= self.dropped():
            raise Cancelled("the drawing was stopped")


class Engine:
    """Draws with one pipeline of diffusers; used by one thread at a time.

    `most` pictures are drawn at once; it becomes less for good where they do not fit into memory.
    """

    def __init__(self, pipe: Any, *, most: int = 8) -> None:
        self.pipe = pipe
        self.most = most
        self.base = base_of(pipe)
        self._decoder = Decoder(pipe)
        # Of the base model itself: what one sampler adds to it is not for the next one.
        self._schedule = pipe.scheduler.config
        begun, options = _BEGUN[type(pipe).__name__]
        self._begun = getattr(diffusers, begun)(**pipe.components, **options)
        for each in (pipe, self._begun):
            each.set_progress_bar_config(disable=True)

    def draw(
        self,
        cells: Sequence[Cell],
        look: Look,
        *,
        step: Callable[[int, int], object] = lambda _done, _total: None,
        dropped: Callable[[], frozenset[int]] = lambda: _NOBODY,
    ) -> Iterator[tuple[int, Drawn]]:
        """Yield each cell's place and what came of it, batch by batch.

        `step` is told how many steps of how many are done, each picture's counted. `dropped` are the places
        of what nobody wants any more, asked before each step: a batch of nothing else stops there, after
        which the model is as it was. What numbers of 16 bits cannot hold is drawn again, alone, in 32.
        Raises BadRequest for an unknown sampler and for sizes that cannot be drawn.
        """
        if look.width % 8 or look.height % 8 or min(look.width, look.height, look.steps) < 1:
            raise BadRequest(f"{look.width} x {look.height} pixels in {look.steps} steps cannot be drawn")
        self.pipe.scheduler = self._begun.scheduler = scheduler_of(look.sampler, self._schedule)
        done, total = 0, len(cells) * look.steps
        for group in _alike(cells):
            waiting = deque(group)
            while waiting:
                batch = [waiting.popleft() for _ in range(min(self.most, len(waiting)))]
                gone = dropped()
                yield from ((place, Drawn(None, CANCELLED)) for place in batch if place in gone)
                batch = [place for place in batch if place not in gone]
                if not batch:
                    continue
                told = _telling(step, done, total, len(batch) * look.steps)
                watch = _Watch(frozenset(batch), told, dropped)
                try:
                    latents = self._latents([cells[place] for place in batch], look, watch)
                except Cancelled:
                    yield from ((place, Drawn(None, CANCELLED)) for place in batch)
                    continue
                except torch.OutOfMemoryError:
                    torch.cuda.empty_cache()
                    if len(batch) == 1:
                        yield batch[0], Drawn(None, MEMORY)
                        continue
                    self.most = (len(batch) + 1) // 2
                    waiting.extendleft(reversed(batch))
                    continue
                done += len(batch) * look.steps
                for place, each in zip(batch, latents, strict=True):
                    quiet = _Watch(frozenset({place}), lambda _: None, dropped)
                    yield place, self._seen(cells[place], each, look, quiet)

    @torch.no_grad()
    def _latents(self, cells: Sequence[Cell], look: Look, watch: _Watch) -> torch.Tensor:
        def after(pipe: Any, number: int, _time: Any, held: dict[str, Any]) -> dict[str, Any]:
            watch.after((number + 1) / pipe.num_timesteps)
            return held

        generators = [torch.Generator().manual_seed(cell.seed) for cell in cells]
        begun = self._starts(cells) if cells[0].start is not None else None
        if begun is None:
            pipe, told = self.pipe, self._noise(look, generators)
        else:
            # No number of steps is none; what is added is lost to rounding down.
            part = max(cells[0].denoise, 1 / look.steps) + 1e-6
            pipe, told = self._begun, {"image": begun, "strength": min(1.0, part)}
        with _put_on(cells):
            found: torch.Tensor = pipe(
                [cell.prompt for cell in cells],
                negative_prompt=[cell.negative for cell in cells],
                num_inference_steps=look.steps,
                guidance_scale=look.cfg,
                generator=generators,
                output_type="latent",
                callback_on_step_end=after,
                **told,
            ).images
        return found

    def _noise(self, look: Look, generators: Iterable[torch.Generator]) -> dict[str, Any]:
        scale, unet = self.pipe.vae_scale_factor, self.pipe.unet
        shape = (1, unet.config.in_channels, look.height // scale, look.width // scale)
        noise = torch.cat([torch.randn(shape, generator=generator) for generator in generators])
        return {"latents": noise.to(unet.device, unet.dtype), "width": look.width, "height": look.height}

    def _starts(self, cells: Sequence[Cell]) -> torch.Tensor:
        found = [self._decoder.encoded(cell.start) for cell in cells if cell.start is not None]
        return torch.cat(found).to(self.pipe.unet.dtype)

    def _seen(self, cell: Cell, latents: torch.Tensor, look: Look, watch: _Watch) -> Drawn:
        """Decode one picture and look at it."""
        if watch.places <= watch.dropped():
            return Drawn(None, CANCELLED)
        try:
            if not bool(torch.isfinite(latents).all()) and self.pipe.unet.dtype != torch.float32:
                with in_32_bits(*self.base.parts.values()):
                    latents = self._latents([cell], look, watch)[0]
            pixels = self._decoder.decoded(latents)
        except Cancelled:
            return Drawn(None, CANCELLED)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return Drawn(None, MEMORY)
        if pixels is None:
            return Drawn(None, NAN)
        return Drawn(pixels, FLAT if self._decoder.is_flat(pixels) else None)


def base_of(pipe: Any) -> BaseModel:
    """Return the parts of a pipeline that adapters change."""
    names = {"unet": "unet", "te1": "text_encoder", "te2": "text_encoder_2"}
    parts = {part: getattr(pipe, name, None) for part, name in names.items()}
    return BaseModel({part: model for part, model in parts.items() if model is not None})


def _alike(cells: Sequence[Cell]) -> Iterable[list[int]]:
    """Return the places of what can be drawn at once: pictures out of noise, or of as much of one."""
    groups: dict[float | None, list[int]] = defaultdict(list)
    for place, cell in enumerate(cells):
        groups[None if cell.start is None else cell.denoise].append(place)
    return groups.values()


def _telling(
    step: Callable[[int, int], object], done: int, total: int, steps: int
) -> Callable[[float], object]:
    return lambda part: step(done + round(part * steps), total)


def _put_on(cells: Sequence[Cell]) -> AbstractContextManager[None]:
    """Put the adapters of a batch on the model: merged where it is one for all."""
    first = cells[0]
    if all(cell.adapter is first.adapter and cell.weight == first.weight for cell in cells):
        return merged() if first.adapter is None else merged((first.adapter, first.weight))
    return batched([(cell.adapter or _NOTHING, cell.weight) for cell in cells])
