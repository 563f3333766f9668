from __future__ import annotations

import pytest

from registry.identify import identify
from registry.identify.claims import architecture_of
from registry.identify.names import CHECKPOINT_HASHES
from tests.unit.identify.samples import bfl, sd_unet, state_dict, wan

SDXL = state_dict(sd_unet(2048, "down_blocks.1.attentions.0"))
FLUX = state_dict(bfl(3072, modulation=True, mlp=12288))


@pytest.mark.parametrize(
    ("metadata", "variant"),
    [
        ({"ss_sd_model_name": "ponyDiffusionV6XL_v6StartWithThisOne.safetensors"}, "pony"),
        ({"ss_sd_model_name": "Illustrious-XL-v0.1.safetensors"}, "illustrious"),
        ({"ss_sd_model_name": "noobaiXLNAIXL_vPred10Version.safetensors"}, "noobai"),
        ({"modelspec.title": "Style for NoobAI"}, "noobai"),
        ({"modelspec.title": "cute pony"}, None),
        ({"modelspec.title": "style_pdxl"}, "pony"),
        ({"ss_sd_model_name": "waiNSFWIllustrious_v110.safetensors"}, "illustrious"),
        (
            {"ss_base_model_version": "sdxl_base_v1-0", "modelspec.title": "A style for Illustrious"},
            "illustrious",
        ),
        ({"ss_base_model_version": "sdxl_base_v1-0"}, "sdxl-1.0"),
        ({"ss_sd_model_name": "sd_xl_base_1.0.safetensors"}, "sdxl-1.0"),
        ({"modelspec.architecture": "stable-diffusion-xl-turbo-v1/lora"}, "sdxl-turbo"),
        ({"ss_base_model_version": "flux1-schnell"}, None),
        ({}, None),
    ],
)
def test_variants_of_sdxl_come_from_metadata(metadata: dict[str, str], variant: str | None) -> None:
    found = identify(SDXL, metadata)
    assert (found.architecture, found.base_model) == ("sdxl", variant)


@pytest.mark.parametrize(
    ("metadata", "variant"),
    [
        ({"modelspec.architecture": "Flux.1-dev/lora"}, "flux1-dev"),
        ({"modelspec.architecture": "flux-1-schnell/lora"}, "flux1-schnell"),
        ({"ss_base_model_version": "flux_kontext"}, "kontext"),
        ({"ss_sd_model_name": "ponyDiffusionV6XL.safetensors"}, None),
    ],
)
def test_only_variants_of_the_decided_architecture_count(
    metadata: dict[str, str], variant: str | None
) -> None:
    assert identify(FLUX, metadata).base_model == variant


@pytest.mark.parametrize(
    ("size", "metadata", "variant"),
    [
        (1536, {}, "wan2.1-1.3b"),
        (3072, {}, "wan2.2-5b"),
        (5120, {}, "wan-14b"),
        (5120, {"modelspec.architecture": "wan2.1/lora"}, "wan2.1-14b"),
        (5120, {"modelspec.architecture": "wan2.2/lora"}, "wan2.2-14b"),
        (1536, {"modelspec.architecture": "wan2.1/lora"}, "wan2.1-1.3b"),
    ],
)
def test_widths_and_words_name_a_variant_together(size: int, metadata: dict[str, str], variant: str) -> None:
    assert identify(state_dict(wan(size)), metadata).base_model == variant


def test_a_turbo_checkpoint_is_told_from_the_one_it_was_made_of() -> None:
    tensors = state_dict({"joint_blocks.0.x_block.attn.qkv": (2432, 7296)})
    assert (
        identify(tensors, {"ss_sd_model_name": "sd3.5_large_turbo.safetensors"}).base_model
        == "sd3.5-large-turbo"
    )
    assert identify(tensors, {"ss_sd_model_name": "sd3_medium.safetensors"}).base_model == "sd3.5-large"


@pytest.mark.parametrize(
    ("size", "mlp", "variant"), [(6144, 36864, "flux2-dev"), (4096, 24576, "flux2-klein-9b")]
)
def test_widths_name_the_variant_of_flux2(size: int, mlp: int, variant: str) -> None:
    assert identify(state_dict(bfl(size, modulation=False, mlp=mlp)), {}).base_model == variant


@pytest.mark.parametrize("known", CHECKPOINT_HASHES)
def test_the_hash_of_a_checkpoint_names_its_variant(known: str) -> None:
    architecture, variant = CHECKPOINT_HASHES[known]
    width = {"sd15": 768, "sdxl": 2048}[architecture]
    tensors = state_dict(sd_unet(width, "down_blocks.1.attentions.0"))
    key = "ss_new_sd_model_hash" if len(known) == 64 else "ss_sd_model_hash"
    assert identify(tensors, {key: known.upper()}).base_model == variant


@pytest.mark.parametrize(
    ("text", "architecture"),
    [
        ("sd_v1", "sd15"),
        ("sd_1.5", "sd15"),
        ("SD 1.5 LCM", "sd15"),
        ("sd_v2_v", "sd2"),
        ("SD 2.1 768", "sd2"),
        ("stable-diffusion-v2-768-v/lora", "sd2"),
        ("sdxl_base_v1-0", "sdxl"),
        ("sdxl_", "sdxl"),
        ("SDXL Lightning", "sdxl"),
        ("Pony", "sdxl"),
        ("Illustrious", "sdxl"),
        ("Pony V7", "auraflow"),
        ("sd3m", "sd3"),
        ("SD 3.5 Large Turbo", "sd3"),
        ("stable-diffusion-3-medium/lora", "sd3"),
        ("flux1", "flux1"),
        ("flux.1", "flux1"),
        ("Flux.1 D", "flux1"),
        ("flux_kontext", "flux1"),
        ("flux_2_klein_4b", "flux2"),
        ("Flux.2 Klein 9B-base", "flux2"),
        ("black-forest-labs/FLUX.2-dev", "flux2"),
        ("chroma", "chroma"),
        ("zimage", "z_image"),
        ("ZImageTurbo", "z_image"),
        ("Qwen-Image/lora", "qwen_image"),
        ("qwen_image_edit", "qwen_image"),
        ("wan2.1/lora", "wan"),
        ("Wan-AI/Wan2.2-I2V-A14B", "wan"),
        ("framepack", "hunyuan_video"),
        ("hunyuan-image-2.1", "hunyuan_image"),
        ("hunyuan_video_1_5", "hunyuan_video"),
        ("LTXV 2.3", "ltx2"),
        ("LTXV", "ltx"),
        ("lumina-2", "lumina2"),
        ("krea/Krea-2-Turbo", "krea2"),
        ("ideogram-ai/ideogram-4-fp8", "ideogram4"),
        ("kandinsky5", "kandinsky5"),
        ("stable-video-diffusion-img2vid-v1", "svd"),
        ("hidream_o1_image", None),
        ("gpt-neo-x", None),
        ("", None),
        ("/", None),
        ("Ω" * 1000, None),
    ],
)
def test_spellings_of_other_tools_are_read(text: str, architecture: str | None) -> None:
    assert architecture_of(text) == architecture
