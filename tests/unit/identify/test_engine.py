from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import pytest

from registry.identify import Identification, TensorInfo, identify
from tests.unit.identify.samples import RANK, bfl, named, plain, sd_unet, state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping

SD_BLOCK = "down_blocks.1.attentions.0"
CLIP = "text_model.encoder.layers"


def clip(prefix: str, width: int, layers: int = 2) -> dict[str, TensorInfo]:
    modules = {f"{CLIP}.{number}.self_attn.q_proj": (width, width) for number in range(layers)}
    return state_dict(modules, prefix=prefix)


def infos(shapes: dict[str, tuple[int, ...]], dtype: str = "F16") -> dict[str, TensorInfo]:
    return {name: TensorInfo(dtype, shape) for name, shape in shapes.items()}


def answer(found: Identification) -> tuple[str, str, str]:
    return found.kind, found.architecture, found.adapter


@pytest.mark.parametrize(
    ("prefix", "width", "architecture"),
    [("lora_te_", 768, "sd15"), ("lora_te_", 1024, "sd2"), ("text_encoder.", 1024, "sd2")],
)
def test_the_width_of_a_lone_text_encoder_decides(prefix: str, width: int, architecture: str) -> None:
    found = identify(clip(prefix, width), {})
    assert answer(found) == ("lora", architecture, "lora")
    assert found.targets == ("te1",)


def test_a_lone_first_encoder_is_ambiguous_among_its_users() -> None:
    found = identify(clip("lora_te1_", 768), {})
    assert found.architecture == "ambiguous"
    assert set(found.ambiguous_with) == {"sdxl", "sd3", "flux1"}


def test_metadata_decide_among_the_possible() -> None:
    found = identify(clip("lora_te1_", 768), {"ss_base_model_version": "flux1"})
    assert found.architecture == "flux1"
    assert any("ss_base_model_version=flux1 decide" in sentence for sentence in found.evidence)


def test_metadata_decide_nothing_that_is_not_possible() -> None:
    found = identify(clip("lora_te1_", 768), {"ss_base_model_version": "wan2.1"})
    assert found.architecture == "ambiguous"


def test_both_encoders_of_sdxl_are_sdxl() -> None:
    found = identify({**clip("lora_te1_", 768), **clip("lora_te2_", 1280)}, {})
    assert (found.architecture, found.targets) == ("sdxl", ("te1", "te2"))


def test_a_contradiction_of_the_metadata_is_reported() -> None:
    found = identify(state_dict(bfl(3072, modulation=True, mlp=12288)), {"ss_base_model_version": "sd_1.5"})
    assert found.architecture == "flux1"
    assert "metadata ss_base_model_version say sd_1.5, names and shapes say flux1" in found.evidence


def test_chroma_is_told_from_flux_by_the_missing_modulation_whatever_the_metadata_say() -> None:
    tensors = state_dict(bfl(3072, modulation=False, mlp=12288, blocks=19))
    found = identify(tensors, {"ss_base_model_version": "flux1", "ss_network_module": "networks.lora_flux"})
    assert found.architecture == "chroma"


@pytest.mark.parametrize("prefix", ["diffusion_model.", "transformer."])
def test_modulation_that_a_trainer_leaves_out_does_not_make_flux_a_chroma(prefix: str) -> None:
    tensors = state_dict(bfl(3072, modulation=False, mlp=12288, blocks=19), prefix=prefix, adapter="peft")
    found = identify(tensors, {})
    assert found.architecture == "flux1"
    assert "chroma" in found.ambiguous_with
    assert identify(tensors, {"ss_base_model_version": "chroma"}).architecture == "chroma"


def test_kontext_without_modulation_is_flux() -> None:
    tensors = state_dict(bfl(3072, modulation=False, mlp=12288, blocks=19))
    assert identify(tensors, {"ss_base_model_version": "flux_kontext"}).architecture == "flux1"


def test_a_whole_model_without_modulation_is_chroma_in_any_layout() -> None:
    tensors = plain(bfl(3072, modulation=False, mlp=12288, blocks=19))
    assert answer(identify(tensors, {})) == ("checkpoint", "chroma", "none")


