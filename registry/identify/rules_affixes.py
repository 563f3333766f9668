"""TABLES: how tensor names begin and end.

Sources: kohya-ss/sd-scripts networks/*.py, KohakuBlueleaf/LyCORIS lycoris/modules/*.py, huggingface/peft
src/peft/tuners/*, huggingface/diffusers loaders/lora_conversion_utils.py, Comfy-Org/ComfyUI comfy/lora.py and
comfy/weight_adapter/*.py, cloneofsimo/lora lora_diffusion/safe_open.py, Nerogar/OneTrainer modelSaver.
"""

from __future__ import annotations

from registry.identify.rows import Prefix, Suffix

PREFIXES: tuple[Prefix, ...] = (
    # kohya and its relatives: dots of the module path become underscores
    Prefix("lora_unet_", "denoiser", "kohya"),
    Prefix("lora_te_", "te", "kohya"),
    Prefix("lora_te1_", "te1", "kohya"),
    Prefix("lora_te2_", "te2", "kohya"),
    Prefix("lora_te3_", "te3", "kohya"),
    Prefix("lora_te4_", "te4", "kohya"),
    Prefix("oft_unet_", "denoiser", "kohya"),
    Prefix("oft_te_", "te", "kohya"),
    Prefix("oft_te1_", "te1", "kohya"),
    Prefix("oft_te2_", "te2", "kohya"),
    Prefix("lora_transformer_", "denoiser", "onetrainer"),
    Prefix("lora_prior_unet_", "denoiser", "onetrainer"),
    Prefix("lora_prior_te_", "prior_te", "onetrainer"),
    Prefix("lora_decoder_unet_", "denoiser", "onetrainer"),
    Prefix("lycoris_unet_", "denoiser", "lycoris"),
    Prefix("lycoris_te_", "te", "lycoris"),
    Prefix("lycoris_text_encoder_2_", "enc2", "lycoris"),
    Prefix("lycoris_text_encoder_", "enc1", "lycoris"),
    Prefix("lycoris_", "denoiser", "lycoris"),
    Prefix("unet:", "denoiser", "cloneofsimo"),
    Prefix("text_encoder:", "numbered_te", "cloneofsimo"),
    # diffusers: one prefix for each component of a pipeline
    Prefix("unet.", "denoiser", "diffusers"),
    Prefix("transformer.", "denoiser", "diffusers"),
    Prefix("transformer_2.", "denoiser", "diffusers"),
    Prefix("prior.", "denoiser", "diffusers"),
    Prefix("text_encoder.", "enc1", "diffusers"),
    Prefix("text_encoder_2.", "enc2", "diffusers"),
    Prefix("text_encoder_3.", "enc3", "diffusers"),
    Prefix("text_encoder_4.", "te4", "diffusers"),
    Prefix("vae.", "vae", "diffusers"),
    # ComfyUI and whole checkpoints
    Prefix("diffusion_model.", "denoiser", "comfyui"),
    Prefix("model.diffusion_model.", "denoiser", "comfyui"),
    Prefix("model.model.diffusion_model.", "denoiser", "comfyui"),
    Prefix("text_encoders.clip_l.transformer.", "clip_l", "comfyui"),
    Prefix("text_encoders.clip_g.transformer.", "clip_g", "comfyui"),
    Prefix("text_encoders.clip_h.transformer.", "clip_h", "comfyui"),
    Prefix("text_encoders.t5xxl.transformer.", "t5", "comfyui"),
    Prefix("text_encoders.umt5xxl.transformer.", "te", "comfyui"),
    Prefix("text_encoders.", "te", "comfyui"),
    Prefix("clip_l.transformer.", "clip_l", "comfyui"),
    Prefix("clip_g.transformer.", "clip_g", "comfyui"),
    Prefix("clip_l.", "clip_l", "onetrainer"),
    Prefix("clip_g.", "clip_g", "onetrainer"),
    Prefix("t5xxl.transformer.", "t5", "comfyui"),
    Prefix("t5.", "t5", "onetrainer"),
    Prefix("cond_stage_model.transformer.", "te", "kohya_ldm"),
    Prefix("cond_stage_model.model.", "te", "kohya_ldm"),
    Prefix("conditioner.embedders.0.transformer.", "te1", "kohya_ldm"),
    Prefix("conditioner.embedders.1.model.", "te2", "kohya_ldm"),
    Prefix("first_stage_model.", "vae", "kohya_ldm"),
    # wrappers that name no component
    Prefix("bundle_emb.", "embedding", None),
    Prefix("base_model.model.", None, "peft"),
    Prefix("pipe.dit.", "denoiser", None),
    Prefix("dit.", "denoiser", None),
    Prefix("net.", "denoiser", None),
    Prefix("module.", None, None),
    Prefix("_orig_mod.", None, None),
)

