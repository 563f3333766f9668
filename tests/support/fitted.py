"""Adapters that fit a pipeline: files of every family for its attention, convolutions and text encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import nn

from registry.hashing.contents import open_tensors
from registry.render.fitting import Adapter, BaseModel, fit
from tests.support.adapters import numbers, one, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.support.adapters import Arrays

PREFIXES = {"unet": "lora_unet_", "te1": "lora_te1_", "te2": "lora_te2_"}
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "v_proj", "ff.net.0.proj", "mlp.fc1")
_CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "time_emb_proj", "downsamplers.0.conv", "proj_in")


def base_of(pipe: Any) -> BaseModel:
    """Return the parts of a pipeline that adapters change."""
    parts = {"unet": pipe.unet, "te1": pipe.text_encoder}
    second = getattr(pipe, "text_encoder_2", None)
    return BaseModel(parts if second is None else {**parts, "te2": second})


def modules_of(base: BaseModel, family: str) -> Iterator[tuple[str, Any]]:
    """Yield the names and modules that an adapter of a family is made for."""
    for part, model in base.parts.items():
        for name, module in model.named_modules():
            if family == "norm":
                wanted = isinstance(module, nn.GroupNorm | nn.LayerNorm) and module.weight is not None
            elif family in ("lora", "dora", "oft", "ia3", "glora"):
                wanted = isinstance(module, nn.Linear) and name.endswith(_ATTENTION)
            else:
                wanted = isinstance(module, nn.Linear | nn.Conv2d) and name.endswith(
                    (*_ATTENTION, *_CONVOLUTIONS)
                )
            if wanted:
                yield PREFIXES[part] + name.replace(".", "_"), module


def arrays_for(base: BaseModel, family: str, *, seed: int = 0, rank: int = 4, size: float = 0.15) -> Arrays:
    """Return the tensors of an adapter of a family."""
    arrays: Arrays = {}
    for number, (name, module) in enumerate(modules_of(base, family)):
        at = _Shape(module.weight.detach().numpy(), seed * 1000 + number, rank, size)
        arrays |= {
            f"{name}.{role}": array
            for role, array in _MADE[family](at).items()
            if role != "diff_b" or module.bias is not None
        }
    return arrays


class _Shape(NamedTuple):
    """A weight, and random numbers for it."""

    weight: Any
    seed: int
    rank: int
    size: float

    @property
    def rows(self) -> int:
        return int(self.weight.shape[0])

    @property
    def inputs(self) -> int:
        return int(self.weight.shape[1])

    @property
    def kernel(self) -> tuple[int, ...]:
        return tuple(self.weight.shape[2:])

    def drawn(self, *shape: int, more: int = 0) -> Any:
        return numbers(*shape, seed=self.seed + more, size=self.size)


def _small(at: _Shape) -> Arrays:
    return {
        "lora_down.weight": at.drawn(at.rank, at.inputs, *at.kernel),
        "lora_up.weight": at.drawn(at.rows, at.rank, *(1 for _ in at.kernel), more=1),
        "alpha": one(at.rank / 2),
    }


def _tucker(at: _Shape) -> Arrays:
    if at.kernel in {(), (1, 1)}:
        return _small(at)
    return {
        "lora_down.weight": at.drawn(at.rank, at.inputs, 1, 1),
        "lora_mid.weight": at.drawn(at.rank, at.rank, *at.kernel, more=2),
        "lora_up.weight": at.drawn(at.rows, at.rank, 1, 1, more=1),
    }


def _loha(at: _Shape) -> Arrays:
    columns = at.inputs * int(np.prod(at.kernel, dtype=int))
    return {
        "hada_w1_a": at.drawn(at.rows, at.rank),
        "hada_w1_b": at.drawn(at.rank, columns, more=1),
        "hada_w2_a": at.drawn(at.rows, at.rank, more=2),
        "hada_w2_b": at.drawn(at.rank, columns, more=3),
    }


def _lokr(at: _Shape) -> Arrays:
    return {
        "lokr_w1": at.drawn(4, 4),
        "lokr_w2": at.drawn(at.rows // 4, at.inputs // 4, *at.kernel, more=1),
    }


def _dora(at: _Shape) -> Arrays:
    norms = np.linalg.norm(at.weight.reshape(at.rows, -1), axis=1).reshape(at.rows, 1)
    return {**_small(at), "dora_scale": (norms * (1 + at.drawn(at.rows, 1, more=3))).astype(np.float32)}


def _diff(at: _Shape) -> Arrays:
    return {"diff": at.drawn(*at.weight.shape) * 0.3, "diff_b": at.drawn(at.rows, more=1) * 0.3}


def _glora(at: _Shape) -> Arrays:
    return {
        "a1.weight": at.drawn(at.inputs, at.rank),
        "a2.weight": at.drawn(at.rank, at.inputs, more=1),
        "b1.weight": at.drawn(at.rows, at.rank, more=2),
        "b2.weight": at.drawn(at.rank, at.inputs, more=3),
    }


_MADE: Mapping[str, Callable[[_Shape], Arrays]] = {
    "lora": _small,
    "locon": _small,
    "cp": _tucker,
    "loha": _loha,
    "lokr": _lokr,
    "dora": _dora,
    "diff": _diff,
    "norm": lambda at: {"w_norm": at.drawn(at.rows), "b_norm": at.drawn(at.rows, more=1)},
    "oft": lambda at: {"oft_blocks": at.drawn(at.rows // 4, 4, 4)},
    "ia3": lambda at: {"weight": at.drawn(at.rows), "on_input": one(0.0)},
    "glora": _glora,
}
FAMILIES = tuple(_MADE)


def adapter_of(folder: Path, base: BaseModel, family: str, **options: Any) -> Adapter:
    """Write an adapter of a family, read it back and fit it to a base model."""
    path = written(
        folder / f"{family}-{options.get('seed', 0)}.safetensors", arrays_for(base, family, **options)
    )
    with open_tensors(path) as raw:
        return fit(path.stem, raw, base)
