from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from registry.lora.keys import canonical, read_layers
from tests.support.adapters import FAMILIES, QUERY, lora

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = [
    ("input_blocks_1_1_proj_in", "down_blocks_0_attentions_0_proj_in"),
    ("input_blocks_2_0_in_layers_2", "down_blocks_0_resnets_1_conv1"),
    ("input_blocks_3_0_op", "down_blocks_0_downsamplers_0_conv"),
    ("input_blocks_4_0_skip_connection", "down_blocks_1_resnets_0_conv_shortcut"),
    (
        "input_blocks_4_1_transformer_blocks_1_attn2_to_out_0",
        "down_blocks_1_attentions_0_transformer_blocks_1_attn2_to_out_0",
    ),
    ("input_blocks_8_1_proj_out", "down_blocks_2_attentions_1_proj_out"),
    ("middle_block_0_emb_layers_1", "mid_block_resnets_0_time_emb_proj"),
    (
        "middle_block_1_transformer_blocks_0_ff_net_0_proj",
        "mid_block_attentions_0_transformer_blocks_0_ff_net_0_proj",
    ),
    ("middle_block_2_out_layers_3", "mid_block_resnets_1_conv2"),
    ("output_blocks_0_1_proj_in", "up_blocks_0_attentions_0_proj_in"),
    ("output_blocks_2_1_conv", "up_blocks_0_upsamplers_0_conv"),
    ("output_blocks_5_2_conv", "up_blocks_1_upsamplers_0_conv"),
    ("output_blocks_8_0_out_layers_0", "up_blocks_2_resnets_2_norm2"),
    ("input_blocks_0_0", "conv_in"),
    ("time_embed_2", "time_embedding_linear_2"),
    ("label_emb_0_0", "add_embedding_linear_1"),
    ("out_2", "conv_out"),
    (
        "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out",
        "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0",
    ),
    ("double_blocks_7_img_mlp_0", "transformer_blocks_7_ff_net_0_proj"),
    ("single_blocks_37_linear2", "single_transformer_blocks_37_proj_out"),
]


@pytest.mark.parametrize(("written", "name"), PAIRS)
def test_every_layout_has_the_names_of_diffusers(written: str, name: str) -> None:
    assert canonical("unet", written) == (name, ())
    assert canonical("unet", name) == (name, ())


@pytest.mark.parametrize(
    "written",
    [
        "text_model_encoder_layers_3_self_attn_out_proj",
        "encoder_layers_3_self_attn_out_proj",
        "transformer_resblocks_3_attn_out_proj",
    ],
)
def test_text_encoders_have_one_name_whichever_library_wrote_them(written: str) -> None:
    assert canonical("te2", written) == ("encoder_layers_3_self_attn_out_proj", ())


def test_a_fused_layer_is_told_as_those_that_it_holds() -> None:
    name, splits = canonical("unet", "single_blocks_3_linear1")
    assert name == "single_transformer_blocks_3_linear1"
    assert [(split.name, split.rows) for split in splits] == [
        ("single_transformer_blocks_3_attn_to_q", "in"),
        ("single_transformer_blocks_3_attn_to_k", "in"),
        ("single_transformer_blocks_3_attn_to_v", "in"),
        ("single_transformer_blocks_3_proj_mlp", "rest"),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["{}.lora_A.weight", "{}.lora_B.weight"],
        ["{}.lora_A.default.weight", "{}.lora_B.default.weight"],
        ["{}.lora.down.weight", "{}.lora.up.weight"],
    ],
)
@pytest.mark.parametrize(
    ("module", "part"),
    [
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "unet"),
        ("base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "unet"),
        ("text_encoder.text_model.encoder.layers.0.self_attn.q_proj", "te1"),
        ("text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj", "te2"),
    ],
)
def test_dotted_layouts_name_the_same_layers_as_kohya(names: list[str], module: str, part: str) -> None:
    (layer,) = read_layers([name.format(module) for name in names]).layers
    kohya = QUERY if part == "unet" else f"lora_{part}_text_model_encoder_layers_0_self_attn_q_proj"
    (theirs,) = read_layers(lora(kohya)).layers
    assert (layer.part, layer.name, layer.family) == (theirs.part, theirs.name, "lora")
    assert layer.factors.keys() == {"down", "up"}


def test_the_streams_of_xlabs_are_two_layers() -> None:
    names = [f"double_blocks.0.processor.qkv_lora{n}.{way}.weight" for n in (1, 2) for way in ("down", "up")]
    layers = read_layers(names).layers
    assert [layer.splits[0].name for layer in layers] == [
        "transformer_blocks_0_attn_to_q",
        "transformer_blocks_0_attn_add_q_proj",
    ]
    assert all(layer.factors.keys() == {"down", "up"} for layer in layers)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_is_gathered_with_all_its_factors(family: str) -> None:
    arrays = FAMILIES[family]()
    found = read_layers(arrays)
    (layer,) = found.layers
    assert layer.family == family
    assert sorted(layer.factors.values()) == sorted(arrays)
    assert found.strays == ()


def test_the_weight_of_an_ia3_is_its_factor_and_one_elsewhere_is_a_stray() -> None:
    found = read_layers(["lora_unet_a.weight", "lora_unet_a.on_input", "lora_unet_b.weight"])
    (layer,) = found.layers
    assert layer.factors == {"weight": "lora_unet_a.weight", "on_input": "lora_unet_a.on_input"}
    assert found.strays == ("lora_unet_b.weight",)


def test_what_belongs_to_no_layer_is_told() -> None:
    names = ["bundle_emb.x.string_to_param.*", f"{QUERY}.scalar", f"{QUERY}.bias", "whatever"]
    found = read_layers([*names, *lora(), f"unet.{QUERY.removeprefix('lora_unet_')}.lora_A.weight"])
    assert len(found.layers) == 1
    # The second tensor for a factor that is there already does not replace it.
    assert set(found.strays) == {*names, f"unet.{QUERY.removeprefix('lora_unet_')}.lora_A.weight"}


def test_every_real_file_has_layers_with_pairs_of_factors(data_dir: Path) -> None:
    seen = 0
    for path in sorted((data_dir / "state_dicts").iterdir()):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        facts = json.loads(raw)
        if facts.get("complete") != "full" or facts.get("expected", {}).get("adapter") not in (
            "lora",
            "locon",
        ):
            continue
        found = read_layers(facts["tensors"])
        whole = [layer for layer in found.layers if {"up", "down"} <= layer.factors.keys()]
        assert len(whole) >= 0.9 * len(found.layers), path.name
        names = [(layer.part, layer.name) for layer in found.layers]
        assert len(set(names)) == len(names), path.name
        seen += 1
    assert seen > 10
