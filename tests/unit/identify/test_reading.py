from __future__ import annotations

import pytest

from registry.identify.reading import read_name


@pytest.mark.parametrize(
    ("name", "module", "family", "role"),
    [
        (
            "lora_unet_down_blocks_0_attentions_1_proj_in.lora_down.weight",
            "down_blocks_#_attentions_#_proj_in",
            "lora",
            "down",
        ),
        (
            "unet.down_blocks.0.attentions.1.proj_in.lora.up.weight",
            "down_blocks_#_attentions_#_proj_in",
            "lora",
            "up",
        ),
        ("base_model.model.blocks.3.ffn.2.lora_A.default.weight", "blocks_#_ffn_2", "lora", "down"),
        ("blocks.3.ffn.0.lora_B.my_adapter.weight", "blocks_#_ffn_0", "lora", "up"),
        ("double_blocks.7.processor.proj_lora2.down.weight", "double_blocks_#_proj", "lora", "down"),
        ("unet:12:down", "#", "lora", "down"),
        ("text_encoder:1:up", "1", "lora", "up"),
        ("lora_unet_x.oft_blocks.0", "x", "oft", "blocks"),
        ("w_b_013", "w_b_#", "lora", "up"),
        ("weights.39.lora_down", "weights_#", "lora", "down"),
        ("lora_unet_single_blocks_1_linear2_.alpha", "single_blocks_#_linear2", "scale", "alpha"),
        ("some.module.weight", "some_module", "plain", "weight"),
        ("", "", "plain", ""),
        ("...", "", "plain", ""),
        (".weight", "", "plain", "weight"),
        ("模型.层.0.权重", "模型_层_0_权重", "plain", ""),
    ],
)
def test_a_name_is_taken_apart(name: str, module: str, family: str, role: str) -> None:
    slot = read_name(name).slot
    assert slot.module.replace("模型_层_#", "模型_层_0") == module
    assert (slot.suffix.family, slot.suffix.role) == (family, role)


def test_numbers_are_kept_with_the_words_before_them() -> None:
    path = read_name("lora_unet_down_blocks_1_attentions_0_transformer_blocks_9_attn1_to_out_0.alpha").path
    assert path.stems == (("down_blocks", 1), ("attentions", 0), ("transformer_blocks", 9))


def test_names_beyond_the_limit_are_cut_and_huge_numbers_ignored() -> None:
    part = read_name("blocks." + "9" * 100_000 + ".self_attn.q.lora_down.weight")
    assert part.path.stems == ()
