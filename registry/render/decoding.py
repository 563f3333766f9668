"""Between pixels and the latents that a model draws: one picture at a time, whatever its numbers and size."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

import torch

from registry.render.precision import in_32_bits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

_FLAT: Final = 0.01
"""The standard deviation of each colour in a picture of nothing, of pixels from 0 to 1."""


class Decoder:
    """The autoencoder of one pipeline."""

    def __init__(self, pipe: Any) -> None:
        self._vae = pipe.vae
        # That of SDXL has numbers that do not fit into 16 bits; its configuration says so of others too.
        self._is_wide = hasattr(pipe, "text_encoder_2") and bool(pipe.vae.config.force_upcast)

    @torch.no_grad()
    def decoded(self, latents: torch.Tensor) -> Pixels | None:
        """Return (height, width, 3) pixels, `None` where some are not numbers, tried in 32 bits too."""
        if not bool(torch.isfinite(latents).all()):
            return None
        found = self._decoded(latents, wide=self._is_wide)
        if not bool(torch.isfinite(found).all()):
            if self._is_wide or self._vae.dtype == torch.float32:
                return None
            found = self._decoded(latents, wide=True)
            if not bool(torch.isfinite(found).all()):
                return None
        image = (found.float() / 2 + 0.5).clamp(0, 1)
        pixels: Pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        return pixels

    @torch.no_grad()
    def encoded(self, pixels: Pixels) -> torch.Tensor:
        """Return the latents of one picture, a batch of one: the likeliest, not any of those around it."""
        vae = self._vae
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        # Once for each picture that is asked for: too little to be wrong in 16 bits for.
        with in_32_bits(vae):
            likeliest = vae.encode(image.to(vae.device)).latent_dist.mode()
        found: torch.Tensor = likeliest * vae.config.scaling_factor
        return found

    def is_flat(self, pixels: Pixels) -> bool:
        """Whether a picture shows nothing."""
        return float((pixels / 255).std(axis=(0, 1)).max()) < _FLAT

    def _decoded(self, latents: torch.Tensor, *, wide: bool) -> torch.Tensor:
        vae = self._vae
        with in_32_bits(vae) if wide else nullcontext():
            given = latents[None].to(vae.dtype) / vae.config.scaling_factor
            try:
                found: torch.Tensor = vae.decode(given).sample[0]
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                vae.enable_tiling()
                try:
                    found = vae.decode(given).sample[0]
                finally:
                    vae.disable_tiling()
        return found
