"""TABLES: everything the engine judges by, gathered from the tables of this package."""

from __future__ import annotations

from registry.identify.rows import SizeVariant, Usual
from registry.identify.rules_joint import JOINT, JOINT_ABSENCES
from registry.identify.rules_single import SINGLE
from registry.identify.rules_unets import PLACES, UNET_ABSENCES, UNETS

__all__ = ["ABSENCES", "ARCHITECTURES", "CONTROLS", "PLACES", "SIZE_VARIANTS", "TWINS", "USUAL"]

ARCHITECTURES = (*UNETS, *JOINT, *SINGLE)
ABSENCES = (*JOINT_ABSENCES, *UNET_ABSENCES)

_STREAMS = ("double_blocks", "single_blocks", "single_transformer_blocks")

# The first row that covers all candidates counts.
USUAL: tuple[Usual, ...] = (
    Usual("sdxl", ("kolors",), quiet=True),
    Usual("sd15", ("sd2", "sdxl", "kolors"), stems=("input_blocks", "output_blocks"), kind="checkpoint"),
    Usual("sdxl", ("sd3",), stems=("te2", "enc2", "clip_g")),
    Usual("flux1", ("chroma", "flux2", "auraflow", "hunyuan_video", "hunyuan_image"), stems=_STREAMS),
    Usual("hunyuan_video", ("hunyuan_image",)),
    # Distilled Qwen-Image adapters have no prefix; kohya's own FLUX.1 names are double_blocks.
    Usual("qwen_image", ("flux1", "chroma", "hunyuan_video", "flux2"), bare=True, sized=True),
    Usual("qwen_image", ("flux1", "chroma", "hunyuan_video", "flux2"), layout="kohya", sized=True),
    Usual("qwen_image", ("hunyuan_video",)),
    Usual("pixart", ("sana",), sized=True),
    Usual("anima", ("cosmos",), quiet=True),
    Usual("wan", ("hunyuan_dit",)),
    Usual("ltx2", ("ltx",)),
    Usual("sd15", ("sd2",)),
    Usual("krea2", ("flux1",)),
    # Attention of a second kind alone is what SD 3.5 Medium adds to SD 3; the others never lack the first.
    Usual("sd3", ("pixart", "sana", "ltx", "ltx2"), layout="lycoris"),
    Usual("z_image", ("ideogram4",)),
)

# Base models whose adapters look the same: the second is meant where metadata say so.
TWINS: tuple[tuple[str, str], ...] = (
    ("sdxl", "kolors"),
    ("anima", "cosmos"),
)

# Where a control image enters: an adapter of these inputs, this wide, is a control LoRA. The doubled channels
# are those of FLUX.1 Canny and Depth.
CONTROLS: tuple[tuple[str, str, int], ...] = (("flux1", "img_in", 128), ("flux1", "x_embedder", 128))

# An input width that only one variant of an architecture has.
SIZE_VARIANTS: tuple[SizeVariant, ...] = (
    SizeVariant("wan", 1536, "wan2.1-1.3b"),
    SizeVariant("wan", 3072, "wan2.2-5b"),
    SizeVariant("wan", 5120, "wan-14b"),
    SizeVariant("flux2", 6144, "flux2-dev"),
    SizeVariant("flux2", 4096, "flux2-klein-9b"),
    SizeVariant("flux2", 3072, "flux2-klein-4b"),
    SizeVariant("sd3", 2432, "sd3.5-large"),
    SizeVariant("cogvideox", 1920, "cogvideox-2b"),
    SizeVariant("cogvideox", 3072, "cogvideox-5b"),
    SizeVariant("ltx", 16384, "ltxv-13b"),
    SizeVariant("hunyuan_video", 2048, "hunyuan_video-1.5"),
)