def test_a_flattened_convolution_is_no_sign_of_linear_projections() -> None:
    tensors = state_dict(
        {f"{SD_BLOCK}.proj_in": (640, 640), f"{SD_BLOCK}.proj_out": (640, 640)}, adapter="loha"
    )
    found = identify(tensors, {})
    assert {"sd15", "sd2"} <= {found.architecture, *found.ambiguous_with}


def test_dotted_names_keep_the_words_that_tell_hunyuan_from_flux() -> None:
    names = ["transformer.double_blocks.0.img_attn_qkv.lora_A.weight"]
    found = identify(dict.fromkeys(names, TensorInfo(None, None)), {})
    assert found.architecture == "hunyuan_video"
    names = ["transformer.double_blocks.0.img_attn.qkv.lora_A.weight"]
    assert identify(dict.fromkeys(names, TensorInfo(None, None)), {}).architecture == "flux1"


@pytest.mark.parametrize(
    ("names", "architecture", "adapter"),
    [
        (["lycoris_transformer_blocks_21_attn_to_qkv.lokr_w1"], "krea2", "lokr"),
        (["lycoris_text_fusion_layerwise_blocks_0_attn_to_qkv.lokr_w1"], "krea2", "lokr"),
        (["lycoris_transformer_blocks_3_attn2_to_q.lokr_w1"], "sd3", "lokr"),
        (["transformer.distilled_guidance_layer.layers.0.in_layer.dora_scale"], "chroma", "dora"),
        (["diffusion_model.av_ca_a2v_gate_adaln_single.linear.lora_A.weight"], "ltx2", "lora"),
        (["diffusion_model.img_emb.proj.1.lora_down.weight"], "wan", "lora"),
        (["diffusion_model.head.head.lora_down.weight"], "wan", "lora"),
        (["transformer.blocks.0.attn1.to_q.lora_A.weight"], "wan", "lora"),
        (["lora_unet_up_blocks_3_attentions_0_transformer_blocks_0_attn1_to_q.alpha"], "sd15", "lora"),
        (["unet.output_blocks.5.1.transformer_blocks.1.ff.net.0.proj.lora_up.weight"], "sdxl", "lora"),
        (
            [
                "noise_refiner.0.attn.to_k.lora_A.default.weight",
                "ref_image_refiner.0.attn.to_k.lora_A.default.weight",
            ],
            "omnigen2",
            "lora",
        ),
        (["lora_unet_single_blocks_0_linear1_q.lora_down.weight"], "hunyuan_image", "lora"),
        (
            ["transformer.txt_in.individual_token_refiner.blocks.0.mlp.fc1.lora_A.weight"],
            "hunyuan_video",
            "lora",
        ),
        (["lora_unet_blocks_0_attn_qkv.alpha"], "unknown", "lora"),
    ],
)
def test_a_few_names_without_shapes_are_enough(names: list[str], architecture: str, adapter: str) -> None:
    found = identify(dict.fromkeys(names, TensorInfo(None, None)), {})
    assert (found.kind, found.architecture, found.adapter) == ("lora", architecture, adapter)


def test_ltx_of_the_width_of_its_successor_is_the_successor_and_both_are_named() -> None:
    tensors = state_dict({"transformer_blocks.0.attn1.to_q": (4096, 4096)}, prefix="diffusion_model.")
    found = identify(tensors, {})
    assert (found.architecture, found.ambiguous_with) == ("ltx2", ("ltx",))
    assert identify(tensors, {"modelspec.architecture": "ltxv-13b/lora"}).architecture == "ltx"


def test_a_mochi_adapter_of_the_four_usual_projections_is_told_by_its_blocks() -> None:
    names = ("to_q", "to_k", "to_v", "to_out.0")
    for blocks, architecture in ((48, "mochi"), (42, "cogvideox")):
        modules = {
            f"transformer_blocks.{number}.attn1.{name}": (3072, 3072)
            for number in range(blocks)
            for name in names
        }
        assert (
            identify(state_dict(modules, prefix="transformer.", adapter="peft"), {}).architecture
            == architecture
        )


@pytest.mark.parametrize("suffix", ["magnitude", "lora_magnitude_vector.default.weight", "dora_scale"])
def test_every_name_of_a_magnitude_makes_a_dora(suffix: str) -> None:
    module = "diffusion_model.layers.0.attention.to_q"
    shapes: dict[str, tuple[int, ...]] = {
        "lora_A.weight": (8, 3840),
        "lora_B.weight": (3840, 8),
        suffix: (3840,),
    }
    found = identify(infos({f"{module}.{ending}": shape for ending, shape in shapes.items()}), {})
    assert (found.architecture, found.adapter) == ("z_image", "dora")


