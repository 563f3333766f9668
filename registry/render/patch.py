"""Put adapters into the weights of a base model, and take them out again to the last bit."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.render.fitting import Adapter, Hit

    Kept = dict[tuple[Any, str], torch.Tensor]


@contextmanager
def merged(*adapters: tuple[Adapter, float]) -> Iterator[None]:
    """Merge adapters into a base model, each with its weight, for as long as the block lasts.

    What was there is kept and put back, never calculated back. Sums are made in 32 bits and rounded once.
    """
    kept: Kept = {}
    try:
        for adapter, weight in adapters:
            if weight:
                _add(kept, adapter, weight)
        yield
    finally:
        for (module, name), data in kept.items():
            getattr(module, name).data = data


@torch.no_grad()
def _add(kept: Kept, adapter: Adapter, weight: float) -> None:
    for hit in adapter.hits:
        _change(kept, hit.module, "weight", _delta(kept, hit), weight)
        shift = hit.bias()
        if shift is not None:
            _change(kept, hit.module, "bias", shift, weight)


def _delta(kept: Kept, hit: Hit) -> torch.Tensor:
    """Return the change of a weight; one that depends on the weight depends on that of the base model."""
    original = kept.get((hit.module, "weight"))
    if original is None:
        return hit.dense()
    now = hit.module.weight.data
    hit.module.weight.data = original
    try:
        return hit.dense()
    finally:
        hit.module.weight.data = now


def _change(kept: Kept, module: Any, name: str, change: torch.Tensor, weight: float) -> None:
    parameter = getattr(module, name)
    kept.setdefault((module, name), parameter.data)
    summed = parameter.data.float() + weight * change.reshape(parameter.shape)
    parameter.data = summed.to(parameter.dtype)
