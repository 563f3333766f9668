"""Builders of adapters with real numbers: every family, as arrays by the names that trainers write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file

from registry.hashing.contents import open_tensors
from registry.lora.tensors import FloatTensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from registry.lora.numbers import Floats

    Arrays = dict[str, NDArray[Any]]

ROWS, COLUMNS = 36, 24
QUERY = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
ENCODER = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"


def numbers(*shape: int, seed: int = 0, size: float = 0.1) -> Floats:
    """Return random numbers of a normal distribution, the same for the same arguments."""
    drawn: Floats = (np.random.default_rng([seed, *shape]).standard_normal(shape) * size).astype(np.float32)
    return drawn


def one(number: float) -> Floats:
    """Return a number as a tensor without dimensions."""
    return np.full((), number, np.float32)


def lora(
    module: str = QUERY,
    *,
    rows: int = ROWS,
    columns: int = COLUMNS,
    rank: int = 4,
    alpha: float | None = 2.0,
    seed: int = 0,
) -> Arrays:
    """Return a plain LoRA of one linear layer."""
    arrays: Arrays = {
        f"{module}.lora_down.weight": numbers(rank, columns, seed=seed),
        f"{module}.lora_up.weight": numbers(rows, rank, seed=seed + 1),
    }
    return arrays if alpha is None else {**arrays, f"{module}.alpha": one(alpha)}


def locon(module: str, *, kernel: int = 3, core: bool = False, rank: int = 4, seed: int = 0) -> Arrays:
    """Return a LoRA of a convolution, with a Tucker core if asked."""
    inner = 1 if core else kernel
    arrays: Arrays = {
        f"{module}.lora_down.weight": numbers(rank, 8, inner, inner, seed=seed),
        f"{module}.lora_up.weight": numbers(12, rank, 1, 1, seed=seed + 1),
        f"{module}.alpha": one(3),
    }
    return arrays | ({f"{module}.lora_mid.weight": numbers(rank, rank, kernel, kernel)} if core else {})


def loha(module: str = QUERY, *, rank: int = 3, seed: int = 0) -> Arrays:
    """Return a LoHa of a linear layer."""
    return {
        f"{module}.hada_w1_a": numbers(ROWS, rank, seed=seed),
        f"{module}.hada_w1_b": numbers(rank, COLUMNS, seed=seed),
        f"{module}.hada_w2_a": numbers(ROWS, rank, seed=seed + 1),
        f"{module}.hada_w2_b": numbers(rank, COLUMNS, seed=seed + 1),
        f"{module}.alpha": one(1.5),
    }


def lokr(module: str = QUERY, *, rank: int | None = 2, seed: int = 0) -> Arrays:
    """Return a LoKr of a linear layer, its second factor whole or of a rank."""
    second: Arrays = (
        {f"{module}.lokr_w2": numbers(6, 4, seed=seed + 1)}
        if rank is None
        else {
            f"{module}.lokr_w2_a": numbers(6, rank, seed=seed + 1),
            f"{module}.lokr_w2_b": numbers(rank, 4, seed=seed + 2),
        }
    )
    return {
        f"{module}.lokr_w1": numbers(6, 6, seed=seed),
        f"{module}.alpha": one(1),
        **second,
    }


def diff(module: str = QUERY, *, seed: int = 0) -> Arrays:
    """Return a whole difference of weight and bias."""
    return {f"{module}.diff": numbers(ROWS, COLUMNS, seed=seed), f"{module}.diff_b": numbers(ROWS, seed=seed)}


def oft(module: str = QUERY, *, seed: int = 0) -> Arrays:
    """Return an OFT of six blocks."""
    return {f"{module}.oft_blocks": numbers(6, 6, 6, seed=seed), f"{module}.alpha": one(0)}


FAMILIES: Mapping[str, Callable[..., Arrays]] = {
    "lora": lora,
    "loha": loha,
    "lokr": lokr,
    "diff": diff,
    "oft": oft,
}


def cast(arrays: Arrays, kind: type[np.generic]) -> Arrays:
    """Return the same numbers in another precision."""
    return {name: array.astype(kind) for name, array in arrays.items()}


class Held:
    """Tensors in memory, as `registry.lora.fingerprint.Tensors`."""

    def __init__(self, arrays: Arrays, metadata: Mapping[str, str] | None = None) -> None:
        self.arrays = arrays
        self.metadata = metadata or {}

    @property
    def names(self) -> list[str]:
        """Their names."""
        return list(self.arrays)

    def read(self, name: str) -> Floats:
        """Return a copy of one in 32 bits."""
        return self.arrays[name].astype(np.float32)


def written(path: Path, arrays: Arrays, metadata: dict[str, str] | None = None) -> Path:
    """Write a file by the reference library."""
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path, metadata)
    return path


def read_back(path: Path) -> Arrays:
    """Return all tensors of a file as numbers."""
    with open_tensors(path) as raw:
        tensors = FloatTensors(raw)
        return {name: tensors.read(name) for name in tensors.names}