def test_middle_block_alone_is_ambiguous_among_the_stable_diffusions() -> None:
    modules = {"mid_block.attentions.0.transformer_blocks.0.attn1.to_q": (1280, 1280)}
    found = identify(state_dict(modules), {})
    assert found.architecture == "ambiguous"
    assert set(found.ambiguous_with) == {"sd15", "sd2", "sdxl"}
    assert found.targets == ("unet",)


def test_convolutions_make_a_locon_and_one_by_one_projections_do_not() -> None:
    modules = sd_unet(768, SD_BLOCK)
    projected = infos(
        {
            f"lora_unet_{SD_BLOCK.replace('.', '_')}_proj_in.lora_down.weight": (RANK, 320, 1, 1),
            f"lora_unet_{SD_BLOCK.replace('.', '_')}_proj_in.lora_up.weight": (320, RANK, 1, 1),
        },
    )
    convolved = infos({"lora_unet_down_blocks_0_resnets_0_conv1.lora_down.weight": (RANK, 320, 3, 3)})
    assert identify({**state_dict(modules), **projected}, {}).adapter == "lora"
    assert identify({**state_dict(modules), **convolved}, {}).adapter == "locon"


def test_a_magnitude_keeps_other_families_and_is_told() -> None:
    found = identify(state_dict(sd_unet(768, SD_BLOCK), adapter="loha"), {})
    assert found.adapter == "loha"
    assert any("DoRA" in sentence for sentence in found.evidence)


def test_a_few_whole_differences_do_not_hide_a_lora() -> None:
    modules = sd_unet(768, SD_BLOCK)
    extra = infos({f"lora_unet_x{number}.diff": (320, 320) for number in range(40)})
    assert identify({**state_dict(modules), **extra}, {}).adapter == "lora"


def test_full_is_a_difference_whose_trainer_says_so() -> None:
    tensors = state_dict(sd_unet(768, SD_BLOCK), adapter="diff")
    assert identify(tensors, {}).adapter == "diff"
    assert identify(tensors, {"ss_network_args": '{"algo": "full"}'}).adapter == "full"


@pytest.mark.parametrize("module", ["img_in", "x_embedder"])
def test_a_doubled_image_input_is_a_control_lora(module: str) -> None:
    blocks = bfl(3072, modulation=True, mlp=12288)
    found = identify(state_dict({**blocks, module: (128, 3072)}, prefix="transformer.", adapter="peft"), {})
    assert answer(found) == ("lora", "flux1", "control_lora")
    found = identify(state_dict({**blocks, module: (64, 3072)}, prefix="transformer.", adapter="peft"), {})
    assert answer(found) == ("lora", "flux1", "lora")


def test_ranks_that_differ_are_all_listed_and_the_most_frequent_wins() -> None:
    tensors = infos(
        {
            "lora_unet_blocks_0_self_attn_q.lora_down.weight": (4, 1536),
            "lora_unet_blocks_0_self_attn_k.lora_down.weight": (16, 1536),
            "lora_unet_blocks_1_self_attn_k.lora_down.weight": (16, 1536),
        },
    )
    found = identify(tensors, {})
    assert (found.rank, found.ranks) == (16, (4, 16))


def test_a_whole_kronecker_factor_has_no_rank_and_a_decomposed_one_has() -> None:
    whole = infos(
        {
            "lora_unet_blocks_0_self_attn_q.lokr_w1": (8, 8),
            "lora_unet_blocks_0_self_attn_q.lokr_w2": (192, 192),
        },
    )
    found = identify(whole, {})
    assert (found.architecture, found.base_model, found.rank) == ("wan", "wan2.1-1.3b", None)
    assert identify(state_dict(sd_unet(768, SD_BLOCK), adapter="lokr"), {}).rank == RANK


