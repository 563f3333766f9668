"""TABLES: what the layers of a base model are called in the layouts that adapters are written for.

All names are module paths with underscores for dots, without the name of the component. Sources:
huggingface/diffusers scripts/convert_diffusers_to_original_*.py and loaders/lora_conversion_utils.py,
kohya-ss/sd-scripts library/sdxl_model_util.py and networks/convert_flux_lora.py, CompVis ldm openaimodel.py,
openai/CLIP model.py.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Split(NamedTuple):
    """One of the layers that a fused layer holds one under the other; `rows` is how many of its rows it has.

    `in` stands for as many as the layer has columns, `rest` for those that are left.
    """

    name: str
    rows: str


# The part of a model for each slot of `registry.identify.rows.Prefix`.
PARTS: Final[dict[str | None, str]] = {
    None: "unet",
    "denoiser": "unet",
    "te": "te1",
    "te1": "te1",
    "enc1": "te1",
    "clip_l": "te1",
    "clip_h": "te1",
    "numbered_te": "te1",
    "prior_te": "te1",
    "te2": "te2",
    "enc2": "te2",
    "clip_g": "te2",
    "te3": "te3",
    "enc3": "te3",
    "t5": "te3",
    "te4": "te4",
    "vae": "vae",
    "embedding": "embedding",
}

# Whole names of CompVis' UNet -> those of diffusers.
UNET_ENDS: Final[dict[str, str]] = {
    "input_blocks_0_0": "conv_in",
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
    "out_0": "conv_norm_out",
    "out_2": "conv_out",
}

# What a residual block holds, CompVis -> diffusers; all else in a block belongs to its attention.
RESNET: Final[dict[str, str]] = {
    "in_layers_0": "norm1",
    "in_layers_2": "conv1",
    "emb_layers_1": "time_emb_proj",
    "out_layers_0": "norm2",
    "out_layers_3": "conv2",
    "skip_connection": "conv_shortcut",
}

# Beginnings of the modules of text encoders that only some versions of their code have.
ENCODER_PREFIXES: Final[tuple[str, ...]] = (
    "model_text_model_",
    "text_model_",
    "model_transformer_",
    "transformer_",
)

# What a layer of OpenCLIP holds -> the same in transformers.
OPENCLIP: Final[dict[str, str]] = {
    "attn_out_proj": "self_attn_out_proj",
    "mlp_c_fc": "mlp_fc1",
    "mlp_c_proj": "mlp_fc2",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
}

# Ends that older code of diffusers leaves out.
ENDS: Final[dict[str, str]] = {"_to_out": "_to_out_0"}

_QKV = (Split("attn_to_q", "in"), Split("attn_to_k", "in"), Split("attn_to_v", "in"))
_ADDED_QKV = (Split("attn_add_q_proj", "in"), Split("attn_add_k_proj", "in"), Split("attn_add_v_proj", "in"))

# Blocks of transformers: stem of Black Forest Labs, stem of diffusers, and what each of them holds.
FLUX: Final[dict[str, tuple[str, dict[str, tuple[Split, ...]]]]] = {
    "double_blocks": (
        "transformer_blocks",
        {
            "img_attn_qkv": _QKV,
            "txt_attn_qkv": _ADDED_QKV,
            "qkv_lora1": _QKV,
            "qkv_lora2": _ADDED_QKV,
            "img_attn_proj": (Split("attn_to_out_0", "rest"),),
            "txt_attn_proj": (Split("attn_to_add_out", "rest"),),
            "proj_lora1": (Split("attn_to_out_0", "rest"),),
            "proj_lora2": (Split("attn_to_add_out", "rest"),),
            "img_mlp_0": (Split("ff_net_0_proj", "rest"),),
            "img_mlp_2": (Split("ff_net_2", "rest"),),
            "txt_mlp_0": (Split("ff_context_net_0_proj", "rest"),),
            "txt_mlp_2": (Split("ff_context_net_2", "rest"),),
            "img_mod_lin": (Split("norm1_linear", "rest"),),
            "txt_mod_lin": (Split("norm1_context_linear", "rest"),),
        },
    ),
    "single_blocks": (
        "single_transformer_blocks",
        {
            "linear1": (*_QKV, Split("proj_mlp", "rest")),
            "linear2": (Split("proj_out", "rest"),),
            "modulation_lin": (Split("norm_linear", "rest"),),
        },
    ),
}
FLUX_ENDS: Final[dict[str, str]] = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in_in_layer": "time_text_embed_timestep_embedder_linear_1",
    "time_in_out_layer": "time_text_embed_timestep_embedder_linear_2",
    "vector_in_in_layer": "time_text_embed_text_embedder_linear_1",
    "vector_in_out_layer": "time_text_embed_text_embedder_linear_2",
    "guidance_in_in_layer": "time_text_embed_guidance_embedder_linear_1",
    "guidance_in_out_layer": "time_text_embed_guidance_embedder_linear_2",
    "final_layer_linear": "proj_out",
}
