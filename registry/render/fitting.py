"""Which modules of a base model an adapter changes, and its factors as tensors beside them.

The map is made from the model: every weight that can be changed is known by its canonical name, so that a
file finds it whatever layout it is written in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from registry.errors import UnsupportedKind, WrongBase
from registry.lora import delta
from registry.lora.fingerprint import pieces
from registry.lora.keys import Layer, canonical, read_layers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.hashing.contents import OpenTensors

CHANGED: Final = (nn.Linear, nn.Conv2d, nn.GroupNorm, nn.LayerNorm)
_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMED: Final = 5
_PRODUCTS: Final = frozenset({"lora", "loha", "lokr", "diff", "norm"})
"""Families whose change is a product of all their factors."""


class BaseModel:
    """The parts of a base model by the names of `registry.lora.layers.PARTS`: `unet`, `te1`, `te2`."""

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        self.parts = dict(parts)
        self._modules = {
            (part, canonical(part, name.replace(".", "_"))[0]): module
            for part, model in parts.items()
            for name, module in model.named_modules()
            if isinstance(module, CHANGED)
        }

    def find(self, part: str, name: str) -> nn.Module | None:
        """Return the module of a canonical name."""
        return self._modules.get((part, name))


@dataclass(frozen=True, slots=True, eq=False)
class Hit:
    """One module that an adapter changes: with which factors, and which rows of a fused layer are its own."""

    module: Any
    layer: Layer
    factors: Mapping[str, torch.Tensor]
    rows: slice | None = None

    @property
    def weight(self) -> torch.Tensor:
        """The weight as a matrix of 32-bit floats."""
        weight: torch.Tensor = self.module.weight.detach().float()
        return weight.reshape(weight.shape[0], -1)

    def small(self) -> delta.Small | None:
        """Return the change as two small factors, `None` where it has none or depends on the weight."""
        if delta.needs_weight(self.layer.family, self.factors):
            return None
        found = delta.small(self.layer.family, self.factors)
        if found is None or self.rows is None:
            return found
        return delta.Small(found.up[self.rows], found.down)

    def dense(self) -> torch.Tensor:
        """Return the change as a matrix."""
        needs = delta.needs_weight(self.layer.family, self.factors) or self.layer.family in ("diff", "norm")
        found: torch.Tensor = delta.dense(self.layer.family, self.factors, self.weight if needs else None)
        return found if self.rows is None else found[self.rows]

    def bias(self) -> torch.Tensor | None:
        """Return the change of the bias, `None` if there is none."""
        found: torch.Tensor | None = delta.bias(self.factors)
        return found if found is None or self.rows is None else found[self.rows]

    @property
    def is_void(self) -> bool:
        """Whether it surely changes nothing, since something that is multiplied is zero."""
        if self.layer.family not in _PRODUCTS or self.bias() is not None or "magnitude" in self.factors:
            return False
        factors = [factor for role, factor in self.factors.items() if role != "alpha"]
        return not delta.scale_of(self.layer.family, self.factors) or not all(map(torch.any, factors))


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """An adapter on a base model; `missed` are layers of the file that the model does not have.

    One that `is_void` changes nothing, as before any training.
    """

    name: str
    hits: tuple[Hit, ...]
    missed: tuple[str, ...] = ()
    is_void: bool = False


def fit(name: str, tensors: OpenTensors, base: BaseModel, *, partly: bool = False) -> Adapter:
    """Read an adapter and find the modules that it changes, its factors beside them in 32 bits.

    Raises WrongBase where the base model lacks a layer or has it in another shape, unless it may fit `partly`
    (at all it must), UnsupportedKind for families and numbers that there is no rule for, UnreadableFile.
    """
    layers = read_layers(tensors.names, tensors.metadata).layers
    if not layers:
        raise UnsupportedKind(f"no tensor of {name} is a factor of an adapter that we know")
    hits: list[Hit] = []
    missed: list[str] = []
    for layer in layers:
        found = _hits(layer, tensors, base)
        hits += found
        if not found:
            missed.append(f"{layer.part} {layer.written}")
    if not hits or (missed and not partly):
        shown = ", ".join(missed[:_NAMED])
        raise WrongBase(
            f"{name} does not fit this base model: {len(missed)} of {len(layers)} layers ({shown})",
            remedy="choose the base model that it was made for",
        )
    return Adapter(name, tuple(hits), tuple(missed))


def _hits(layer: Layer, tensors: OpenTensors, base: BaseModel) -> list[Hit]:
    names = [split.name for split in layer.splits] or [layer.name]
    modules: list[Any] = [base.find(layer.part, name) for name in names]
    if any(module is None for module in modules):
        return []
    device = modules[0].weight.device
    factors = layer.read(
        lambda name: as_floats(tensors, name, device), lambda value: torch.tensor(value, device=device)
    )
    if not layer.splits:
        hit = Hit(modules[0], layer, factors)
        return [hit] if _has_shape(hit) else []
    found = delta.small(layer.family, factors)
    rows, columns = (
        (found.up.shape[0], found.down.shape[1]) if found is not None else delta.size(layer.family, factors)
    )
    spans = [span for _, span in pieces(layer, rows, columns)]
    hits = [Hit(module, layer, factors, span) for module, span in zip(modules, spans, strict=True)]
    return hits if all(map(_has_shape, hits)) else []


def _has_shape(hit: Hit) -> bool:
    """Whether a change has as many rows and columns as the weight, and a bias only where there is one."""
    weight = hit.module.weight
    shift = hit.bias()
    if shift is not None and (hit.module.bias is None or hit.module.bias.shape != shift.shape):
        return False
    rows, columns = weight.shape[0], weight[0].numel()
    small = delta.small(hit.layer.family, hit.factors)
    if small is not None:
        height = small.up[hit.rows].shape[0] if hit.rows is not None else small.up.shape[0]
        return (height, small.down.shape[1]) == (rows, columns)
    try:
        return tuple(hit.dense().shape) == (rows, columns)
    except UnsupportedKind:
        return False


def as_floats(tensors: OpenTensors, name: str, device: torch.device) -> torch.Tensor:
    """Return one tensor of a file in 32-bit floats on a device; raises UnsupportedKind, UnreadableFile."""
    dtype, shape, data = tensors.read_raw(name)
    kind = _DTYPES.get(dtype)
    if kind is None:
        raise UnsupportedKind(f"numbers of the type {dtype}")
    if not data:
        return torch.zeros(shape, device=device)
    # The bytes are ours alone: nothing else sees what is written there.
    flat = torch.frombuffer(bytearray(data), dtype=kind)
    return flat.to(device).float().reshape(shape)