@pytest.mark.parametrize(
    ("metadata", "alpha"),
    [
        ({"ss_network_alpha": "16.0"}, 16.0),
        ({"ss_network_alpha": "None"}, None),
        ({"ss_network_alpha": "nan"}, None),
        ({"ss_network_alpha": "Dynamic"}, None),
        ({"lora_adapter_metadata": '{"transformer.lora_alpha": 32, "transformer.r": 16}'}, 32.0),
        ({"lora_adapter_metadata": "[" * 100_000}, None),
        ({"lora_adapter_metadata": '{"a": ' * 100_000}, None),
        ({}, None),
    ],
)
def test_alpha_comes_from_metadata_only(metadata: dict[str, str], alpha: float | None) -> None:
    assert identify(state_dict(sd_unet(768, SD_BLOCK)), metadata).alpha == alpha


def test_without_shapes_the_rank_is_that_of_the_metadata() -> None:
    tensors = state_dict(sd_unet(768, SD_BLOCK), sized=False)
    found = identify(tensors, {"ss_network_dim": "32"})
    assert found.rank == 32
    assert any("metadata say rank 32" in sentence for sentence in found.evidence)


@pytest.mark.parametrize(
    ("dtypes", "precision"),
    [
        (("F16", "F16"), "fp16"),
        (("BF16", "F32"), "mixed"),
        (("F8_E4M3", None), "fp8_e4m3"),
        (("X1", "X1"), "x1"),
    ],
)
def test_precision_is_that_of_most_bytes(dtypes: tuple[str | None, str | None], precision: str) -> None:
    tensors = {
        "lora_unet_blocks_0_self_attn_q.lora_down.weight": TensorInfo(dtypes[0], (8, 1536)),
        "lora_unet_blocks_0_self_attn_q.lora_up.weight": TensorInfo(dtypes[1], (1536, 8)),
    }
    assert identify(tensors, {}).precision == precision


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        (infos({"emb_params": (4, 768)}), ("embedding", "sd15", "textual_inversion")),
        (infos({"emb_params": (4, 1024)}), ("embedding", "sd2", "textual_inversion")),
        (infos({"clip_l": (4, 768), "clip_g": (4, 1280)}), ("embedding", "sdxl", "textual_inversion")),
        (infos({"<token>": (768,)}), ("embedding", "sd15", "textual_inversion")),
        (infos({"string_to_param.*": (2, 768)}), ("embedding", "sd15", "textual_inversion")),
        (
            infos({"bundle_emb.a.clip_l": (4, 768), "bundle_emb.a.clip_g": (4, 1280)}),
            ("lora", "sdxl", "bundle_emb"),
        ),
        (
            infos({"encoder.conv_in.weight": (128, 3, 3, 3), "quant_conv.weight": (8, 8, 1, 1)}),
            ("vae", "none", "none"),
        ),
        (infos({"control_model.input_hint_block.0.weight": (16, 3, 3, 3)}), ("controlnet", "none", "none")),
        (infos({"ip_adapter.1.to_k_ip.weight": (320, 768)}), ("controlnet", "none", "none")),
        (infos({"lora_controlnet": (1,)}), ("controlnet", "none", "control_lora")),
        (
            infos(
                {"ip_adapter.0.to_q_lora.down.weight": (128, 320), "ip_adapter.1.to_k_ip.weight": (320, 768)}
            ),
            ("controlnet", "none", "none"),
        ),
        (
            infos({"lllite_unet_input_blocks_4_1_attn1_to_q.down.0.weight": (8, 8)}),
            ("controlnet", "none", "none"),
        ),
        (
            infos({"down_blocks.0.motion_modules.0.temporal_transformer.proj_in.weight": (320, 320)}),
            ("other", "none", "none"),
        ),
        (infos({"vae.encoder.conv_in.conv.weight": (128, 48, 3, 3, 3)}), ("vae", "none", "none")),
        (infos({"taesd_decoder.1.weight": (64, 4, 3, 3)}), ("vae", "none", "none")),
        (infos({"prompt_embeddings": (8, 1024)}), ("other", "none", "other")),
        (
            infos({"text_encoders_0": (2, 768), "text_encoders_1": (2, 1280)}),
            ("embedding", "sdxl", "textual_inversion"),
        ),
        (infos({"clip_g": (2, 1280)}), ("embedding", "ambiguous", "textual_inversion")),
        (infos({"text_model.embeddings.token_embedding.weight": (49408, 768)}), ("other", "none", "none")),
        (infos({"vision_model.encoder.layers.0.mlp.fc1.weight": (8, 8)}), ("other", "none", "none")),
        (infos({"model.layers.0.self_attn.q_proj.weight": (8, 8)}), ("other", "none", "none")),
        (infos({"encoder.block.0.layer.0.SelfAttention.q.weight": (8, 8)}), ("other", "none", "none")),
        (infos({"e": (6,)}), ("other", "none", "none")),
        ({}, ("other", "none", "none")),
    ],
)
def test_things_that_are_no_adapter(tensors: dict[str, TensorInfo], expected: tuple[str, str, str]) -> None:
    assert answer(identify(tensors, {})) == expected


