"""Which numbers are calculated with, and where."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import torch

from registry.errors import CannotDraw

if TYPE_CHECKING:
    from collections.abc import Iterator

_DTYPES: Final = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
_SHARE: Final = 0.6
"""The part of the memory that base models may take; what is left is for drawing."""


def device_of(gpu: int | None = None) -> torch.device:
    """Return the graphics card of a number, without one the best device that this machine has.

    Raises CannotDraw for a number that no graphics card has.
    """
    if gpu is not None:
        if gpu >= torch.cuda.device_count():
            raise CannotDraw(
                f"there is no graphics card {gpu}, or torch cannot use it",
                remedy="correct the setting `render_gpus` (LORAS_RENDER_GPUS)",
            )
        return torch.device("cuda", gpu)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def dtype_of(device: torch.device, asked: str) -> torch.dtype:
    """Return what is calculated with: what was asked for on a graphics card, 32 bits anywhere else."""
    return _DTYPES.get(asked, torch.float16) if device.type == "cuda" else torch.float32


def free_bytes(device: torch.device) -> int | None:
    """Return how many bytes of a graphics card nobody uses, `None` where that is not known."""
    if device.type != "cuda":
        return None
    # What torch keeps for itself is free for us.
    kept: int = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept


def room_for_bases(device: torch.device) -> int:
    """Return how many bytes base models may take together: a part of what the device has."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1] * _SHARE)
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        whole = 16 << 30
    return int(whole * _SHARE)


@contextmanager
def in_32_bits(*models: Any) -> Iterator[None]:
    """Have models calculate in 32 bits for as long as the block lasts.

    Every narrower number is one of these too, so that it comes back as it was, to the last bit.
    """
    narrow = [
        (tensor, tensor.dtype)
        for model in models
        for tensor in (*model.parameters(), *model.buffers())
        if tensor.is_floating_point() and tensor.dtype != torch.float32
    ]
    try:
        for tensor, _ in narrow:
            tensor.data = tensor.data.float()
        yield
    finally:
        for tensor, dtype in narrow:
            tensor.data = tensor.data.to(dtype)
