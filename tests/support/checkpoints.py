"""Base models as files of one piece, with the names that their makers gave what diffusers names otherwise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Weights = dict[str, torch.Tensor]

_UNET_TOP = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_VAE_ATTENTION = {
    "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out",
}  # fmt: skip
_OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}


def with_all_words(pipe: Any) -> Any:
    """Give a tiny pipeline text encoders that know all words of CLIP, each of a width of its own."""
    if hasattr(pipe, "text_encoder_2"):
        pipe.text_encoder = _encoder(CLIPTextModel, 16)
        pipe.text_encoder_2 = _encoder(CLIPTextModelWithProjection, 48)
    else:
        pipe.text_encoder = _encoder(CLIPTextModel, 32)
    return pipe


def _encoder(kind: Any, width: int) -> Any:
    torch.manual_seed(width)
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=32,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )
    return kind(config).eval()


def config_of(pipe: Any, folder: Path, shipped: Path) -> Path:
    """Write what is shipped for an architecture, with the configurations of a tiny pipeline."""
    for name in ("unet", "vae", "text_encoder", "text_encoder_2", "scheduler"):
        part = getattr(pipe, name, None)
        if part is not None:
            (part.config if name.startswith("text") else part).save_pretrained(folder / name)
            for weights in (folder / name).glob("*.safetensors"):
                weights.unlink()
    pipe.save_config(folder)
    for words in shipped.glob("tokenizer*"):
        (folder / words.name).mkdir(parents=True)
        (folder / words.name / "tokenizer_config.json").write_bytes(
            (words / "tokenizer_config.json").read_bytes()
        )
    return folder


def checkpoint_of(
    pipe: Any, path: Path, *, open_clip: bool = False, metadata: dict[str, str] | None = None, **more: Any
) -> Path:
    """Write a pipeline as one file, its only text encoder as OpenCLIP writes it if asked."""
    found: Weights = dict(_prefixed("model.diffusion_model.", _unet(pipe.unet)))
    found |= _prefixed("first_stage_model.", _vae(pipe.vae))
    if hasattr(pipe, "text_encoder_2"):
        found |= _prefixed("conditioner.embedders.0.transformer.text_model.", _clip(pipe.text_encoder))
        found |= _prefixed("conditioner.embedders.1.model.", _opened(pipe.text_encoder_2))
    elif open_clip:
        found |= _prefixed("cond_stage_model.model.", _opened(pipe.text_encoder))
    else:
        found |= _prefixed("cond_stage_model.transformer.text_model.", _clip(pipe.text_encoder))
    found |= more
    save_file({name: each.contiguous().clone() for name, each in found.items()}, path, metadata)
    return path


def _prefixed(prefix: str, weights: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    return ((prefix + name, each) for name, each in weights.items())


def _renamed(name: str, table: Mapping[str, str]) -> str:
    for old, new in table.items():
        if name.startswith(f"{old}."):
            return new + name[len(old) :]
    return name


def _unet(model: Any) -> Weights:
    each = model.config.layers_per_block + 1
    return {_unet_name(name, each, model): data for name, data in model.state_dict().items()}


def _unet_name(name: str, each: int, model: Any) -> str:
    found = re.match(
        r"(down|up|mid)_blocks?\.(?:(\d+)\.)?(resnets|attentions|\w+samplers)\.(\d+)\.(.*)", name
    )
    if found is None:
        return _renamed(name, _UNET_TOP)
    way, block, kind, number, rest = found.groups()
    rest = _renamed(rest, _RESNET) if kind == "resnets" else rest
    if way == "mid":
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(number)}.{rest}"
    first, place = int(block) * each, int(kind == "attentions")
    if kind == "downsamplers":
        return f"input_blocks.{first + each}.0.{rest.replace('conv', 'op')}"
    if kind == "upsamplers":
        attends = hasattr(model.up_blocks[int(block)], "attentions")
        return f"output_blocks.{first + each - 1}.{2 if attends else 1}.{rest}"
    side = (
        f"input_blocks.{first + int(number) + 1}" if way == "down" else f"output_blocks.{first + int(number)}"
    )
    return f"{side}.{place}.{rest}"


def _vae(model: Any) -> Weights:
    found: Weights = {}
    last = len(model.config.block_out_channels) - 1
    for name, data in model.state_dict().items():
        new = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        new = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", new)
        new = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", new)
        new = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{last - int(m[1])}.block.", new)
        new = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f"up.{last - int(m[1])}.upsample.", new)
        new = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", new)
        before, attention, rest = new.partition("mid_block.attentions.0.")
        if attention:
            new = f"{before}mid.attn_1.{_renamed(rest, _VAE_ATTENTION)}"
            data = data[:, :, None, None] if data.dim() == 2 else data  # noqa: PLW2901 - as a convolution
        found[new] = data
    return found


def _clip(model: Any) -> Weights:
    found = {name.removeprefix("text_model."): data for name, data in model.state_dict().items()}
    return {**found, "embeddings.position_ids": torch.arange(77)[None]}


def _opened(model: Any) -> Weights:
    """Return the weights of a text encoder as OpenCLIP has them: queries, keys and values in one."""
    weights = {name.removeprefix("text_model."): data for name, data in model.state_dict().items()}
    found: Weights = {}
    for name, data in weights.items():
        layer = re.match(r"encoder\.layers\.(\d+)\.(.*)", name)
        if layer is None:
            continue
        start, rest = f"transformer.resblocks.{layer[1]}.", layer[2]
        if rest.startswith("self_attn.q_proj"):
            three = [weights[name.replace("q_proj", each)] for each in ("q_proj", "k_proj", "v_proj")]
            found[f"{start}attn.in_proj_{rest.rpartition('.')[2]}"] = torch.cat(three)
        elif rest.startswith("self_attn.out_proj"):
            found[start + rest.replace("self_attn", "attn")] = data
        elif not rest.startswith("self_attn"):
            found[start + _renamed(rest, _OPEN_CLIP)] = data
    found["token_embedding.weight"] = weights["embeddings.token_embedding.weight"]
    found["positional_embedding"] = weights["embeddings.position_embedding.weight"]
    for name in ("weight", "bias"):
        found[f"ln_final.{name}"] = weights[f"final_layer_norm.{name}"]
    if "text_projection.weight" in weights:
        found["text_projection"] = weights["text_projection.weight"].T
    return found
