"""Which layers of a base model an adapter changes, under one name for each in whatever layout.

Layers are called as in diffusers, with underscores for dots (`down_blocks_0_attentions_0_proj_in`), because
kohya's trainers leave no dots to go back to. A fused layer is told as the layers that it holds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

from registry.identify.reading import take_apart
from registry.lora.adapter_config import Alphas
from registry.lora.layers import (
    ENCODER_PREFIXES,
    ENDS,
    FLUX,
    FLUX_ENDS,
    OPENCLIP,
    PARTS,
    RESNET,
    UNET_ENDS,
    Split,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Array = TypeVar("Array")
FAMILIES: Final = ("lora", "loha", "lokr", "oft", "glora", "ia3", "diff", "norm")
"""Families of factors that change a layer, the first that a layer has tells which rule it follows."""

_BESIDE: Final = ("scale", "magnitude", "diff", "norm")
"""Families that may accompany the one a layer follows."""
_SKIPPED: Final = (".scalar", ".set_weight", ".reshape_weight", ".oft_diag")
"""Endings that the tables know as factors, and whose numbers mean something else than these do."""
_BLOCK: Final = re.compile(r"(input|output)_blocks_(\d{1,4})_(\d)_(.+)")
_MIDDLE: Final = re.compile(r"middle_block_(\d)_(.+)")
_FLUX: Final = re.compile(r"(double_blocks|single_blocks)_(\d{1,4})_(.+)")
_RESBLOCK: Final = re.compile(r"resblocks_(\d{1,4})_(.+)")
_XLABS: Final = re.compile(r"_(lora[12])\.(?:down|up)\.weight\Z")
_REMEMBERED: Final = 1 << 15


@dataclass(frozen=True, slots=True)
class Layer:
    """One module that an adapter changes.

    `part` is `unet` (also of transformers), `te1`..., `vae`; `name` the canonical one; `written` what the
    file calls it, without prefix and factor; `family` one of `FAMILIES`; `factors` tensor names by role.
    `splits` are the layers of which a fused one consists, by their rows, and empty for one that is none.
    `alpha` is that of the configuration beside the tensors, where these have none.
    """

    part: str
    name: str
    written: str
    family: str
    factors: Mapping[str, str]
    splits: tuple[Split, ...] = ()
    alpha: float | None = None

    def read(self, read: Callable[[str], Array], number: Callable[[float], Array]) -> dict[str, Array]:
        """Return its factors by role, `read` by their names; `number` makes one of what is not a tensor."""
        found = {role: read(name) for role, name in self.factors.items()}
        return found if self.alpha is None else {**found, "alpha": number(self.alpha)}


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of a file in the order of their first tensors, and the names that belong to none."""

    layers: tuple[Layer, ...] = ()
    strays: tuple[str, ...] = ()


@dataclass(slots=True)
class _Gathered:
    written: str
    families: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))


def read_layers(names: Iterable[str], metadata: Mapping[str, str] | None = None) -> Layers:
    """Gather the tensors of a file by the layer they change; of two for one factor the first counts."""
    alphas = Alphas(metadata)
    gathered: dict[tuple[str, str], _Gathered] = {}
    strays: list[str] = []
    for name in names:
        slot, words, suffix = take_apart(name)
        plain = suffix.family == "plain" and suffix.role != "weight"
        if plain or suffix.family in ("", "other") or name.endswith(_SKIPPED):
            strays.append(name)
            continue
        attached = _XLABS.search(name)
        written = "_".join((*words, attached[1]) if attached else words)
        key = (PARTS.get(slot, "unet"), written)
        roles = gathered.setdefault(key, _Gathered(written)).families[suffix.family]
        if suffix.role in roles:
            strays.append(name)
        else:
            roles[suffix.role] = name
    layers: list[Layer] = []
    for (part, written), found in gathered.items():
        layer = _layer(part, written, found.families, alphas)
        if layer is not None:
            layers.append(layer)
        used = set() if layer is None else set(layer.factors.values())
        strays += [name for roles in found.families.values() for name in roles.values() if name not in used]
    return Layers(tuple(layers), tuple(strays))


def _layer(
    part: str, written: str, families: Mapping[str, Mapping[str, str]], alphas: Alphas
) -> Layer | None:
    """Choose the family that a layer follows and the factors that count; `None` where there is none."""
    family = next((one for one in FAMILIES if one in families), None)
    if family is None:
        return None
    factors = dict(families[family])
    if family == "ia3":
        # LyCORIS calls the factor `weight`, and only the flag beside it tells that it is one.
        factors = {**families.get("plain", {}), **factors}
    for beside in _BESIDE:
        if beside != family:
            factors = {**families.get(beside, {}), **factors}
    name, splits = canonical(part, written)
    alpha = alphas.of(part, written) if family == "lora" and "alpha" not in factors else None
    return Layer(part, name, written, family, factors, splits, alpha)


@lru_cache(maxsize=_REMEMBERED)
def canonical(part: str, written: str) -> tuple[str, tuple[Split, ...]]:
    """Return the canonical name of a module of a part, and the layers it consists of if it is fused."""
    if part.startswith("te"):
        return _encoder(written), ()
    flux = _FLUX.fullmatch(written)
    if flux is not None and flux[3] in FLUX[flux[1]][1]:
        stem, ends = FLUX[flux[1]]
        block = f"{stem}_{flux[2]}"
        splits = tuple(split._replace(name=f"{block}_{split.name}") for split in ends[flux[3]])
        return (splits[0].name, ()) if len(splits) == 1 else (f"{block}_{flux[3]}", splits)
    return _ended(UNET_ENDS.get(written) or FLUX_ENDS.get(written) or _unet(written)), ()


def _unet(written: str) -> str:
    block = _BLOCK.fullmatch(written)
    if block is not None:
        return _block(block[1], int(block[2]), int(block[3]), block[4])
    middle = _MIDDLE.fullmatch(written)
    if middle is not None:
        number, rest = int(middle[1]), middle[2]
        if rest in RESNET:
            return f"mid_block_resnets_{number // 2}_{RESNET[rest]}"
        return f"mid_block_attentions_{number // 2}_{rest}"
    return written


def _block(side: str, number: int, place: int, rest: str) -> str:
    """Name a module of CompVis' UNet: its blocks are numbered through, three to a level."""
    if side == "input":
        if number == 0:
            return f"input_blocks_0_{place}_{rest}"
        block, layer = divmod(number - 1, 3)
        stem = f"down_blocks_{block}"
    else:
        block, layer = divmod(number, 3)
        stem = f"up_blocks_{block}"
    if rest in RESNET:
        return f"{stem}_resnets_{layer}_{RESNET[rest]}"
    if rest == "op":
        return f"{stem}_downsamplers_0_conv"
    if rest == "conv":
        return f"{stem}_upsamplers_0_conv"
    return f"{stem}_attentions_{layer}_{rest}"


def _encoder(written: str) -> str:
    for prefix in ENCODER_PREFIXES:
        if written.startswith(prefix):
            written = written.removeprefix(prefix)
            break
    block = _RESBLOCK.fullmatch(written)
    if block is None:
        return written
    return f"encoder_layers_{block[1]}_{OPENCLIP.get(block[2], block[2])}"


def _ended(name: str) -> str:
    for end, whole in ENDS.items():
        if name.endswith(end):
            return name.removesuffix(end) + whole
    return name
