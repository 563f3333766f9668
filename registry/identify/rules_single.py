"""TABLES: base models with one stream of transformer blocks: Wan, LTX, Lumina, Z-Image, PixArt and kin.

Sources: Wan-Video/Wan2.1, Lightricks/LTX-Video and LTX-2, Alpha-VLLM/Lumina-Image-2.0, Tongyi-MAI/Z-Image,
PixArt-alpha/PixArt-sigma, NVlabs/Sana, nvidia-cosmos/cosmos-predict2, zai-org/CogVideo,
ai-forever/Kandinsky-5, huggingface/diffusers models/transformers/*.py,
Comfy-Org/ComfyUI comfy/ldm/*/model.py.
"""

from __future__ import annotations

from registry.identify.rows import Architecture, Width

_ATTENTION = "{to_q,to_k,to_v,to_out,to_out.0,norm_q,norm_k}"
_CROSSED = f"transformer_blocks.#.{{attn1,attn2}}.{_ATTENTION}"
_FF = "transformer_blocks.#.ff.net.{0.proj,2}"
_REFINED = "{layers,noise_refiner,context_refiner}.#"
_OMNI = "{layers,noise_refiner,context_refiner,ref_image_refiner}.#"
_COSMOS_BLOCK = (
    "blocks.#.{self_attn,cross_attn}.{q_proj,k_proj,v_proj,output_proj,q_norm,k_norm}",
    "blocks.#.mlp.{layer1,layer2}",
    "blocks.#.adaln_modulation_{self_attn,cross_attn,mlp}.{1,2}",
    "blocks.#.adaln_modulation.linear",
    "{x_embedder,t_embedder,final_layer}.*",
)


def _attn(size: int, *more: int) -> tuple[Width, ...]:
    return (Width("transformer_blocks.#.attn1.{to_q,to_k,to_v,to_out.0}", "in", (size, *more)),)


