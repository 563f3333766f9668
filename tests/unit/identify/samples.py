"""Hand-made state dicts: a few modules of every architecture, in every layout and with every adapter."""

from __future__ import annotations

from typing import NamedTuple

from registry.views import TensorInfo

RANK = 8
Tensors = dict[str, TensorInfo]


class Sample(NamedTuple):
    """Dotted module paths of an architecture with (input, output) widths."""

    architecture: str
    modules: dict[str, tuple[int, int]]


def sd_unet(cross: int, blocks: str) -> dict[str, tuple[int, int]]:
    base = f"{blocks}.transformer_blocks.0"
    return {
        f"{base}.attn1.to_q": (640, 640),
        f"{base}.attn2.to_k": (cross, 640),
        f"{base}.attn2.to_v": (cross, 640),
        f"{base}.ff.net.0.proj": (640, 5120),
    }


def joint(block: str, size: int) -> dict[str, tuple[int, int]]:
    names = ("to_q", "to_k", "to_v", "add_q_proj", "to_add_out")
    return {f"{block}.attn.{name}": (size, size) for name in names}


def bfl(size: int, *, modulation: bool, mlp: int, blocks: int = 1) -> dict[str, tuple[int, int]]:
    modules: dict[str, tuple[int, int]] = {}
    for number in range(blocks):
        double, single = f"double_blocks.{number}", f"single_blocks.{number}"
        modules |= {
            f"{double}.img_attn.qkv": (size, 3 * size),
            f"{double}.txt_attn.proj": (size, size),
            f"{double}.img_mlp.0": (size, mlp),
            f"{single}.linear1": (size, 3 * size + mlp),
            f"{single}.linear2": (size * 5 if mlp == 4 * size else size * 4, size),
        }
        if modulation:
            modules[f"{double}.img_mod.lin"] = (size, 6 * size)
            modules[f"{single}.modulation.lin"] = (size, 3 * size)
    return modules


def wan(size: int) -> dict[str, tuple[int, int]]:
    return {
        "blocks.0.self_attn.q": (size, size),
        "blocks.0.cross_attn.k": (size, size),
        "blocks.0.ffn.0": (size, 4 * size),
    }


def refined(size: int, attention: str, feed: str) -> dict[str, tuple[int, int]]:
    return {
        f"layers.0.{attention}": (size, size),
        f"context_refiner.0.{attention}": (size, size),
        f"layers.0.feed_forward.{feed}": (size, 4 * size),
    }


