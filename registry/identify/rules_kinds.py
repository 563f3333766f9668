"""TABLES: things in a LoRA folder that are not adapters of a diffusion model.

Sources: huggingface/transformers and peft (names of language and vision models), lllyasviel/ControlNet,
tencent-ailab/IP-Adapter, TencentARC/T2I-Adapter, CompVis/stable-diffusion autoencoder, Wan-Video/Wan2.1 vae.
"""

from __future__ import annotations

from registry.identify.rows import Stray

# Modules of language, vision and speech models: an adapter of these is of kind `other`.
FOREIGN_MODULES: tuple[str, ...] = (
    "model.layers.*",
    "model.model.*",
    "model.language_model.*",
    "model.decoder.layers.*",
    "model.encoder.layers.*",
    "decoder.layers.*",
    "encoder.layers.*",
    "encoder.layer.*",
    "encoder.block.*",
    "decoder.block.*",
    "language_model.*",
    "layers.#.self_attn.{q_proj,k_proj,v_proj,o_proj}",
    "layers.#.mlp.{gate_proj,up_proj,down_proj}",
    "h.#.{attn,mlp,self_attention}.*",
    "transformer.h.*",
    "transformer.layer.*",
    "transformer.encoder.layers.*",
    "transformer.resblocks.*",
    "gpt_neox.*",
    "{bert,roberta,deberta,distilbert,electra,albert,xlm_roberta,camembert,esm,bart,mbart,gpt2,opt}.*",
    "{vit,deit,dinov2,beit,swin,swinv2,segformer,convnext,resnet,sam,clip,blip,qformer,backbone}.*",
    "{whisper,wav2vec2,hubert,wavlm,llama,mistral,falcon,bloom,chatglm}.*",
    "{vision_model,vision_tower,visual,visual_projection,image_encoder,multi_modal_projector,mm_projector}.*",
    "{classifier,score,lm_head,head}",
    "blocks.#.attn.{qkv,proj}",
    "blocks.#.mlp.{fc1,fc2}",
    "{w_a,w_b}.#",
    "base_model",
)

STRAYS: tuple[Stray, ...] = (
    Stray("Stability control-LoRA", "controlnet", ("lora_controlnet",), "control_lora"),
    Stray(
        "ControlNet",
        "controlnet",
        (
            "control_model.*",
            "controlnet_cond_embedding.*",
            "{controlnet_down_blocks,controlnet_mid_block,controlnet_mid_blocks,controlnet_blocks}.*",
            "{controlnet_single_blocks,controlnet_x_embedder,controlnet_mode_embedder}.*",
            "{input_hint_block,zero_convs,middle_block_out}.*",
        ),
    ),
    Stray("ControlNet-LLLite", "controlnet", ("lllite.*",)),
    Stray("IP-Adapter", "controlnet", ("ip_adapter.*", "image_proj.*", "image_proj_model.*")),
    Stray(
        "T2I-Adapter",
        "controlnet",
        ("adapter.{body,conv_in,unshuffle}.*", "body.#.{block1,in_conv,down_opt}.*"),
    ),
    Stray(
        "VAE",
        "vae",
        (
            "{encoder,decoder}.{conv_in,conv_out,mid,mid_block,down,up,down_blocks,up_blocks}.*",
            "{encoder,decoder}.{conv1,middle,head,downsamples,upsamples,norm_out,conv_norm_out}.*",
            "{quant_conv,post_quant_conv}",
            "first_stage_model.*",
            "vae.{encoder,decoder,quant_conv,post_quant_conv}.*",
            "{taesd,taesdxl,taesd3,taef1}.{encoder,decoder}.*",
        ),
    ),
    Stray(
        "AnimateDiff motion module",
        "other",
        ("{down_blocks,up_blocks}.#.motion_modules.*", "mid_block.motion_modules.*"),
        part=True,
    ),
    Stray("CLIP or SigLIP vision model", "other", ("{vision_model,visual_projection,visual}.*",)),
    Stray(
        "text encoder",
        "other",
        (
            "{text_model,text_projection,text_model.encoder}.*",
            "transformer.resblocks.*",
            "encoder.block.*",
            "model.layers.*",
            "conditioner.*",
            "cond_stage_model.*",
            "text_encoders.*",
        ),
    ),
    Stray(
        "upscaler", "other", ("model.#.sub.*", "body.#.rdb1.*", "{conv_first,conv_last,conv_body,conv_up1}")
    ),
)
