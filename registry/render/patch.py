"""Put adapters into the weights of a base model, and take them out again to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import torch

if TYPE_CHECKING:
    from types import TracebackType

    from registry.render.fitting import Adapter, Hit


class Merged:
    """Adapters merged into a base model, each with its weight, until `restore` or the end of the block.

    What was there is kept and put back, never calculated back. Sums are made in 32 bits and rounded once.
    """

    def __init__(self, *adapters: tuple[Adapter, float]) -> None:
        self._kept: dict[tuple[Any, str], torch.Tensor] = {}
        try:
            for adapter, weight in adapters:
                self._add(adapter, weight)
        except BaseException:
            self.restore()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    def restore(self) -> None:
        """Put back what was there."""
        for (module, name), data in self._kept.items():
            getattr(module, name).data = data
        self._kept.clear()

    @torch.no_grad()
    def _add(self, adapter: Adapter, weight: float) -> None:
        if weight == 0:
            return
        for hit in adapter.hits:
            self._change(hit, "weight", self._delta(hit), weight)
            shift = hit.bias()
            if shift is not None:
                self._change(hit, "bias", shift, weight)

    def _delta(self, hit: Hit) -> torch.Tensor:
        # A change that depends on the weight depends on that of the base model.
        changed = self._kept.get((hit.module, "weight"))
        if changed is None:
            return hit.dense()
        now = hit.module.weight.data
        hit.module.weight.data = changed
        try:
            return hit.dense()
        finally:
            hit.module.weight.data = now

    def _change(self, hit: Hit, name: str, change: torch.Tensor, weight: float) -> None:
        parameter = getattr(hit.module, name)
        self._kept.setdefault((hit.module, name), parameter.data)
        summed = parameter.data.float() + weight * change.reshape(parameter.shape)
        parameter.data = summed.to(parameter.dtype)
