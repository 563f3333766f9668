"""TABLES: base models with double-stream (joint) transformer blocks: FLUX, SD3, Qwen-Image, Hunyuan and kin.

Sources: black-forest-labs/flux and flux2 model.py, huggingface/diffusers models/transformers/*.py,
lodestone-rock/flow (Chroma), Tencent/HunyuanVideo, Tencent-Hunyuan/HunyuanImage-2.1, kohya-ss/musubi-tuner,
Comfy-Org/ComfyUI comfy/ldm/*/model.py, comfy/model_detection.py.
"""

from __future__ import annotations

from registry.identify.rows import Absence, Architecture, Width

_JOINT = (
    "transformer_blocks.#.attn.{to_q,to_k,to_v,to_out,to_out.0,add_q_proj,add_k_proj,add_v_proj,to_add_out}",
    "transformer_blocks.#.attn.{norm_q,norm_k,norm_added_q,norm_added_k}",
)
_FF = "transformer_blocks.#.{ff,ff_context}.net.{0.proj,2}"
_SINGLE = (
    "single_transformer_blocks.#.attn.{to_q,to_k,to_v,norm_q,norm_k}",
    "single_transformer_blocks.#.{proj_mlp,proj_out}",
)
_NORMS = (
    "transformer_blocks.#.{norm1,norm1_context}.linear",
    "single_transformer_blocks.#.norm.linear",
)
_BFL_ATTENTION = (
    "double_blocks.#.{img_attn,txt_attn}.{qkv,proj}",
    # OneTrainer splits fused layers and numbers the parts
    "double_blocks.#.{img_attn,txt_attn}.qkv.{0,1,2}",
    "single_blocks.#.linear1.{0,1,2,3}",
    "double_blocks.#.{img_attn,txt_attn}.norm.*",
    "double_blocks.#.{img_mlp,txt_mlp}.{0,2}",
    "single_blocks.#.{linear1,linear2}",
    "single_blocks.#.norm.*",
)
_BFL_MODULATION = ("double_blocks.#.{img_mod,txt_mod}.lin", "single_blocks.#.modulation.lin")
_XLABS = ("double_blocks.#.{qkv,proj}", "single_blocks.#.{qkv,proj}")
_BFL_ENDS = ("img_in", "txt_in", "time_in.*", "final_layer.*")
_HUNYUAN = (
    "double_blocks.#.{img_attn,txt_attn}.fused.{qkv,proj}",
    "double_blocks.#.{img_attn,txt_attn}_{qkv,proj}",
    "double_blocks.#.{img_attn,txt_attn}_{q,k,v}",
    "double_blocks.#.{img_attn,txt_attn}.{qkv,proj}",
    "double_blocks.#.{img_attn,txt_attn}.norm.*",
    "double_blocks.#.{img_attn,txt_attn}_{q,k}_norm",
    "double_blocks.#.{img_mlp,txt_mlp}.{fc1,fc2,0,2}",
    "double_blocks.#.{img_mod,txt_mod}.{linear,lin}",
    "single_blocks.#.{linear1,linear2}",
    "single_blocks.#.modulation.{linear,lin}",
    "single_blocks.#.{norm,q_norm,k_norm}.*",
    "{img_in,txt_in,time_in,vector_in,guidance_in,final_layer,byt5_in,cond_type_embedding,vision_in}.*",
    "context_embedder.*",
)


def _hidden(size: int, *more: int) -> tuple[Width, ...]:
    sizes = (size, *more)
    return (
        Width("transformer_blocks.#.attn.{to_q,to_k,to_v,to_out.0,to_out}", "in", sizes),
        Width("transformer_blocks.#.attn.{add_q_proj,add_k_proj,add_v_proj,to_add_out}", "in", sizes),
        Width("transformer_blocks.#.{norm1,norm1_context}.linear", "in", sizes),
        Width("single_transformer_blocks.#.norm.linear", "in", sizes),
        Width("transformer_blocks.#.{ff,ff_context}.net.0.proj", "in", sizes),
        Width("single_transformer_blocks.#.attn.{to_q,to_k,to_v,to_out.0}", "in", sizes),
        Width("single_transformer_blocks.#.proj_mlp", "in", sizes),
    )