@pytest.mark.parametrize(
    "module",
    [
        "base_model.model.model.layers.0.self_attn.q_proj",
        "base_model.model.roberta.encoder.layer.0.attention.self.query",
        "base_model.model.vit.encoder.layer.0.attention.attention.query",
        "transformer.h.0.attn.c_attn",
        "base_model.model.model.decoder.layers.0.self_attn.v_proj",
        "language_model.model.layers.0.mlp.gate_proj",
        "base_model.model.blocks.0.attn.qkv",
    ],
)
def test_adapters_of_other_models_are_other(module: str) -> None:
    found = identify(state_dict({module: (768, 768)}, prefix="", adapter="peft"), {})
    assert answer(found) == ("other", "none", "lora")


def test_an_adapter_of_nothing_known_is_unknown() -> None:
    found = identify(state_dict({"flurb.0.zork": (12, 12)}), {"ss_base_model_version": "sdxl_base_v1-0"})
    assert answer(found) == ("lora", "unknown", "lora")
    assert any("metadata ss_base_model_version say" in sentence for sentence in found.evidence)


def test_flux_names_with_sizes_of_nobody_are_unknown() -> None:
    found = identify(state_dict(bfl(5120, modulation=True, mlp=20480)), {})
    assert found.architecture == "unknown"


def test_kolors_is_sdxl_that_metadata_or_its_encoder_name() -> None:
    tensors = state_dict(sd_unet(2048, SD_BLOCK))
    assert identify(tensors, {}).architecture == "sdxl"
    assert identify(tensors, {"modelspec.architecture": "kolors/lora"}).architecture == "kolors"
    glm = state_dict({"encoder.layers.0.self_attention.query_key_value": (4096, 4608)}, prefix="lora_te_")
    assert identify({**tensors, **glm}, {}).architecture == "kolors"


def test_a_model_whose_names_begin_like_those_of_a_vision_model_is_a_checkpoint() -> None:
    tensors = plain({"visual_transformer_blocks.0.self_attention.to_query": (1792, 1792)})
    assert answer(identify(tensors, {})) == ("checkpoint", "kandinsky5", "none")


def test_one_layer_of_kolors_among_many_of_sdxl_is_enough() -> None:
    modules = {
        f"down_blocks.{block}.attentions.{number}.transformer_blocks.{layer}.attn2.{name}": (2048, 640)
        for block in (1, 2)
        for number in (0, 1)
        for layer in range(10)
        for name in ("to_k", "to_v")
    }
    assert identify(state_dict(modules), {}).architecture == "sdxl"
    assert identify(state_dict({**modules, "encoder_hid_proj": (4096, 2048)}), {}).architecture == "kolors"


@pytest.mark.parametrize(
    ("prefix", "width", "architecture"),
    [("lora_te_", 1024, "anima"), ("lora_te_", 2304, "lumina2"), ("lora_te4_", 4096, "hidream")],
)
def test_language_models_that_serve_as_encoders_are_known(prefix: str, width: int, architecture: str) -> None:
    tensors = state_dict({"layers.0.self_attn.q_proj": (width, width)}, prefix=prefix)
    assert answer(identify(tensors, {})) == ("lora", architecture, "lora")


