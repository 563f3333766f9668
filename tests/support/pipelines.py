"""Tiny pipelines with random weights, shaped as Stable Diffusion 1.x and XL: built in a moment, offline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

if TYPE_CHECKING:
    from pathlib import Path

_WIDTH = 32
_LETTERS = 256


def tokenizer(folder: Path) -> CLIPTokenizer:
    """Return a tokenizer whose words are single bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    symbols = _byte_symbols()
    names = [*symbols, *(f"{symbol}</w>" for symbol in symbols), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(
        json.dumps({name: n for n, name in enumerate(names)}), encoding="utf-8"
    )
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def _byte_symbols() -> list[str]:
    """Return the printable sign that CLIP's tokenizer writes for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(_LETTERS) if byte not in plain]
    signs = {byte: chr(byte) for byte in plain} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [signs[byte] for byte in range(_LETTERS)]


def encoder(*, projection: bool = False) -> Any:
    """Return a text encoder."""
    config = CLIPTextConfig(
        vocab_size=2 * _LETTERS + 2,
        hidden_size=_WIDTH,
        intermediate_size=2 * _WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        projection_dim=_WIDTH,
        bos_token_id=2 * _LETTERS,
        eos_token_id=2 * _LETTERS + 1,
        pad_token_id=2 * _LETTERS + 1,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def vae() -> AutoencoderKL:
    """Return an autoencoder that makes images eight times as large as latents."""
    return AutoencoderKL(
        block_out_channels=(16, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=64,
    ).eval()


def _scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
    )


def tiny_sd15(folder: Path, seed: int = 0) -> StableDiffusionPipeline:
    """Return a pipeline shaped as Stable Diffusion 1.x, with 0.8 million parameters."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=2,
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=_WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    ).eval()
    return StableDiffusionPipeline(
        vae=vae(),
        text_encoder=encoder(),
        tokenizer=tokenizer(folder / "tokenizer"),
        unet=unet,
        scheduler=_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def tiny_sdxl(folder: Path, seed: int = 0) -> StableDiffusionXLPipeline:
    """Return a pipeline shaped as Stable Diffusion XL, with 1.4 million parameters."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=2,
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=_WIDTH + 6 * 8,
        cross_attention_dim=2 * _WIDTH,
        norm_num_groups=8,
    ).eval()
    return StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=encoder(),
        text_encoder_2=encoder(projection=True),
        tokenizer=tokenizer(folder / "tokenizer"),
        tokenizer_2=tokenizer(folder / "tokenizer_2"),
        unet=unet,
        scheduler=_scheduler(),
    )
