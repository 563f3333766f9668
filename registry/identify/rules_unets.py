"""TABLES: base models whose denoiser is a U-Net.

Sources: CompVis/stable-diffusion and Stability-AI/generative-models (input_blocks ...), huggingface/diffusers
UNet2DConditionModel (down_blocks ...), Stability-AI/StableCascade,
Comfy-Org/ComfyUI comfy/model_detection.py.
"""

from __future__ import annotations

from registry.identify.rows import Absence, Architecture, Place, Width

_DIFFUSERS = "{down_blocks.#.attentions,up_blocks.#.attentions,mid_block.attentions}.#"
_LDM = "{input_blocks.#.#,output_blocks.#.#,middle_block.#}"
_CROSS = f"{_DIFFUSERS}.transformer_blocks.#.attn2.{{to_k,to_v}}"
_CROSS_LDM = f"{_LDM}.transformer_blocks.#.attn2.{{to_k,to_v}}"

_UNET: tuple[str, ...] = (
    f"{_DIFFUSERS}.{{transformer_blocks.*,proj_in,proj_out,norm}}",
    "{down_blocks,up_blocks}.#.resnets.*",
    "mid_block.resnets.*",
    "down_blocks.#.downsamplers.*",
    "up_blocks.#.upsamplers.*",
    "{conv_in,conv_out,conv_norm_out}",
    "time_embedding.*",
    "input_blocks.*",
    "middle_block.*",
    "output_blocks.*",
    "time_embed.*",
    "out.*",
)
# cloneofsimo/lora numbers the layers of the U-Net instead of naming them.
_NUMBERED = ("{#,0,1,2,3}",)
_ADDED = ("add_embedding.*", "label_emb.*")


def _cross(width: int) -> tuple[Width, ...]:
    return (Width(_CROSS, "in", (width,)), Width(_CROSS_LDM, "in", (width,)))


def _proj(ndim: int) -> tuple[Width, ...]:
    return (
        Width(f"{_DIFFUSERS}.{{proj_in,proj_out}}", "ndim", (ndim,)),
        Width(f"{_LDM}.{{proj_in,proj_out}}", "ndim", (ndim,)),
    )


_SMALL = (
    ("down_blocks", 4),
    ("up_blocks", 4),
    ("input_blocks", 12),
    ("output_blocks", 12),
    ("transformer_blocks", 1),
)
_LARGE = (
    ("down_blocks", 3),
    ("up_blocks", 3),
    ("input_blocks", 9),
    ("output_blocks", 9),
    ("transformer_blocks", 10),
)

