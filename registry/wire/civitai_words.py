"""Civitai's words for what is in the catalog, for the dialects that speak as Civitai does.

Sources: civitai/civitai prisma/schema.prisma (ModelType) and its list of base models, which is free text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.shown import Entry, Shown

SITE: Final = "https://civitai.com"
OTHER: Final = "Other"
MODEL_TYPES: Final = (
    "Checkpoint", "TextualInversion", "Hypernetwork", "AestheticGradient", "LORA", "LoCon", "DoRA",
    "Controlnet", "Upscaler", "MotionModule", "VAE", "TextEncoder", "UNet", "CLIPVision", "Poses",
    "Wildcards", "Workflows", "ComfyWorkflows", "Detection", "VisionLanguage", "CLIP", "LLM", OTHER,
)  # fmt: skip

# Our kinds -> Civitai's types; adapters that have a type of their own, LoCon being all of LyCORIS.
_TYPES: Final[Mapping[str, str]] = {
    "lora": "LORA",
    "checkpoint": "Checkpoint",
    "embedding": "TextualInversion",
    "vae": "VAE",
    "controlnet": "Controlnet",
}
_ADAPTER_TYPES: Final[Mapping[str, str]] = {
    "locon": "LoCon",
    "loha": "LoCon",
    "lokr": "LoCon",
    "dora": "DoRA",
}

# Our architectures and their variants -> Civitai's base models. Variants that are not here are as their
# architecture.
BASE_MODELS: Final[Mapping[str, str]] = {
    "sd15": "SD 1.5",
    "sd1.4": "SD 1.4",
    "sd2": "SD 2.1",
    "sd2-768-v": "SD 2.1 768",
    "sdxl": "SDXL 1.0",
    "pony": "Pony",
    "illustrious": "Illustrious",
    "noobai": "NoobAI",
    "sdxl-turbo": "SDXL Turbo",
    "sdxl-lightning": "SDXL Lightning",
    "sdxl-hyper": "SDXL Hyper",
    "sd3": "SD 3",
    "sd3.5-large": "SD 3.5 Large",
    "sd3.5-large-turbo": "SD 3.5 Large Turbo",
    "sd3.5-medium": "SD 3.5 Medium",
    "flux1": "Flux.1 D",
    "flux1-schnell": "Flux.1 S",
    "flux1-krea": "Flux.1 Krea",
    "kontext": "Flux.1 Kontext",
    "flux2": "Flux.2 D",
    "flux2-klein-9b": "Flux.2 Klein 9B",
    "flux2-klein-4b": "Flux.2 Klein 4B",
    "chroma": "Chroma",
    "qwen_image": "Qwen",
    "z_image": "ZImageTurbo",
    "z-image-base": "ZImageBase",
    "wan": "Wan Video",
    "wan2.1-1.3b": "Wan Video 1.3B t2v",
    "wan2.2-5b": "Wan Video 2.2 TI2V-5B",
    "hunyuan_video": "Hunyuan Video",
    "hunyuan_dit": "Hunyuan 1",
    "ltx": "LTXV",
    "ltx2": "LTXV2",
    "lumina2": "Lumina",
    "auraflow": "AuraFlow",
    "pony-v7": "Pony V7",
    "pixart": "PixArt a",
    "pixart-sigma": "PixArt E",
    "cascade": "Stable Cascade",
    "hidream": "HiDream",
    "anima": "Anima",
    "krea2": "Krea 2",
    "ernie_image": "Ernie",
    "ideogram4": "Ideogram 4.0",
    "svd": "SVD",
    "kolors": "Kolors",
    "cogvideox": "CogVideoX",
    "mochi": "Mochi",
}

# From R on.
_NSFW: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def title(shown: Shown) -> str:
    """Return the name of the model: the user's, else Civitai's, else whatever is shown."""
    said = shown.sources.get("name")
    typed = said is not None and said.kind == "user"
    return shown.name if typed else shown.model_name or shown.name


def model_type(entry: Entry) -> str:
    """Return the type that is shown, else the one that the file has by its tensors."""
    by_tensors = _ADAPTER_TYPES.get(entry.adapter) if entry.kind == "lora" else None
    return entry.shown.model_type or by_tensors or _TYPES.get(entry.kind, OTHER)


def base_model(entry: Entry) -> str | None:
    """Return the base model that is shown, else the one told by the tensors, `None` if Civitai has none."""
    variant = BASE_MODELS.get(entry.base_model or "")
    return entry.shown.base_model or variant or BASE_MODELS.get(entry.architecture)


def trained_words(shown: Shown) -> list[str]:
    """Return the trigger words, each group as one text."""
    return [", ".join(group) for group in shown.triggers if group]


def is_nsfw(entry: Entry) -> bool:
    """Whether the model counts as not safe: as its author says, else by its level."""
    for told in (entry.model, entry.version):
        if told is not None and told.nsfw is not None:
            return told.nsfw
    return (entry.shown.nsfw_level or 0) >= _NSFW


def moment(at: int | None) -> datetime | None:
    """Return milliseconds since the epoch as a time in UTC, `None` for none and what no calendar has."""
    try:
        return None if at is None else _EPOCH + timedelta(milliseconds=at)
    except OverflowError:
        return None


def counted(number: float) -> int | float:
    """Return a number of a mapping of counters as it was written: whole ones without a point."""
    return int(number) if float(number).is_integer() else number
