"""Different adapters in one batch: row b of whatever goes through the model has adapter `b mod N`.

diffusers puts the unconditional rows before the others, so that a batch of 2 N rows holds each adapter twice
and the factors are never repeated. A linear layer is then two batched products of small matrices, a
convolution two grouped ones; ranks are filled up with zeros. Adapters without small factors make all of a
layer dense: one matrix for each.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from registry.errors import UnsupportedKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.render.fitting import Adapter, Hit


@contextmanager
def batched(adapters: Sequence[tuple[Adapter, float]]) -> Iterator[None]:
    """Put adapters on a base model, one for each row of a batch, for as long as the block lasts.

    The weights are not touched; each row is as if its adapter were alone.
    """
    by_module: dict[Any, list[tuple[Hit, float] | None]] = defaultdict(lambda: [None] * len(adapters))
    for place, (adapter, weight) in enumerate(adapters):
        for hit in adapter.hits if weight else ():
            if by_module[hit.module][place] is not None:
                raise UnsupportedKind(f"{adapter.name} changes {hit.layer.name} twice")
            by_module[hit.module][place] = (hit, weight)
    changed: list[Any] = []
    try:
        for module, hits in by_module.items():
            module.forward = _forward(module, hits)
            changed.append(module)
        yield
    finally:
        for module in changed:
            # The forward of its class is seen again.
            module.__dict__.pop("forward", None)


@torch.no_grad()
def _forward(module: Any, hits: Sequence[tuple[Hit, float] | None]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what a module does to a batch with another adapter for each row."""
    original: Callable[[torch.Tensor], torch.Tensor] = module.forward
    change = _change(module, hits)
    shifts = _stacked_shifts(module, hits)

    def forward(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        found = original(x) + change(x)
        if shifts is not None:
            found = found + _by_row(shifts, found)
        return found

    return forward


def _change(module: Any, hits: Sequence[tuple[Hit, float] | None]) -> Callable[[torch.Tensor], torch.Tensor]:
    dtype = module.weight.dtype
    if isinstance(module, nn.GroupNorm | nn.LayerNorm):
        return _of_norm(module, _stacked_dense(module, hits).to(dtype))
    smalls = [None if each is None else each[0].small() for each in hits]
    if all((each is None) == (small is None) for each, small in zip(hits, smalls, strict=True)):
        rank = max(small.down.shape[0] for small in smalls if small is not None)
        rows, columns = module.weight.shape[0], module.weight[0].numel()
        up = module.weight.new_zeros((len(hits), rows, rank), dtype=torch.float32)
        down = module.weight.new_zeros((len(hits), rank, columns), dtype=torch.float32)
        for place, (each, small) in enumerate(zip(hits, smalls, strict=True)):
            if each is not None and small is not None:
                up[place, :, : small.up.shape[1]] = small.up * each[1]
                down[place, : small.down.shape[0]] = small.down
        up, down = _balanced(up, down)
        return _of_small(module, up.to(dtype), down.to(dtype))
    return _of_dense(module, _stacked_dense(module, hits).to(dtype))


def _balanced(up: torch.Tensor, down: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Make the two factors of each adapter about as large as each other, without rounding.

    With its scale and weight in it, one of them is often too small for the normal numbers of 16 bits.
    """
    ratio = down.abs().amax((1, 2), keepdim=True) / up.abs().amax((1, 2), keepdim=True)
    scale = (ratio.log2() / 2).nan_to_num(0, 0, 0).round().exp2()
    return up * scale, down / scale


def _stacked_dense(module: Any, hits: Sequence[tuple[Hit, float] | None]) -> torch.Tensor:
    shape = (module.weight.shape[0], module.weight[0].numel())
    zero = module.weight.new_zeros(shape, dtype=torch.float32)
    return torch.stack([zero if each is None else each[0].dense().reshape(shape) * each[1] for each in hits])


def _stacked_shifts(module: Any, hits: Sequence[tuple[Hit, float] | None]) -> torch.Tensor | None:
    found = [None if each is None else each[0].bias() for each in hits]
    if all(shift is None for shift in found):
        return None
    zero = torch.zeros_like(module.bias, dtype=torch.float32)
    stacked = [
        zero if each is None or shift is None else shift * each[1]
        for each, shift in zip(hits, found, strict=True)
    ]
    return torch.stack(stacked).to(module.bias.dtype)


def _of_small(module: Any, up: torch.Tensor, down: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    number, rows, rank = up.shape
    if isinstance(module, nn.Conv2d):
        down = down.reshape(number * rank, *module.weight.shape[1:])
        up = up.reshape(number * rows, rank, 1, 1)

        def convolved(x: torch.Tensor) -> torch.Tensor:
            inner = functional.conv2d(
                _grouped(x, number), down, None, module.stride, module.padding, module.dilation, number
            )
            return _ungrouped(functional.conv2d(inner, up, groups=number), number)

        return convolved
    down, up = down.transpose(1, 2), up.transpose(1, 2)

    def multiplied(x: torch.Tensor) -> torch.Tensor:
        return _unlined(torch.bmm(torch.bmm(_lined(x, number), down), up), x, number)

    return multiplied


def _of_dense(module: Any, change: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    number, rows, _ = change.shape
    if isinstance(module, nn.Conv2d):
        kernels = change.reshape(number * rows, *module.weight.shape[1:])

        def convolved(x: torch.Tensor) -> torch.Tensor:
            found = functional.conv2d(
                _grouped(x, number), kernels, None, module.stride, module.padding, module.dilation, number
            )
            return _ungrouped(found, number)

        return convolved
    turned = change.transpose(1, 2)

    def multiplied(x: torch.Tensor) -> torch.Tensor:
        return _unlined(torch.bmm(_lined(x, number), turned), x, number)

    return multiplied


def _of_norm(module: Any, change: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    scales = change.reshape(len(change), -1)

    def scaled(x: torch.Tensor) -> torch.Tensor:
        if isinstance(module, nn.GroupNorm):
            plain = functional.group_norm(x, module.num_groups, eps=module.eps)
        else:
            plain = functional.layer_norm(x, module.normalized_shape, eps=module.eps)
        return plain * _by_row(scales, plain)

    return scaled


def _repeats(x: torch.Tensor, number: int) -> int:
    repeats, rest = divmod(x.shape[0], number)
    if rest:
        raise UnsupportedKind(f"a batch of {x.shape[0]} rows for {number} adapters")
    return repeats


def _lined(x: torch.Tensor, number: int) -> torch.Tensor:
    """Put the rows of each adapter one after the other: (c N, ..., i) to (N, c ..., i)."""
    repeats = _repeats(x, number)
    return x.reshape(repeats, number, -1, x.shape[-1]).transpose(0, 1).reshape(number, -1, x.shape[-1])


def _unlined(found: torch.Tensor, x: torch.Tensor, number: int) -> torch.Tensor:
    repeats = _repeats(x, number)
    turned = found.reshape(number, repeats, -1, found.shape[-1]).transpose(0, 1)
    return turned.reshape(*x.shape[:-1], found.shape[-1])


def _grouped(x: torch.Tensor, number: int) -> torch.Tensor:
    """Put the rows of the adapters beside each other as channels: (c N, i, h, w) to (c, N i, h, w)."""
    return x.reshape(_repeats(x, number), -1, *x.shape[2:])


def _ungrouped(found: torch.Tensor, number: int) -> torch.Tensor:
    return found.reshape(found.shape[0] * number, -1, *found.shape[2:])


def _by_row(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Repeat one vector for each adapter so that it is added to channels, or to the last axis."""
    repeats = _repeats(like, len(values))
    rows = values.repeat(repeats, 1)
    if like.dim() == 4:
        return rows[:, :, None, None]
    return rows.reshape(rows.shape[0], *[1] * (like.dim() - 2), rows.shape[1])