SAMPLES: tuple[Sample, ...] = (
    Sample("sd15", sd_unet(768, "down_blocks.1.attentions.0")),
    Sample("sd15", sd_unet(768, "input_blocks.4.1")),
    Sample("sd2", sd_unet(1024, "down_blocks.1.attentions.0")),
    Sample("sdxl", sd_unet(2048, "down_blocks.1.attentions.0")),
    Sample("sdxl", sd_unet(2048, "input_blocks.4.1")),
    Sample(
        "kolors",
        {**sd_unet(2048, "down_blocks.1.attentions.0"), "encoder_hid_proj": (4096, 2048)},
    ),
    Sample(
        "svd",
        {
            **sd_unet(1024, "down_blocks.1.attentions.0"),
            "down_blocks.1.attentions.0.temporal_transformer_blocks.0.attn2.to_k": (1024, 640),
        },
    ),
    Sample("svd", {"input_blocks.4.1.time_stack.0.attn1.to_q": (640, 640)}),
    Sample(
        "cascade",
        {"down_blocks.0.2.attention.attn.to_q": (2048, 2048), "down_blocks.0.2.kv_mapper.1": (2048, 2048)},
    ),
    Sample("kandinsky2", {"down_blocks.0.attentions.0.add_k_proj": (768, 384)}),
    Sample("sd3", joint("transformer_blocks.0", 1536)),
    Sample("sd3", {"joint_blocks.0.x_block.attn.qkv": (2432, 7296)}),
    Sample(
        "flux1",
        {
            **joint("transformer_blocks.0", 3072),
            "transformer_blocks.0.norm1.linear": (3072, 18432),
            "single_transformer_blocks.30.proj_mlp": (3072, 12288),
            "single_transformer_blocks.30.norm.linear": (3072, 9216),
            "single_transformer_blocks.37.attn.to_q": (3072, 3072),
        },
    ),
    Sample("flux1", bfl(3072, modulation=True, mlp=12288)),
    Sample(
        "chroma",
        {
            **bfl(3072, modulation=False, mlp=12288, blocks=19),
            "distilled_guidance_layer.in_proj": (64, 5120),
        },
    ),
    Sample("chroma", {"distilled_guidance_layer.layers.0.in_layer": (5120, 5120)}),
    Sample("flux2", bfl(6144, modulation=False, mlp=36864)),
    Sample("flux2", bfl(4096, modulation=False, mlp=24576)),
    Sample("flux2", bfl(3072, modulation=False, mlp=18432)),
    Sample("flux2", {"single_transformer_blocks.0.attn.to_qkv_mlp_proj": (3072, 27648)}),
    Sample("flux2", {"double_stream_modulation_img.linear": (6144, 36864)}),
    Sample(
        "qwen_image",
        {**joint("transformer_blocks.45", 3072), "transformer_blocks.45.img_mod.1": (3072, 18432)},
    ),
    Sample("auraflow", joint("joint_transformer_blocks.0", 3072)),
    Sample(
        "hunyuan_video",
        {"double_blocks.0.img_attn_qkv": (3072, 9216), "double_blocks.0.img_mlp.fc1": (3072, 12288)},
    ),
    Sample("hunyuan_video", {"double_blocks.19.img_attn.qkv": (3072, 9216)}),
    Sample(
        "hunyuan_image",
        {"double_blocks.0.img_attn.qkv": (3584, 10752), "double_blocks.0.img_mlp.fc1": (3584, 14336)},
    ),
    Sample("hidream", {"double_stream_blocks.0.block.attn1.to_q": (2560, 2560)}),
    Sample(
        "mochi",
        {
            "transformer_blocks.0.attn1.to_q": (3072, 3072),
            "transformer_blocks.0.attn1.add_q_proj": (1536, 3072),
        },
    ),
    Sample("wan", wan(5120)),
    Sample("wan", wan(1536)),
    Sample("wan", {"blocks.0.attn1.to_q": (5120, 5120), "blocks.0.ffn.net.0.proj": (5120, 13824)}),
    Sample(
        "anima",
        {"blocks.0.self_attn.q_proj": (2048, 2048), "llm_adapter.blocks.0.self_attn.q_proj": (1024, 1024)},
    ),
    Sample(
        "cosmos",
        {"transformer_blocks.0.attn1.to_q": (2048, 2048), "transformer_blocks.0.norm1.linear_1": (2048, 256)},
    ),
    Sample("krea2", {"blocks.0.attn.wq": (6144, 6144), "blocks.0.mlp.up": (6144, 16384)}),
    Sample(
        "krea2",
        {"transformer_blocks.0.attn.to_gate": (6144, 6144), "transformer_blocks.0.ff.up": (6144, 16384)},
    ),
    Sample("z_image", refined(3840, "attention.to_q", "w1")),
    Sample("lumina2", refined(2304, "attn.to_q", "linear_1")),
    Sample("lumina2", refined(2304, "attention.qkv", "w1")),
    Sample("omnigen2", refined(2520, "attn.to_q", "linear_1")),
    Sample("ideogram4", {"layers.0.attention.to_q": (4608, 4608), "layers.0.feed_forward.w1": (4608, 12288)}),
    Sample(
        "ernie_image", {"layers.0.self_attention.to_q": (3072, 3072), "layers.0.mlp.gate_proj": (3072, 8192)}
    ),
    Sample(
        "pixart",
        {"transformer_blocks.0.attn1.to_q": (1152, 1152), "transformer_blocks.0.ff.net.0.proj": (1152, 4608)},
    ),
    Sample(
        "sana",
        {"transformer_blocks.0.attn1.to_q": (2240, 2240), "transformer_blocks.0.attn2.to_k": (2240, 2240)},
    ),
    Sample(
        "ltx",
        {"transformer_blocks.0.attn1.to_q": (2048, 2048), "transformer_blocks.0.attn2.to_k": (2048, 2048)},
    ),
    Sample(
        "ltx2",
        {
            "transformer_blocks.0.attn1.to_q": (4096, 4096),
            "transformer_blocks.0.audio_attn1.to_q": (2048, 2048),
        },
    ),
    Sample(
        "cogvideox",
        {"transformer_blocks.0.attn1.to_q": (1920, 1920), "transformer_blocks.0.norm1.linear": (512, 11520)},
    ),
    Sample("kandinsky5", {"visual_transformer_blocks.0.self_attention.to_query": (1792, 1792)}),
    Sample("hunyuan_dit", {"blocks.0.attn1.Wqkv": (1408, 4224), "blocks.0.mlp.fc1": (1408, 6144)}),
)