def _bfl(hidden: int, *, mlp: int, linear1: int, linear2: int) -> tuple[Width, ...]:
    return (
        Width("double_blocks.#.{img_attn,txt_attn}.{qkv,proj}", "in", (hidden,)),
        Width("double_blocks.#.{img_attn,txt_attn}_{q,k,v}", "in", (hidden,)),
        Width("double_blocks.#.{img_attn,txt_attn}.qkv.{0,1,2}", "in", (hidden,)),
        Width("double_blocks.#.{qkv,proj}", "in", (hidden,)),
        Width("double_blocks.#.{img_mod,txt_mod}.{lin,linear}", "in", (hidden,)),
        Width("double_blocks.#.{img_mlp,txt_mlp}.{0,fc1}", "in", (hidden,)),
        Width("double_blocks.#.{img_mlp,txt_mlp}.{2,fc2}", "in", (mlp,)),
        Width("single_blocks.#.linear1", "in", (hidden,)),
        Width("single_blocks.#.linear1", "out", (linear1,)),
        Width("single_blocks.#.linear2", "in", (linear2,)),
    )


_FLUX1_WIDTHS = (
    *_hidden(3072),
    *_bfl(3072, mlp=12288, linear1=21504, linear2=15360),
    Width("transformer_blocks.#.{ff,ff_context}.net.2", "in", (12288,)),
    Width("single_transformer_blocks.#.proj_out", "in", (15360,)),
)