UNETS: tuple[Architecture, ...] = (
    Architecture(
        name="sd15",
        denoiser="unet",
        modules=(
            *_UNET,
            *_NUMBERED,
            # AnimateDiff motion LoRA
            "{down_blocks,up_blocks}.#.motion_modules.*",
            "mid_block.motion_modules.*",
        ),
        blocks=(_SMALL,),
        widths=(
            *_cross(768),
            *_proj(4),
            Width("{#,0,1,2,3}", "in", (320, 640, 768, 1280, 2560, 5120)),
        ),
    ),
    Architecture(
        name="sd2",
        denoiser="unet",
        modules=(*_UNET, *_NUMBERED),
        blocks=(_SMALL,),
        widths=(
            *_cross(1024),
            *_proj(2),
            Width("{#,0,1,2,3}", "in", (320, 640, 1024, 1280, 2560, 5120)),
        ),
    ),
    Architecture(
        name="sdxl",
        denoiser="unet",
        modules=(*_UNET, *_ADDED, *_NUMBERED),
        blocks=(_LARGE,),
        widths=(
            *_cross(2048),
            *_proj(2),
            Width("add_embedding.linear_1", "in", (2816,)),
            Width("{#,0,1,2,3}", "in", (640, 1280, 2048, 2560, 5120)),
        ),
    ),
    Architecture(
        name="kolors",
        denoiser="unet",
        modules=(*_UNET, *_ADDED, "encoder_hid_proj.*"),
        blocks=(_LARGE,),
        widths=(
            *_cross(2048),
            *_proj(2),
            Width("add_embedding.linear_1", "in", (5632,)),
            Width("encoder_hid_proj", "in", (4096,)),
        ),
        requires=("encoder_hid_proj.*", "add_embedding.*"),
    ),
    Architecture(
        name="svd",
        denoiser="unet",
        modules=(
            *_UNET,
            *_ADDED,
            f"{_DIFFUSERS}.{{temporal_transformer_blocks.*,time_pos_embed.*,time_mixer.*}}",
        ),
        blocks=(_SMALL,),
        widths=(
            *_cross(1024),
            Width(f"{_DIFFUSERS}.temporal_transformer_blocks.#.attn2.{{to_k,to_v}}", "in", (1024,)),
        ),
        requires=(
            f"{_DIFFUSERS}.temporal_transformer_blocks.*",
            f"{_LDM}.time_stack.*",
            f"{_LDM}.time_mixer.*",
            "{down_blocks,up_blocks}.#.resnets.#.{spatial_res_block,temporal_res_block}.*",
        ),
    ),
    Architecture(
        name="cascade",
        denoiser="unet",
        modules=(
            "{down_blocks,up_blocks}.#.#.{attention,mapper,channelwise,depthwise,kv_mapper,norm}.*",
            "{down_blocks,up_blocks}.#.#.{mapper_sca,mapper_crp}.*",
            "{down_repeat_mappers,up_repeat_mappers,down_downscalers,up_upscalers}.*",
            "clip_txt_mapper",
            "clip_txt_pooled_mapper",
            "clip_img_mapper",
            "clip_mapper",
            "{effnet_mapper,pixels_mapper}.*",
            "embedding.1",
            "clf.1",
            # Stability AI's own script numbers the adapted modules
            "weights.*",
        ),
    ),
    Architecture(
        name="kandinsky2",
        denoiser="unet",
        modules=(
            "{down_blocks,up_blocks}.#.attentions.#.{to_q,to_k,to_v,add_k_proj,add_v_proj}",
            "{down_blocks,up_blocks}.#.attentions.#.to_out.0",
            "mid_block.attentions.#.{to_q,to_k,to_v,to_out.0,add_k_proj,add_v_proj}",
        ),
        requires=(
            "{down_blocks,up_blocks}.#.attentions.#.{add_k_proj,add_v_proj}",
            "mid_block.attentions.#.{add_k_proj,add_v_proj}",
        ),
    ),
)

_XL = ("sdxl", "kolors")

# Where the attention sits: SD 1.x and 2.x have none in the middle resolutions of SDXL and the reverse.
PLACES: tuple[Place, ...] = (
    Place("down_blocks.0.attentions", never=_XL),
    Place("up_blocks.0.attentions", only=_XL),
    Place("up_blocks.2.attentions", never=_XL),
    Place("{input_blocks.1.1,input_blocks.2.1}", never=_XL),
    Place("{output_blocks.0.1.transformer_blocks,output_blocks.1.1.transformer_blocks}", only=_XL),
    Place("{output_blocks.2.1.transformer_blocks,output_blocks.2.1.proj_in}", only=_XL),
    Place("{output_blocks.6.1,output_blocks.7.1,output_blocks.8.1}", never=_XL),
)

UNET_ABSENCES: tuple[Absence, ...] = (
    Absence(
        winner="kolors",
        losers=("sdxl",),
        seen=("encoder_hid_proj",),
        absent=(),
        stem="down_blocks",
        at_least=0,
        why="a projection of the text encoder's states is part of Kolors only",
    ),
    Absence(
        winner="svd",
        losers=("sd15", "sd2", "sdxl"),
        seen=(f"{_LDM}.time_stack.*",),
        absent=(),
        stem="input_blocks",
        at_least=0,
        why="temporal layers (time_stack) are those of a video model",
    ),
)
