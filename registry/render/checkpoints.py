"""What is known of a base model before it is opened: its parts, how large it will be, how it was made.

Only headers and a few numbers are read. A file that could run code when it is opened is refused by its name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
import torch

from registry.errors import NoBase, UnreadableFile, UnsupportedKind
from registry.hashing.contents import open_tensors
from registry.render.fitting import as_floats

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from registry.formats.header import Tensor
    from registry.hashing.contents import OpenTensors

REMEDY: Final = "correct the setting `bases` (LORAS_BASES), which says where base models are"
WEIGHTS: Final = ("unet", "vae", "text_encoder", "text_encoder_2")
"""Folders of diffusers that hold weights."""
# How names begin in files of one piece (CompVis/latent-diffusion, Stability-AI/generative-models).
_UNET: Final = "model.diffusion_model."
_PARTS: Final = ((_UNET,), ("first_stage_model.", "vae."), ("cond_stage_model.", "conditioner."))
_READS: Final = "attn2.to_k.weight"
_FIRST: Final = f"{_UNET}input_blocks.0.0.weight"
_AVERAGES: Final = "model_ema."
_RUNS_CODE: Final = frozenset({".ckpt", ".bin", ".pt", ".pth", ".pkl"})
_CONVERT: Final = "convert it to safetensors: the other formats can run code when they are opened"
# How the noise of a model is told, or seen in its weights (Comfy-Org/ComfyUI, comfy/supported_models.py).
_SAYS_V, _SAYS_ZERO = "v_pred", "ztsnr"
_EDM: Final = ("edm_mean", "edm_vpred.sigma_max")
_TELLS_V: Final = f"{_UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"
_SPREAD: Final = 0.09
_OF_SD2: Final = 1024


@dataclass(frozen=True, slots=True)
class Facts:
    """A base model before it is opened: how many numbers it has, and what its noise schedule is told.

    `variants` are the endings that diffusers puts before `.safetensors`, by the folder of the part.
    """

    numbers: int
    schedule: Mapping[str, Any]
    variants: Mapping[str, str | None]


def facts_of_file(path: Path, config: Path) -> Facts:
    """Look at a checkpoint of one file, to be opened as the folder `config` says.

    Raises UnsupportedKind for a format that can run code and for models that do not make pictures of texts
    alone, NoBase for one of another architecture, UnreadableFile.
    """
    if path.suffix.lower() in _RUNS_CODE:
        raise UnsupportedKind(f"{path.name} is no safetensors file", remedy=_CONVERT)
    told = _told(config)
    width: int = told["cross_attention_dim"]
    with open_tensors(path) as raw:
        _check_parts(path.name, raw.names)
        found = next((each.shape[1] for name, each in raw.names.items() if _reads(name)), 0)
        if found != width:
            raise NoBase(
                f"{path.name} is no model of {config.name}: it reads texts in {found} numbers, not {width}",
                remedy=REMEDY,
            )
        first = raw.names.get(_FIRST)
        if any(name in raw.names for name in _EDM) or (first and first.shape[1] != told["in_channels"]):
            raise UnsupportedKind(f"{path.name} is a model for inpainting or editing, or of another noise")
        numbers = sum(
            math.prod(each.shape) for name, each in raw.names.items() if not name.startswith(_AVERAGES)
        )
        return Facts(numbers, _schedule(raw, width), {})


def _reads(name: str) -> bool:
    """Whether a weight is one that texts go through."""
    return name.startswith(_UNET) and name.endswith(_READS)


def facts_of_folder(path: Path, config: Path) -> Facts:
    """Look at a folder of diffusers, to be opened as the folder `config` says; raises as for files."""
    needed = {part for part in WEIGHTS if (config / part).is_dir()}
    variants: dict[str, str | None] = {}
    numbers = 0
    for part in WEIGHTS:
        files = sorted((path / part).glob("*.safetensors"))
        if files:
            whole = [file for file in files if ".fp16" not in file.name]
            variants[part] = None if whole else "fp16"
            numbers += sum(map(_numbers, whole or files))
        elif any(file.suffix in _RUNS_CODE for file in (path / part).glob("*")):
            raise UnsupportedKind(f"{path.name}/{part} has no weights as safetensors", remedy=_CONVERT)
    if variants.keys() != needed:
        raise NoBase(
            f"{path} is no model of {config.name}: it has {', '.join(sorted(variants)) or 'no weights'} and "
            f"not {', '.join(sorted(needed))}",
            remedy=REMEDY,
        )
    if _told(path)["in_channels"] != _told(config)["in_channels"]:
        raise UnsupportedKind(f"{path.name} is a model for inpainting or editing")
    return Facts(numbers, {}, variants)


def _told(folder: Path) -> dict[str, Any]:
    """Return what a folder of diffusers says of its UNet."""
    try:
        told = orjson.loads((folder / "unet" / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{folder}/unet has no configuration that can be read: {error}") from error
    return {"in_channels": 4, **told} if isinstance(told, dict) else {"in_channels": 4}


def _numbers(path: Path) -> int:
    with open_tensors(path) as raw:
        return sum(math.prod(each.shape) for each in raw.names.values())


def _check_parts(name: str, tensors: Mapping[str, Tensor]) -> None:
    for starts in _PARTS:
        if not any(each.startswith(starts) for each in tensors):
            raise UnreadableFile(
                f"{name} is no whole checkpoint: it has no {starts[0]}*",
                remedy="choose a file that has UNet, VAE and text encoders, or a folder of diffusers",
            )


def _schedule(raw: OpenTensors, width: int) -> dict[str, Any]:
    """Return what a checkpoint tells of its noise."""
    told: dict[str, Any] = {}
    if _SAYS_V in raw.names or raw.metadata.get("modelspec.prediction_type", "").startswith("v"):
        told["prediction_type"] = "v_prediction"
    elif width == _OF_SD2 and _TELLS_V in raw.names:
        spread = float(as_floats(raw, _TELLS_V, torch.device("cpu")).std(correction=0))
        told["prediction_type"] = "v_prediction" if spread > _SPREAD else "epsilon"
    if _SAYS_ZERO in raw.names:
        told |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return told