SINGLE: tuple[Architecture, ...] = (
    Architecture(
        name="wan",
        denoiser="transformer",
        modules=(
            "{blocks,vace_blocks}.#.{self_attn,cross_attn}.{q,k,v,o,k_img,v_img,norm_q,norm_k,norm_k_img}",
            "{blocks,vace_blocks}.#.ffn.{0,2}",
            "{blocks,vace_blocks}.#.{modulation,norm3,before_proj,after_proj}",
            "blocks.#.{attn1,attn2}.{to_q,to_k,to_v,to_out,to_out.0,add_k_proj,add_v_proj,norm_q,norm_k}",
            "blocks.#.ffn.net.{0.proj,2}",
            "blocks.#.{norm2,scale_shift_table}",
            # `diff_m` replaces the modulation parameter of a block
            "blocks.{#,0,1,2,3}",
            "condition_embedder.*",
            "{text_embedding,time_embedding,time_projection,img_emb,head}.*",
            # Animate, S2V, HuMo, camera and other relatives
            "{face_adapter,motion_encoder,casual_audio_encoder,audio_injector,audio_proj,control_adapter}.*",
            "{patch_embedding,vace_patch_embedding,pose_patch_embedding,ref_conv}",
            "proj_out",
        ),
        blocks=((("blocks", 40),), (("blocks", 30),)),
        widths=(
            Width("blocks.#.self_attn.{q,k,v,o}", "in", (1536, 3072, 5120)),
            Width("blocks.#.cross_attn.{q,o}", "in", (1536, 3072, 5120)),
            Width("blocks.#.{attn1,attn2}.{to_q,to_out.0}", "in", (1536, 3072, 5120)),
            Width("blocks.#.ffn.0", "in", (1536, 3072, 5120)),
        ),
        requires=(
            "blocks.*",
            "vace_blocks.*",
            "condition_embedder.*",
            "{text_embedding,time_projection,img_emb}.*",
            "head.head",
        ),
    ),
    Architecture(
        name="anima",
        denoiser="transformer",
        modules=(*_COSMOS_BLOCK, "llm_adapter.*"),
        blocks=((("blocks", 28),),),
        requires=("blocks.*", "llm_adapter.*"),
    ),
    Architecture(
        name="cosmos",
        denoiser="transformer",
        modules=(
            *_COSMOS_BLOCK,
            "transformer_blocks.#.{attn1,attn2}.{to_q,to_k,to_v,to_out.0,norm_q,norm_k}",
            "transformer_blocks.#.ff.net.{0.proj,2}",
            "transformer_blocks.#.{norm1,norm2,norm3}.{linear_1,linear_2}",
            "patch_embed.*",
            "time_embed.*",
        ),
        blocks=((("blocks", 28), ("transformer_blocks", 28)), (("blocks", 36), ("transformer_blocks", 36))),
        widths=(
            *_attn(2048, 5120),
            Width("blocks.#.{self_attn,cross_attn}.{q_proj,output_proj}", "in", (2048, 5120)),
        ),
        requires=("blocks.*", "transformer_blocks.#.{norm1,norm2,norm3}.{linear_1,linear_2}"),
    ),
    Architecture(
        name="krea2",
        denoiser="transformer",
        modules=(
            "blocks.#.attn.{wq,wk,wv,wo,gate}",
            "blocks.#.mlp.{up,down,gate}",
            "{txtfusion,txtmlp,tmlp,tproj,last}.*",
            "first",
            # bghira/SimpleTuner fuses the three projections
            "transformer_blocks.#.attn.{to_q,to_k,to_v,to_qkv,to_out,to_out.0,to_gate}",
            "transformer_blocks.#.ff.{up,down,gate}",
            "text_fusion.*",
            "txt_in.{linear_1,linear_2}",
            "time_embed.{linear_1,linear_2}",
            "img_in",
            "time_mod_proj",
            "final_layer.linear",
        ),
        blocks=((("blocks", 28), ("transformer_blocks", 28)),),
        widths=(
            Width("blocks.#.attn.{wq,wk,wv,wo,gate}", "in", (6144,)),
            Width("transformer_blocks.#.attn.{to_q,to_k,to_v,to_out.0,to_gate}", "in", (6144,)),
            Width("transformer_blocks.#.attn.{to_k,to_v}", "out", (1536,)),
        ),
    ),
    Architecture(
        name="z_image",
        denoiser="transformer",
        modules=(
            f"{_REFINED}.attention.{{to_q,to_k,to_v,to_out,to_out.0,qkv,out,norm_q,norm_k,q_norm,k_norm}}",
            f"{_REFINED}.feed_forward.{{w1,w2,w3}}",
            f"{_REFINED}.adaLN_modulation.{{0,1}}",
            "{all_x_embedder,all_final_layer,cap_embedder,t_embedder,final_layer,x_embedder}.*",
            "control_layers.*",
        ),
        blocks=((("layers", 30), ("noise_refiner", 2), ("context_refiner", 2)),),
        widths=(
            Width(f"{_REFINED}.attention.{{to_q,to_k,to_v,to_out.0,qkv,out}}", "in", (3840,)),
            Width(f"{_REFINED}.feed_forward.{{w1,w3}}", "in", (3840,)),
        ),
        requires=(f"{_REFINED}.*",),
    ),
    Architecture(
        name="lumina2",
        denoiser="transformer",
        modules=(
            f"{_REFINED}.attention.{{qkv,out,q_norm,k_norm}}",
            f"{_REFINED}.feed_forward.{{w1,w2,w3,linear_1,linear_2,linear_3}}",
            f"{_REFINED}.adaLN_modulation.1",
            f"{_REFINED}.attn.{{to_q,to_k,to_v,to_out,to_out.0,norm_q,norm_k}}",
            f"{_REFINED}.norm1.linear",
            "time_caption_embed.*",
            "{cap_embedder,t_embedder,final_layer}.*",
            "x_embedder",
            "norm_out.*",
        ),
        blocks=((("layers", 26), ("noise_refiner", 2), ("context_refiner", 2)),),
        widths=(
            Width(f"{_REFINED}.attention.{{qkv,out}}", "in", (2304,)),
            Width(f"{_REFINED}.attn.{{to_q,to_k,to_v,to_out.0}}", "in", (2304,)),
            Width(f"{_REFINED}.feed_forward.{{w1,w3,linear_1,linear_3}}", "in", (2304,)),
        ),
        requires=(f"{_REFINED}.*",),
    ),
    Architecture(
        name="omnigen2",
        denoiser="transformer",
        modules=(
            f"{_OMNI}.attn.{{to_q,to_k,to_v,to_out,to_out.0,norm_q,norm_k}}",
            f"{_OMNI}.feed_forward.{{linear_1,linear_2,linear_3}}",
            f"{_OMNI}.norm1.linear",
            "time_caption_embed.*",
            "{x_embedder,ref_image_patch_embedder}",
            "norm_out.*",
        ),
        blocks=((("layers", 32), ("noise_refiner", 2), ("context_refiner", 2), ("ref_image_refiner", 2)),),
        widths=(
            Width(f"{_OMNI}.attn.{{to_q,to_k,to_v,to_out.0}}", "in", (2520,)),
            Width(f"{_OMNI}.feed_forward.{{linear_1,linear_3}}", "in", (2520,)),
        ),
        requires=(f"{_OMNI}.*",),
    ),
    Architecture(
        name="ideogram4",
        denoiser="transformer",
        modules=(
            "layers.#.attention.{to_q,to_k,to_v,to_out,to_out.0,qkv,out,o,norm_q,norm_k}",
            "layers.#.feed_forward.{w1,w2,w3}",
            "layers.#.adaln_modulation",
            "{input_proj,llm_cond_proj,adaln_proj,embed_image_indicator}",
            "t_embedding.{mlp_in,mlp_out}",
            "final_layer.*",
        ),
        blocks=((("layers", 34),),),
        widths=(
            Width("layers.#.attention.{to_q,to_k,to_v,to_out.0,qkv,out,o}", "in", (4608,)),
            Width("layers.#.feed_forward.{w1,w3}", "in", (4608,)),
        ),
        requires=("layers.*",),
    ),
    Architecture(
        name="ernie_image",
        denoiser="transformer",
        modules=(
            "layers.#.self_attention.{to_q,to_k,to_v,to_out,to_out.0,norm_q,norm_k}",
            "layers.#.mlp.{gate_proj,up_proj,linear_fc2}",
            "layers.#.{adaLN_sa_ln,adaLN_mlp_ln}",
            "x_embedder.proj",
            "{text_proj,final_linear,adaLN_modulation.1}",
            "final_norm.linear",
            "time_embedding.{linear_1,linear_2}",
        ),
        requires=(
            "layers.#.self_attention.*",
            "layers.#.mlp.linear_fc2",
            "layers.#.{adaLN_sa_ln,adaLN_mlp_ln}",
        ),
    ),
    Architecture(
        name="pixart",
        denoiser="transformer",
        modules=(
            _CROSSED,
            _FF,
            "blocks.#.attn.{qkv,proj}",
            "blocks.#.cross_attn.{q_linear,kv_linear,proj}",
            "blocks.#.mlp.{fc1,fc2}",
            "adaln_single.*",
            "caption_projection.*",
            "pos_embed.proj",
            "proj_out",
        ),
        blocks=((("transformer_blocks", 28), ("blocks", 28)),),
        widths=(*_attn(1152), Width("blocks.#.attn.{qkv,proj}", "in", (1152,))),
        requires=("transformer_blocks.*", "blocks.#.cross_attn.*"),
    ),
    Architecture(
        name="sana",
        denoiser="transformer",
        modules=(
            _CROSSED,
            "transformer_blocks.#.ff.{conv_inverted,conv_depth,conv_point}",
            "caption_projection.*",
            "time_embed.*",
            "patch_embed.*",
            "proj_out",
        ),
        blocks=((("transformer_blocks", 20),), (("transformer_blocks", 28),), (("transformer_blocks", 60),)),
        widths=_attn(1152, 2240),
        requires=("transformer_blocks.*",),
    ),
    Architecture(
        name="ltx",
        denoiser="transformer",
        modules=(
            _CROSSED,
            _FF,
            "adaln_single.*",
            "caption_projection.*",
            "patchify_proj",
            "proj_in",
            "time_embed.*",
            "proj_out",
        ),
        blocks=((("transformer_blocks", 28),), (("transformer_blocks", 48),)),
        widths=_attn(2048, 4096),
        requires=("transformer_blocks.*",),
    ),
    Architecture(
        name="ltx2",
        denoiser="transformer",
        modules=(
            f"transformer_blocks.#.{{attn1,attn2,audio_attn1,audio_attn2}}.{_ATTENTION}",
            f"transformer_blocks.#.{{audio_to_video_attn,video_to_audio_attn}}.{_ATTENTION}",
            "transformer_blocks.#.{attn1,attn2,audio_attn1,audio_attn2}.to_gate_logits",
            "transformer_blocks.#.{audio_to_video_attn,video_to_audio_attn}.to_gate_logits",
            "transformer_blocks.#.{ff,audio_ff}.net.{0.proj,2}",
            "transformer_blocks.#.{ff,audio_ff}.{proj_in,proj_out}",
            "{adaln_single,audio_adaln_single,caption_projection,audio_caption_projection}.*",
            "{prompt_adaln_single,audio_prompt_adaln_single}.*",
            "av_ca_video_scale_shift_adaln_single.*",
            "av_ca_audio_scale_shift_adaln_single.*",
            "av_ca_a2v_gate_adaln_single.*",
            "av_ca_v2a_gate_adaln_single.*",
            "{patchify_proj,audio_patchify_proj,proj_out,audio_proj_out,proj_in,audio_proj_in}",
            "{time_embed,audio_time_embed}.*",
            "{video_embeddings_connector,audio_embeddings_connector,text_embedding_projection}.*",
        ),
        blocks=((("transformer_blocks", 48),),),
        widths=_attn(4096),
        requires=(
            "transformer_blocks.*",
            "audio_adaln_single.*",
            "{audio_patchify_proj,audio_proj_out}",
            "{av_ca_video_scale_shift_adaln_single,av_ca_audio_scale_shift_adaln_single}.*",
            "{av_ca_a2v_gate_adaln_single,av_ca_v2a_gate_adaln_single}.*",
        ),
    ),
    Architecture(
        name="cogvideox",
        denoiser="transformer",
        modules=(
            f"transformer_blocks.#.attn1.{_ATTENTION}",
            _FF,
            "transformer_blocks.#.{norm1,norm2}.{linear,norm}",
            "patch_embed.*",
            "{time_embedding,ofs_embedding}.*",
            "norm_out.linear",
            "proj_out",
        ),
        blocks=((("transformer_blocks", 30),), (("transformer_blocks", 42),)),
        widths=_attn(1920, 3072),
        requires=("transformer_blocks.*",),
    ),
    Architecture(
        name="kandinsky5",
        denoiser="transformer",
        modules=(
            "{visual_transformer_blocks,text_transformer_blocks}.#.{self_attention,cross_attention}.*",
            "{visual_transformer_blocks,text_transformer_blocks}.#.feed_forward.{in_layer,out_layer}",
            "{visual_transformer_blocks,text_transformer_blocks}.#.{visual_modulation,text_modulation}.*",
            "{text_embeddings,pooled_text_embeddings,time_embeddings,visual_embeddings,out_layer}.*",
        ),
        requires=("{visual_transformer_blocks,text_transformer_blocks}.*",),
    ),
    Architecture(
        name="hunyuan_dit",
        denoiser="transformer",
        modules=(
            f"blocks.#.{{attn1,attn2}}.{_ATTENTION}",
            "blocks.#.ff.net.{0.proj,2}",
            "blocks.#.norm1.linear",
            "blocks.#.attn1.{Wqkv,out_proj,inner_attn}",
            "blocks.#.attn2.{q_proj,kv_proj,out_proj}",
            "blocks.#.mlp.{fc1,fc2}",
            "blocks.#.default_modulation.1",
            "blocks.#.skip_linear",
            "text_embedder.*",
            "time_extra_emb.*",
            "{mlp_t5,pooler,extra_embedder,x_embedder,t_embedder,final_layer}.*",
        ),
        blocks=((("blocks", 40),),),
        widths=(
            Width("blocks.#.{attn1,attn2}.to_q", "in", (1408,)),
            Width("{blocks.#.attn1.Wqkv,blocks.#.attn2.q_proj}", "in", (1408,)),
            Width("blocks.#.attn1.{to_k,to_v}", "in", (1408,)),
        ),
        requires=("blocks.#.{attn1,attn2,skip_linear,default_modulation}.*",),
    ),
)
