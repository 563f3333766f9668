"""TABLE: what SwarmUI calls the classes of LoRAs.

Source: mcmonkeyprojects/SwarmUI `src/Text2Image/T2IModelClassSorter.cs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.shown import Entry


class ModelClass(NamedTuple):
    """What SwarmUI calls a class of models; `side` is the usual width and height of its pictures."""

    id: str
    name: str
    compat: str
    side: int


_WAN_14B: Final = ModelClass("wan-2_1-text2video-14b/lora", "Wan 2.1 14B LoRA", "wan-21-14b-t2v", 960)
_SD35_LARGE: Final = ModelClass(
    "stable-diffusion-v3.5-large/lora",
    "Stable Diffusion 3.5 Large LoRA",
    "stable-diffusion-v3.5-medium",
    1024,
)
# The classes of LoRAs by our architectures ...
CLASSES: Final[Mapping[str, ModelClass]] = {
    "sd15": ModelClass("stable-diffusion-v1/lora", "Stable Diffusion v1 LoRA", "stable-diffusion-v1", 512),
    "sd2": ModelClass(
        "stable-diffusion-v2-768-v/lora", "Stable Diffusion v2 LoRA", "stable-diffusion-v2-768-v", 768
    ),
    "sdxl": ModelClass(
        "stable-diffusion-xl-v1-base/lora",
        "Stable Diffusion XL 1.0-Base LoRA",
        "stable-diffusion-xl-v1",
        1024,
    ),
    "flux1": ModelClass("Flux.1-dev/lora", "Flux.1 LoRA", "flux-1-dev", 1024),
    "flux2": ModelClass("Flux.2-dev/lora", "Flux.2 Dev LoRA", "flux-2", 1024),
    "qwen_image": ModelClass("qwen-image/lora", "Qwen Image LoRA", "qwen-image", 1328),
    "z_image": ModelClass("z-image/lora", "Z-Image LoRA", "z-image", 1024),
    "hunyuan_video": ModelClass("hunyuan-video/lora", "Hunyuan Video LoRA", "hunyuan-video", 720),
    "hunyuan_image": ModelClass("hunyuan-image-2_1/lora", "Hunyuan Image LoRA", "hunyuan-image-2_1", 2048),
    "hidream": ModelClass("hidream-i1/lora", "HiDream i1 LoRA", "hidream-i1", 1024),
}
# ... and those that our base models tell apart; an architecture that is here alone has no class otherwise.
VARIANTS: Final[Mapping[str, ModelClass]] = {
    "sd3-medium": ModelClass(
        "stable-diffusion-v3-medium/lora",
        "Stable Diffusion 3 Medium LoRA",
        "stable-diffusion-v3-medium",
        1024,
    ),
    "sd3.5-medium": ModelClass(
        "stable-diffusion-v3.5-medium/lora",
        "Stable Diffusion 3.5 Medium LoRA",
        "stable-diffusion-v3.5-medium",
        1024,
    ),
    "sd3.5-large": _SD35_LARGE,
    "sd3.5-large-turbo": _SD35_LARGE,
    "wan-14b": _WAN_14B,
    "wan2.1-14b": _WAN_14B,
    "wan2.2-14b": _WAN_14B,
    "wan2.1-1.3b": ModelClass(
        "wan-2_1-text2video-1_3b/lora", "Wan 2.1 Text2Video 1.3B LoRA", "wan-21-1_3b_t2v", 640
    ),
    "wan2.2-5b": ModelClass("wan-2_2-ti2v-5b/lora", "Wan 2.2 Text/Image2Video 5B", "wan-22-5b", 960),
    "hunyuan_video-1.5": ModelClass(
        "hunyuan-video-1_5/lora", "Hunyuan Video 1.5 LoRA", "hunyuan-video-1_5", 960
    ),
}


def class_of(entry: Entry) -> ModelClass | None:
    """Return the class of a LoRA, `None` where SwarmUI has none for it and for all that is no LoRA."""
    if entry.kind != "lora":
        return None
    return VARIANTS.get(entry.base_model or "") or CLASSES.get(entry.architecture)