PREFIXES = {
    "kohya": "lora_unet_",
    "onetrainer": "lora_transformer_",
    "lycoris": "lycoris_",
    "comfyui": "diffusion_model.",
    "diffusers": "transformer.",
    "peft": "base_model.model.",
    "bare": "",
}


def named(module: str, prefix: str) -> str:
    flat = prefix.endswith("_")
    return prefix + (module.replace(".", "_") if flat else module)


def factors(adapter: str, size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Give the suffixes and shapes of one adapted linear layer."""
    wide, out = size
    pairs: dict[str, dict[str, tuple[int, ...]]] = {
        "lora": {"lora_down.weight": (RANK, wide), "lora_up.weight": (out, RANK), "alpha": ()},
        "peft": {"lora_A.weight": (RANK, wide), "lora_B.weight": (out, RANK)},
        "named": {"lora_A.default.weight": (RANK, wide), "lora_B.default.weight": (out, RANK)},
        "unsuffixed": {"lora_down": (RANK, wide), "lora_up": (out, RANK)},
        "dotted": {"lora.down.weight": (RANK, wide), "lora.up.weight": (out, RANK)},
        "dora": {"lora_down.weight": (RANK, wide), "lora_up.weight": (out, RANK), "dora_scale": (out, 1)},
        "magnitude": {
            "lora_A.weight": (RANK, wide),
            "lora_B.weight": (out, RANK),
            "lora_magnitude_vector": (out,),
        },
        "loha": {
            "hada_w1_a": (out, RANK),
            "hada_w1_b": (RANK, wide),
            "hada_w2_a": (out, RANK),
            "hada_w2_b": (RANK, wide),
            "dora_scale": (1, wide),
        },
        "lokr": {
            "lokr_w1": (4, 4),
            "lokr_w2_a": (out // 4, RANK),
            "lokr_w2_b": (RANK, wide // 4),
            "alpha": (),
        },
        "oft": {"oft_blocks": (16, 4, 4), "alpha": ()},
        "boft": {"oft_diag": (4, 16, 4, 4)},
        "ia3": {"weight": (1, wide), "on_input": ()},
        "glora": {
            "a1.weight": (wide, RANK),
            "a2.weight": (RANK, wide),
            "b1.weight": (out, RANK),
            "b2.weight": (RANK, wide),
        },
        "diff": {"diff": (out, wide), "diff_b": (out,)},
        "norm": {"w_norm": (out,), "b_norm": (out,)},
    }
    return pairs[adapter]


ADAPTER_OF = {
    "lora": "lora",
    "peft": "lora",
    "named": "lora",
    "unsuffixed": "lora",
    "dotted": "lora",
    "dora": "dora",
    "magnitude": "dora",
    "loha": "loha",
    "lokr": "lokr",
    "oft": "oft",
    "boft": "oft",
    "ia3": "ia3",
    "glora": "glora",
    "diff": "diff",
    "norm": "norm",
}


def state_dict(
    modules: dict[str, tuple[int, int]],
    *,
    prefix: str = "lora_unet_",
    adapter: str = "lora",
    dtype: str | None = "F16",
    sized: bool = True,
) -> Tensors:
    return {
        f"{named(module, prefix)}.{suffix}": TensorInfo(dtype, shape if sized else None)
        for module, size in modules.items()
        for suffix, shape in factors(adapter, size).items()
    }


def plain(modules: dict[str, tuple[int, int]], *, prefix: str = "") -> Tensors:
    return {
        f"{prefix}{module}.weight": TensorInfo("BF16", (out, wide)) for module, (wide, out) in modules.items()
    }