JOINT: tuple[Architecture, ...] = (
    Architecture(
        name="flux1",
        denoiser="transformer",
        modules=(
            *_JOINT,
            _FF,
            *_SINGLE,
            *_NORMS,
            *_BFL_ATTENTION,
            *_BFL_MODULATION,
            *_XLABS,
            *_BFL_ENDS,
            # diffusers fuse_qkv_projections
            "transformer_blocks.#.attn.{to_qkv,to_added_qkv}",
            "single_transformer_blocks.#.attn.to_qkv",
            "{vector_in,guidance_in}.*",
            "x_embedder",
            "context_embedder",
            "time_text_embed.*",
            "norm_out.linear",
            "proj_out",
        ),
        blocks=(
            (
                ("double_blocks", 19),
                ("single_blocks", 38),
                ("transformer_blocks", 19),
                ("single_transformer_blocks", 38),
            ),
        ),
        widths=_FLUX1_WIDTHS,
    ),
    Architecture(
        name="chroma",
        denoiser="transformer",
        modules=(
            *_JOINT,
            _FF,
            *_SINGLE,
            *_BFL_ATTENTION,
            *_BFL_ENDS,
            "distilled_guidance_layer.*",
            "{nerf_blocks,nerf_image_embedder,nerf_final_layer,nerf_final_layer_conv}.*",
            "img_in_patch",
            "x_embedder",
            "context_embedder",
            "proj_out",
        ),
        blocks=(
            (
                ("double_blocks", 19),
                ("single_blocks", 38),
                ("transformer_blocks", 19),
                ("single_transformer_blocks", 38),
            ),
        ),
        widths=_FLUX1_WIDTHS,
    ),
    Architecture(
        name="flux2",
        denoiser="transformer",
        modules=(
            *_JOINT,
            "transformer_blocks.#.{ff,ff_context}.{linear_in,linear_out}",
            "single_transformer_blocks.#.attn.{to_qkv_mlp_proj,to_out,norm_q,norm_k}",
            "{double_stream_modulation_img,double_stream_modulation_txt,single_stream_modulation}.*",
            *_BFL_ATTENTION,
            *_BFL_ENDS,
            "guidance_in.*",
            "x_embedder",
            "context_embedder",
            "time_guidance_embed.*",
            "norm_out.linear",
            "proj_out",
        ),
        blocks=tuple(
            (
                ("double_blocks", double),
                ("single_blocks", single),
                ("transformer_blocks", double),
                ("single_transformer_blocks", single),
            )
            for double, single in ((8, 48), (8, 24), (5, 20))
        ),
        widths=(
            *_hidden(6144, 4096, 3072),
            Width("transformer_blocks.#.{ff,ff_context}.linear_in", "in", (6144, 4096, 3072)),
            Width("transformer_blocks.#.{ff,ff_context}.linear_out", "in", (18432, 12288, 9216)),
            Width("single_transformer_blocks.#.attn.to_qkv_mlp_proj", "in", (6144, 4096, 3072)),
            Width("double_blocks.#.{img_attn,txt_attn}.{qkv,proj}", "in", (6144, 4096, 3072)),
            Width("double_blocks.#.{img_mlp,txt_mlp}.0", "in", (6144, 4096, 3072)),
            Width("double_blocks.#.{img_mlp,txt_mlp}.0", "out", (36864, 24576, 18432)),
            Width("double_blocks.#.{img_mlp,txt_mlp}.2", "in", (18432, 12288, 9216)),
            Width("single_blocks.#.linear1", "in", (6144, 4096, 3072)),
            Width("single_blocks.#.linear1", "out", (55296, 36864, 27648)),
            Width("single_blocks.#.linear2", "in", (24576, 16384, 12288)),
        ),
    ),
    Architecture(
        name="sd3",
        denoiser="transformer",
        modules=(
            *_JOINT,
            _FF,
            "transformer_blocks.#.attn2.{to_q,to_k,to_v,to_out.0,norm_q,norm_k}",
            "transformer_blocks.#.{norm1,norm1_context}.linear",
            "joint_blocks.#.{x_block,context_block}.*",
            "pos_embed.proj",
            "{x_embedder,y_embedder,t_embedder}.*",
            "context_embedder",
            "time_text_embed.*",
            "norm_out.linear",
            "proj_out",
            "final_layer.*",
        ),
        blocks=(
            (("transformer_blocks", 24), ("joint_blocks", 24)),
            (("transformer_blocks", 38), ("joint_blocks", 38)),
        ),
        widths=(
            *_hidden(1536, 2432),
            Width("joint_blocks.#.{x_block,context_block}.attn.qkv", "in", (1536, 2432)),
        ),
    ),
    Architecture(
        name="qwen_image",
        denoiser="transformer",
        modules=(
            *_JOINT,
            "transformer_blocks.#.{img_mod,txt_mod}.1",
            "transformer_blocks.#.{img_mlp,txt_mlp}.net.{0.proj,2}",
            "{img_in,txt_in,txt_norm,proj_out}",
            "time_text_embed.*",
            "norm_out.linear",
        ),
        blocks=((("transformer_blocks", 60),),),
        widths=(*_hidden(3072), Width("transformer_blocks.#.{img_mlp,txt_mlp}.net.0.proj", "in", (3072,))),
    ),
    Architecture(
        name="auraflow",
        denoiser="transformer",
        modules=(
            "joint_transformer_blocks.#.attn.{to_q,to_k,to_v,to_out.0,add_q_proj,add_k_proj,add_v_proj}",
            "joint_transformer_blocks.#.attn.to_add_out",
            "joint_transformer_blocks.#.{ff,ff_context}.{linear_1,linear_2,out_projection}",
            "joint_transformer_blocks.#.{norm1,norm1_context}.linear",
            "single_transformer_blocks.#.attn.{to_q,to_k,to_v,to_out.0}",
            "single_transformer_blocks.#.ff.{linear_1,linear_2,out_projection}",
            "single_transformer_blocks.#.norm1.linear",
            "double_layers.#.{attn,mlpC,mlpX,modC,modX}.*",
            "single_layers.#.{attn,mlp,modCX}.*",
            "{cond_seq_linear,init_x_linear,final_linear,modF,t_embedder}.*",
            "context_embedder",
            "time_step_proj.*",
            "norm_out.linear",
            "pos_embed.proj",
        ),
        blocks=(
            (
                ("joint_transformer_blocks", 4),
                ("single_transformer_blocks", 32),
                ("double_layers", 4),
                ("single_layers", 32),
            ),
        ),
        widths=(
            Width("joint_transformer_blocks.#.attn.*", "in", (3072,)),
            Width("single_transformer_blocks.#.attn.{to_q,to_k,to_v,to_out.0}", "in", (3072,)),
        ),
    ),
    Architecture(
        name="hunyuan_video",
        denoiser="transformer",
        modules=(
            *_JOINT,
            _FF,
            *_SINGLE,
            *_NORMS,
            *_HUNYUAN,
            "x_embedder.*",
            "time_text_embed.*",
            "context_embedder_2.*",
            "image_embedder.*",
            "clean_x_embedder.*",
            "norm_out.linear",
            "proj_out",
        ),
        blocks=(
            (
                ("double_blocks", 20),
                ("single_blocks", 40),
                ("transformer_blocks", 20),
                ("single_transformer_blocks", 40),
            ),
            (("double_blocks", 54), ("transformer_blocks", 54), ("single_blocks", 0)),
        ),
        widths=(
            *_hidden(3072, 2048),
            Width("double_blocks.#.{img_attn,txt_attn}.{qkv,proj}", "in", (3072, 2048)),
            Width("double_blocks.#.{img_attn,txt_attn}.fused.{qkv,proj}", "in", (3072, 2048)),
            Width("double_blocks.#.{img_attn,txt_attn}_{q,k,v}", "in", (3072, 2048)),
            Width("double_blocks.#.{img_mod,txt_mod}.{lin,linear}", "in", (3072, 2048)),
            Width("double_blocks.#.{img_mlp,txt_mlp}.{0,fc1}", "in", (3072, 2048)),
            Width("double_blocks.#.{img_mlp,txt_mlp}.{0,fc1}", "out", (12288, 8192)),
            Width("single_blocks.#.linear1", "in", (3072,)),
            Width("single_blocks.#.linear1", "out", (21504,)),
            Width("single_blocks.#.linear2", "in", (15360,)),
            Width("single_transformer_blocks.#.proj_out", "in", (15360,)),
        ),
    ),
    Architecture(
        name="hunyuan_image",
        denoiser="transformer",
        modules=(
            *_JOINT,
            _FF,
            *_SINGLE,
            *_NORMS,
            *_HUNYUAN,
            "single_blocks.#.{linear1_q,linear1_k,linear1_v,linear1_mlp}",
            "x_embedder.*",
            "time_guidance_embed.*",
            "context_embedder_2.*",
            "norm_out.linear",
            "proj_out",
        ),
        blocks=(
            (
                ("double_blocks", 20),
                ("single_blocks", 40),
                ("transformer_blocks", 20),
                ("single_transformer_blocks", 40),
            ),
        ),
        widths=(
            *_hidden(3584),
            *_bfl(3584, mlp=14336, linear1=25088, linear2=17920),
            Width("single_blocks.#.{linear1_q,linear1_k,linear1_v,linear1_mlp}", "in", (3584,)),
            Width("double_blocks.#.{img_attn,txt_attn}.fused.{qkv,proj}", "in", (3584,)),
        ),
    ),
    Architecture(
        name="hidream",
        denoiser="transformer",
        modules=(
            "{double_stream_blocks,single_stream_blocks}.#.block.*",
            "caption_projection.*",
            "{t_embedder,p_embedder,x_embedder,final_layer}.*",
        ),
        blocks=((("double_stream_blocks", 16), ("single_stream_blocks", 32)),),
        widths=(
            Width(
                "{double_stream_blocks,single_stream_blocks}.#.block.attn1.{to_q,to_k,to_v}", "in", (2560,)
            ),
        ),
        requires=("{double_stream_blocks,single_stream_blocks}.*", "caption_projection.*"),
    ),
    Architecture(
        name="mochi",
        denoiser="transformer",
        modules=(
            "transformer_blocks.#.attn1.{to_q,to_k,to_v,to_out.0,add_q_proj,add_k_proj,add_v_proj,to_add_out}",
            "transformer_blocks.#.{ff,ff_context}.net.{0.proj,2}",
            "transformer_blocks.#.{norm1,norm1_context}.*",
            "blocks.#.attn.{qkv_x,qkv_y,proj_x,proj_y}",
            "blocks.#.{mlp_x,mlp_y}.{w1,w2}",
            "blocks.#.{mod_x,mod_y}",
        ),
        blocks=((("transformer_blocks", 48), ("blocks", 48)),),
        widths=(
            Width("transformer_blocks.#.attn1.{to_q,to_k,to_v}", "in", (3072,)),
            Width("transformer_blocks.#.attn1.{add_q_proj,add_k_proj,add_v_proj}", "in", (1536,)),
            Width("blocks.#.attn.qkv_x", "in", (3072,)),
        ),
        requires=("transformer_blocks.*", "blocks.#.{attn,mlp_x,mlp_y,mod_x,mod_y}.*"),
    ),
)

# kohya-ss/sd-scripts adapts every linear layer of a FLUX.1 block, so modulation is missing only where there
# is none. ostris/ai-toolkit (PEFT names) and musubi-tuner's FLUX.1 Kontext leave it out by themselves.
JOINT_ABSENCES: tuple[Absence, ...] = (
    Absence(
        winner="chroma",
        losers=("flux1", "flux2", "hunyuan_video", "hunyuan_image"),
        seen=("distilled_guidance_layer.*",),
        absent=(),
        stem="double_blocks",
        at_least=0,
        why="a distilled guidance layer is part of Chroma only",
    ),
    Absence(
        winner="chroma",
        losers=("flux1", "hunyuan_video", "hunyuan_image"),
        seen=("double_blocks.#.img_mlp.0", "single_blocks.#.linear1"),
        absent=("double_blocks.#.{img_mod,txt_mod}.lin", "single_blocks.#.modulation.lin"),
        stem="double_blocks",
        at_least=10,
        why="every kind of layer of the blocks is adapted except modulation, which Chroma does not have",
        layouts=("kohya",),
        unless=("kontext",),
    ),
)