def test_a_checkpoint_with_all_its_parts_is_a_checkpoint() -> None:
    tensors = {
        **plain(sd_unet(2048, "input_blocks.4.1"), prefix="model.diffusion_model."),
        **infos({"first_stage_model.encoder.conv_in.weight": (128, 3, 3, 3)}),
        **infos({"conditioner.embedders.0.transformer.text_model.embeddings.position_ids": (1, 77)}),
    }
    assert answer(identify(tensors, {})) == ("checkpoint", "sdxl", "none")


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("kohya", ["lora_unet_down_blocks_1_attentions_0_proj_in.lora_down.weight"]),
        ("kohya_ldm", ["lora_unet_input_blocks_4_1_proj_in.lora_down.weight"]),
        ("diffusers", ["unet.down_blocks.1.attentions.0.proj_in.lora.down.weight"]),
        ("diffusers", ["mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_k_lora.down.weight"]),
        ("peft", ["base_model.model.down_blocks.1.attentions.0.proj_in.lora_A.weight"]),
        ("bfl", ["diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight"]),
        ("bfl", ["double_blocks.0.img_attn.qkv.lora_A.weight"]),
        ("comfyui", ["diffusion_model.blocks.0.self_attn.q.lora_A.weight"]),
        ("xlabs", ["double_blocks.0.processor.qkv_lora1.down.weight"]),
        ("onetrainer", ["lora_transformer_transformer_blocks_0_attn_to_q.lora_down.weight"]),
        ("lycoris", ["lycoris_transformer_blocks_0_attn_to_q.lokr_w1"]),
        ("cloneofsimo", ["unet:0:down", "text_encoder:0:down"]),
    ],
)
def test_layouts_are_named(layout: str, names: list[str]) -> None:
    found = identify(infos(dict.fromkeys(names, (4, 320))), {})
    assert found.key_layout == layout
    assert found.kind == "lora"


def test_a_trailing_underscore_is_forgiven() -> None:
    name = named("single_transformer_blocks.1.norm.linear", "lora_unet_")
    found = identify(
        infos({f"{name}_.lora_down.weight": (4, 3072), f"{name}_.lora_up.weight": (9216, 4)}), {}
    )
    assert found.architecture == "flux1"


def test_qwen_image_is_the_usual_owner_of_kohya_names_with_transformer_blocks() -> None:
    found = identify(state_dict({"transformer_blocks.0.attn.to_q": (3072, 3072)}), {})
    assert found.architecture == "qwen_image"
    assert "flux1" in found.ambiguous_with


def test_fused_layers_that_a_trainer_split_are_still_known() -> None:
    modules = {f"double_blocks.0.img_attn.qkv.{number}": (3072, 3072) for number in range(3)}
    modules["single_blocks.0.modulation.lin"] = (3072, 9216)
    found = identify(state_dict(modules, prefix="transformer."), {})
    assert found.architecture == "flux1"


def test_weight_factors_of_unknown_shape_say_ambiguous_rather_than_guess() -> None:
    tensors = state_dict(bfl(6144, modulation=False, mlp=36864), adapter="oft")
    found = identify(tensors, {})
    assert found.architecture == "ambiguous"
    assert "flux2" in found.ambiguous_with


class WiderInfo(NamedTuple):
    """A header entry as another package keeps it: more fields after the two that count."""

    dtype: str | None
    shape: tuple[int, ...] | None
    start: int
    end: int


def test_entries_with_more_fields_are_read_by_name() -> None:
    plain_infos = state_dict(sd_unet(768, SD_BLOCK))
    wider = {name: WiderInfo(*info, 2 * number, 7) for number, (name, info) in enumerate(plain_infos.items())}
    assert identify(cast("Mapping[str, TensorInfo]", wider), {}) == identify(plain_infos, {})


def test_many_thousands_of_meaningless_tensors_are_no_trouble() -> None:
    tensors = {f"double_blocks.{n}.x{n}.lora_down.weight": TensorInfo("F16", (4, n)) for n in range(20_000)}
    found = identify(tensors, {})
    assert found.architecture in ("unknown", "ambiguous")
    assert len(found.evidence) <= 12


def test_tokens_beside_a_lora_do_not_change_what_it_is() -> None:
    tokens = infos({"bundle_emb.word.clip_l": (4, 768), "<s1>": (768,)})
    found = identify({**state_dict(sd_unet(768, SD_BLOCK)), **tokens}, {})
    assert answer(found) == ("lora", "sd15", "lora")


def test_shapes_may_be_lists_as_json_has_them() -> None:
    names = {
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": [8, 768],
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": [1280, 8],
    }
    listed = {name: TensorInfo("F16", shape) for name, shape in names.items()}  # type: ignore[arg-type] # the point
    tuples = {name: TensorInfo("F16", tuple(shape)) for name, shape in names.items()}
    assert identify(listed, {}) == identify(tuples, {})
    assert identify(listed, {}).architecture == "sd15"