# Layouts that modules prove by their names alone, in order of precedence over the layout of a prefix.
MODULE_LAYOUTS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("kohya", ("input_blocks.*", "middle_block.*", "output_blocks.*"), "kohya_ldm"),
    ("comfyui", ("double_blocks.*", "single_blocks.*"), "bfl"),
    ("", ("double_blocks.*", "single_blocks.*"), "bfl"),
    ("", ("input_blocks.*", "middle_block.*", "output_blocks.*"), "kohya_ldm"),
    ("", ("blocks.*", "layers.*"), "comfyui"),
    ("", ("transformer_blocks.*", "single_transformer_blocks.*", "joint_transformer_blocks.*"), "diffusers"),
    ("", ("down_blocks.*", "mid_block.*", "up_blocks.*"), "diffusers"),
)

# Parts of dotted names that would otherwise read like those of another model: Tencent writes `img_attn_qkv`
# where Black Forest Labs write `img_attn.qkv`.
DOTTED_PARTS: dict[str, tuple[str, ...]] = {
    f"{stream}_attn_{part}": (stream, "attn", "fused", part)
    for stream in ("img", "txt")
    for part in ("qkv", "proj")
}

# Words that PEFT puts between a factor and `.weight`: the name of the adapter (`lora_A.default.weight`).
NAMED_FACTORS = frozenset(
    {
        "lora_A",
        "lora_B",
        "lora_embedding_A",
        "lora_embedding_B",
        "lora_magnitude_vector",
        "oft_R",
        "oft_r",
        "oft_s",
        "boft_R",
        "boft_s",
        "ia3_l",
        "hada_w1_a",
        "hada_w1_b",
        "hada_w2_a",
        "hada_w2_b",
        "lokr_w1",
        "lokr_w2",
        "lokr_w1_a",
        "lokr_w1_b",
        "lokr_w2_a",
        "lokr_w2_b",
    }
)

# Endings of the part before `.down.weight` or `.up.weight` (diffusers attention processors 2023, XLabs).
ATTACHED = ("_lora", "_lora1", "_lora2")

_DOWN = ("lora", "down", 0, 1, None)
_UP = ("lora", "up", 1, None, 0)

