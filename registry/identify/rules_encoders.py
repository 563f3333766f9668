"""TABLES: text encoders, what their modules are called, and which base models carry them.

Sources: kohya-ss/sd-scripts networks/lora*.py (lora_te*), huggingface/diffusers pipelines (text_encoder*),
Comfy-Org/ComfyUI comfy/text_encoders.
"""

from __future__ import annotations

from registry.identify.rows import Encoder

# Module patterns of each form of text encoder.
FORMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("clip", ("text_model.*", "text_projection.*", "model.text_model.*")),
    ("openclip", ("transformer.resblocks.*", "model.transformer.resblocks.*", "resblocks.*")),
    ("t5", ("encoder.block.*", "encoder.final_layer_norm", "shared")),
    ("glm", ("encoder.layers.#.self_attention.*", "encoder.layers.#.mlp.dense_h_to_4h")),
    ("numbered", ("{#,0,1,2,3}",)),
    ("llm", ("model.layers.*", "layers.#.self_attn.*", "layers.#.mlp.*", "model.language_model.*")),
)

# The slot a person sees for each slot of the prefixes.
SLOT_TARGETS: dict[str, str] = {
    "te": "te",
    "te1": "te1",
    "te2": "te2",
    "te3": "te3",
    "te4": "te4",
    "enc1": "te1",
    "enc2": "te2",
    "enc3": "te3",
    "clip_l": "te1",
    "clip_g": "te2",
    "clip_h": "te1",
    "t5": "te3",
    "prior_te": "te1",
    "numbered_te": "te1",
}

ENCODERS: tuple[Encoder, ...] = (
    Encoder("te", "clip", 768, 12, ("sd15",)),
    Encoder("te", "clip", 1024, 24, ("sd2",)),
    Encoder("te", "openclip", 1024, 24, ("sd2",)),
    Encoder("te", "glm", 4096, 28, ("kolors",)),
    Encoder("te", "llm", 1024, 28, ("anima",)),
    Encoder("te", "llm", 2304, 26, ("lumina2",)),
    Encoder("te4", "llm", 4096, 32, ("hidream",)),
    Encoder("numbered_te", "numbered", 768, None, ("sd15",)),
    Encoder("numbered_te", "numbered", 1024, None, ("sd2",)),
    Encoder("te1", "clip", 768, 12, ("sdxl", "flux1", "sd3")),
    Encoder("te2", "clip", 1280, 32, ("sdxl", "sd3")),
    Encoder("te2", "openclip", 1280, 32, ("sdxl",)),
    Encoder("te2", "t5", 4096, 24, ("flux1",)),
    Encoder("te3", "t5", 4096, 24, ("flux1", "sd3", "hidream")),
    Encoder("enc1", "clip", 768, 12, ("sd15", "sdxl", "flux1", "sd3")),
    Encoder("enc1", "clip", 1024, 24, ("sd2",)),
    Encoder("enc2", "clip", 1280, 32, ("sdxl", "sd3")),
    Encoder("enc2", "t5", 4096, 24, ("flux1",)),
    Encoder("enc3", "t5", 4096, 24, ("sd3", "hidream")),
    Encoder("clip_l", "clip", 768, 12, ("sd15", "sdxl", "sd3", "flux1")),
    Encoder("clip_g", "clip", 1280, 32, ("sdxl", "sd3")),
    Encoder("clip_h", "clip", 1024, 24, ("sd2",)),
    Encoder("prior_te", "clip", 1280, 32, ("cascade",)),
)

# Widths of token embeddings, for textual inversions.
EMBEDDING_WIDTHS: dict[int, tuple[str, ...]] = {768: ("sd15",), 1024: ("sd2",), 1280: ("sdxl",)}

# Names of the tensors of an embedding file, and who uses that set of them; the first row that fits counts.
EMBEDDING_SETS: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (frozenset({"clip_l", "clip_g", "t5xxl"}), ("sd3",)),
    (frozenset({"clip_l", "clip_g", "t5"}), ("sd3",)),
    (frozenset({"clip_l", "clip_g"}), ("sdxl",)),
    # Nerogar/OneTrainer writes this for Stable Cascade
    (frozenset({"clip_g"}), ("sdxl", "cascade")),
    (frozenset({"clip_l", "t5"}), ("flux1",)),
    (frozenset({"clip_l", "t5xxl"}), ("flux1",)),
    (frozenset({"clip_l"}), ("sd15", "sdxl", "sd3", "flux1")),
    (frozenset({"t5"}), ("flux1", "sd3", "pixart")),
    (frozenset({"t5xxl"}), ("flux1", "sd3", "pixart")),
    (frozenset({"qwen"}), ("qwen_image",)),
    # diffusers examples/advanced_diffusion_training
    (frozenset({"text_encoders_0", "text_encoders_1"}), ("sdxl",)),
    (frozenset({"text_encoders_0"}), ("sd15", "sdxl")),
)
