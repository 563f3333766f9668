"""Pictures by the batch: different adapters at once, or one for many seeds, on one base model.

A picture depends on its own cell alone: its noise comes from its seed, and its neighbours in the batch do not
matter (within rounding).
"""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from registry.errors import Cancelled
from registry.render.batched import batched
from registry.render.fitting import Adapter, BaseModel
from registry.render.patch import merged
from registry.render.samplers import scheduler_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

NAN: Final = "nan"
FLAT: Final = "flat"
MEMORY: Final = "out-of-memory"
_FLAT: Final = 0.01
"""The standard deviation of each colour in a picture of nothing, of pixels from 0 to 1."""
_NOTHING: Final = Adapter("", ())


@dataclass(frozen=True, slots=True)
class Look:
    """What the pictures of a batch have in common; sizes in pixels, multiples of eight."""

    width: int
    height: int
    steps: int = 20
    sampler: str = "DPM++ 2M"
    cfg: float = 7.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture that is asked for; without an adapter it is the base model's."""

    prompt: str
    seed: int
    negative: str = ""
    adapter: Adapter | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of a cell: (height, width, 3) pixels, `None` if there are none, and what is wrong with it."""

    pixels: Pixels | None
    problem: str | None = None


class Engine:
    """Draws with one pipeline of diffusers; used by one thread at a time.

    `most` pictures are drawn at once; it becomes less for good where they do not fit into memory.
    """

    def __init__(self, pipe: Any, *, most: int = 8) -> None:
        self.pipe = pipe
        self.most = most
        self.base = base_of(pipe)
        # Of the base model itself: what one sampler adds to it is not for the next one.
        self._schedule = pipe.scheduler.config
        pipe.set_progress_bar_config(disable=True)

    def draw(
        self,
        cells: Sequence[Cell],
        look: Look,
        *,
        step: Callable[[int, int], object] = lambda _done, _total: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Drawn]]:
        """Yield each cell's place and what came of it, batch by batch.

        `step` is told how many steps of how many are done of the batch at hand, `cancelled` asked before
        each. Raises Cancelled, after which the model is as it was, and BadRequest for an unknown sampler.
        """
        self.pipe.scheduler = scheduler_of(look.sampler, self._schedule)
        waiting = deque(enumerate(cells))
        while waiting:
            batch = [waiting.popleft() for _ in range(min(self.most, len(waiting)))]
            try:
                found = self._batch([cell for _, cell in batch], look, step, cancelled)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                if len(batch) == 1:
                    yield batch[0][0], Drawn(None, MEMORY)
                    continue
                self.most = (len(batch) + 1) // 2
                waiting.extendleft(reversed(batch))
                continue
            for (place, _), drawn in zip(batch, found, strict=True):
                yield place, drawn

    @torch.no_grad()
    def _batch(
        self,
        cells: Sequence[Cell],
        look: Look,
        step: Callable[[int, int], object],
        cancelled: Callable[[], bool],
    ) -> list[Drawn]:
        def after(_pipe: Any, number: int, _time: Any, held: dict[str, Any]) -> dict[str, Any]:
            step(number + 1, look.steps)
            stop()
            return held

        def stop() -> None:
            if cancelled():
                raise Cancelled("the drawing was stopped")

        stop()
        generators = [torch.Generator().manual_seed(cell.seed) for cell in cells]
        noise = torch.cat([self._noise(look, generator) for generator in generators])
        with ExitStack() as stack:
            stack.enter_context(_put_on(cells))
            latents = self.pipe(
                [cell.prompt for cell in cells],
                negative_prompt=[cell.negative for cell in cells],
                width=look.width,
                height=look.height,
                num_inference_steps=look.steps,
                guidance_scale=look.cfg,
                latents=noise.to(self.pipe.unet.device, self.pipe.unet.dtype),
                generator=generators,
                output_type="latent",
                callback_on_step_end=after,
            ).images
        return [self._seen(each) for each in latents]

    def _noise(self, look: Look, generator: torch.Generator) -> torch.Tensor:
        scale = self.pipe.vae_scale_factor
        channels = self.pipe.unet.config.in_channels
        return torch.randn((1, channels, look.height // scale, look.width // scale), generator=generator)

    def _seen(self, latents: torch.Tensor) -> Drawn:
        """Decode one picture and look at it."""
        if not bool(torch.isfinite(latents).all()):
            return Drawn(None, NAN)
        vae = self.pipe.vae
        upcast = vae.dtype == torch.float16 and vae.config.force_upcast
        if upcast:
            # Its numbers do not fit into 16 bits.
            vae.float()
        try:
            decoded = vae.decode(latents[None].to(vae.dtype) / vae.config.scaling_factor).sample[0]
        finally:
            if upcast:
                vae.half()
        if not bool(torch.isfinite(decoded).all()):
            return Drawn(None, NAN)
        image = (decoded.float() / 2 + 0.5).clamp(0, 1)
        pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        return Drawn(pixels, FLAT if float(image.std(dim=(1, 2)).max()) < _FLAT else None)


def base_of(pipe: Any) -> BaseModel:
    """Return the parts of a pipeline that adapters change."""
    names = {"unet": "unet", "te1": "text_encoder", "te2": "text_encoder_2"}
    parts = {part: getattr(pipe, name, None) for part, name in names.items()}
    return BaseModel({part: model for part, model in parts.items() if model is not None})


def _put_on(cells: Sequence[Cell]) -> AbstractContextManager[None]:
    """Put the adapters of a batch on the model: merged where it is one for all."""
    first = cells[0]
    if all(cell.adapter is first.adapter and cell.weight == first.weight for cell in cells):
        return merged() if first.adapter is None else merged((first.adapter, first.weight))
    return batched([(cell.adapter or _NOTHING, cell.weight) for cell in cells])