SUFFIXES: tuple[Suffix, ...] = (
    *(
        Suffix(text, *_DOWN)
        for text in (
            "lora_down.weight",
            "lora_down",
            "lora_A.weight",
            "lora_A",
            "lora_a.weight",
            "lora_a",
            "lora.down.weight",
            "lora_linear_layer.down.weight",
            "lora_conv_layer.down.weight",
            "lora_embedding_A",
            "lora_embedding_A.weight",
            "lora.A.weight",
            "lora_down.default.weight",
            ":down",
        )
    ),
    *(
        Suffix(text, *_UP)
        for text in (
            "lora_up.weight",
            "lora_up",
            "lora_B.weight",
            "lora_B",
            "lora_b.weight",
            "lora_b",
            "lora.up.weight",
            "lora_linear_layer.up.weight",
            "lora_conv_layer.up.weight",
            "lora_embedding_B",
            "lora_embedding_B.weight",
            "lora.B.weight",
            "lora_up.default.weight",
            ":up",
        )
    ),
    Suffix("lora_mid.weight", "lora", "mid"),
    Suffix("lora_mid", "lora", "mid"),
    Suffix("lora_A.bias", "lora", "bias"),
    Suffix("lora_B.bias", "lora", "bias"),
    Suffix("lora_up.bias", "lora", "bias"),
    Suffix("lora_down.bias", "lora", "bias"),
    Suffix("alpha", "scale", "alpha"),
    Suffix("lora_alpha", "scale", "alpha"),
    Suffix("lora_alpha.weight", "scale", "alpha"),
    Suffix("scalar", "scale", "alpha"),
    Suffix("network_alpha", "scale", "alpha"),
    Suffix("dora_scale", "magnitude", "magnitude"),
    Suffix("lora_magnitude_vector", "magnitude", "magnitude"),
    Suffix("lora_magnitude_vector.weight", "magnitude", "magnitude"),
    Suffix("magnitude", "magnitude", "magnitude"),
    Suffix("magnitude.weight", "magnitude", "magnitude"),
    Suffix("hada_w1_a", "loha", "w1_a"),
    Suffix("hada_w1_b", "loha", "w1_b", 0, 1),
    Suffix("hada_w2_a", "loha", "w2_a"),
    Suffix("hada_w2_b", "loha", "w2_b", 0, 1),
    Suffix("hada_t1", "loha", "t1"),
    Suffix("hada_t2", "loha", "t2"),
    Suffix("lokr_w1", "lokr", "w1"),
    Suffix("lokr_w1_a", "lokr", "w1_a"),
    Suffix("lokr_w1_b", "lokr", "w1_b", 0),
    Suffix("lokr_w2", "lokr", "w2"),
    Suffix("lokr_w2_a", "lokr", "w2_a"),
    Suffix("lokr_w2_b", "lokr", "w2_b", 0),
    Suffix("lokr_t1", "lokr", "t1"),
    Suffix("lokr_t2", "lokr", "t2"),
    Suffix("oft_blocks", "oft", "blocks"),
    Suffix("oft_blocks.#", "oft", "blocks"),
    Suffix("oft_diag", "oft", "blocks"),
    Suffix("oft_R", "oft", "blocks"),
    Suffix("oft_R.weight", "oft", "blocks"),
    Suffix("oft_r", "oft", "blocks"),
    Suffix("oft_s", "oft", "rescale"),
    Suffix("boft_R", "oft", "blocks"),
    Suffix("boft_R.weight", "oft", "blocks"),
    Suffix("boft_s", "oft", "rescale"),
    Suffix("rescale", "oft", "rescale"),
    Suffix("on_input", "ia3", "on_input"),
    Suffix("ia3_l", "ia3", "scale"),
    Suffix("ia3_l.weight", "ia3", "scale"),
    Suffix("ia3_w", "ia3", "scale"),
    Suffix("a1.weight", "glora", "a1"),
    Suffix("a2.weight", "glora", "a2", 0, 1),
    Suffix("b1.weight", "glora", "b1", None, None, 0),
    Suffix("b2.weight", "glora", "b2", 0, 1),
    Suffix("bm1.weight", "glora", "b1"),
    Suffix("bm2.weight", "glora", "b2"),
    Suffix("diff", "diff", "diff", None, 1, 0),
    Suffix("diff_b", "diff", "diff_b"),
    Suffix("diff_m", "diff", "diff_m"),
    Suffix("set_weight", "diff", "diff"),
    Suffix("reshape_weight", "diff", "reshape"),
    Suffix("w_norm", "norm", "w_norm"),
    Suffix("b_norm", "norm", "b_norm"),
    Suffix("vera_lambda_b", "other", "scale"),
    Suffix("vera_lambda_d", "other", "scale"),
    Suffix("unilora_theta_d", "other", "theta"),
    Suffix("vblora_vector_bank", "other", "bank"),
    Suffix("vblora_logits_A", "other", "factor"),
    Suffix("vblora_logits_B", "other", "factor"),
    Suffix("randlora_lambda", "other", "scale"),
    Suffix("randlora_gamma", "other", "scale"),
    Suffix("fourierft_spectrum", "other", "spectrum"),
    Suffix("hra_u", "other", "factor"),
    Suffix("prompt_embeddings", "other", "prompt"),
    Suffix("poly_lora_A", "other", "factor"),
    Suffix("poly_lora_B", "other", "factor"),
    Suffix("weight", "plain", "weight", None, 1, 0),
    Suffix("bias", "plain", "bias"),
    Suffix("scale", "plain", "scale"),
    Suffix("gamma", "plain", "scale"),
    Suffix("beta", "plain", "scale"),
)

# Names that are a factor as a whole (LoRA-ViT numbers its layers and keeps no module names).
WHOLE_NAMES: tuple[Suffix, ...] = (Suffix("w_a_#", *_DOWN), Suffix("w_b_#", *_UP))

# Layouts of prefixes that only adapters of diffusion models have, whatever the module after them is called.
DIFFUSION_LAYOUTS = frozenset({"kohya", "lycoris", "onetrainer", "comfyui"})

# Prefixes that speak of an adapter even where the ending is a plain `.weight`.
ADAPTER_PREFIXES = ("lora_", "lycoris_", "oft_")

# Modules that are convolutions wider than 1x1; a LoRA that reaches them is a LoCon.
CONVOLUTIONS: tuple[str, ...] = (
    "{down_blocks,up_blocks}.#.resnets.#.{conv1,conv2}",
    "mid_block.resnets.#.{conv1,conv2}",
    "down_blocks.#.downsamplers.#.conv",
    "up_blocks.#.upsamplers.#.conv",
    "{input_blocks,output_blocks}.#.#.in_layers.2",
    "{input_blocks,output_blocks}.#.#.out_layers.3",
    "middle_block.#.in_layers.2",
    "middle_block.#.out_layers.3",
    "input_blocks.#.#.op",
    "output_blocks.#.#.conv",
)

# Convolutions that turn patches into tokens; every transformer has one, and it makes no LoCon.
PATCHERS: tuple[str, ...] = (
    "patch_embedding",
    "pos_embed.proj",
    "x_embedder.*",
    "patch_embed.*",
    "img_in.*",
    "proj_in",
)
