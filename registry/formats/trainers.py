"""Which software trained a file, judged by its metadata: a table of evidence in order of strength.

Sources: Nerogar/OneTrainer (DtypeModelSaverMixin.py), ostris/ai-toolkit (toolkit/metadata.py),
kohya-ss/musubi-tuner (trainer_base.py), kohya-ss/sd-scripts (train_network.py), bghira/SimpleTuner
(save_hooks.py), huggingface/diffusers (lora_base.py), cloneofsimo/lora, hako-mikan/sd-webui-traintrain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class _Row(NamedTuple):
    trainer: str
    evidence: str
    holds: Callable[[Mapping[str, str]], bool]


def _has(key: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda metadata: key in metadata


def _says(key: str, part: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda metadata: part in metadata.get(key, "")[:4096].lower()


def _starts(key: str, *starts: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda metadata: metadata.get(key, "").startswith(starts)


def _is_one_of(key: str, values: frozenset[str]) -> Callable[[Mapping[str, str]], bool]:
    return lambda metadata: metadata.get(key) in values


def _all(*tests: Callable[[Mapping[str, str]], bool]) -> Callable[[Mapping[str, str]], bool]:
    return lambda metadata: all(test(metadata) for test in tests)


_MUSUBI_MODELS: Final = frozenset(
    {
        "flux_2_dev",
        "flux_2_klein_4b",
        "flux_2_klein_9b",
        "flux_kontext",
        "framepack",
        "hidream_o1_image",
        "hunyuan_video",
        "hunyuan_video_1_5",
        "ideogram4",
        "kandinsky5",
        "krea2",
        "qwen_image",
        "qwen_image_edit",
        "qwen_image_layered",
        "wan",
        "z_image",
    }
)
"""Values of ss_base_model_version that musubi-tuner writes and sd-scripts does not."""

_ROWS: Final = (
    _Row("onetrainer", "has ot_branch", _has("ot_branch")),
    _Row("onetrainer", "has ot_revision", _has("ot_revision")),
    _Row("onetrainer", "has ot_config", _has("ot_config")),
    _Row("ai-toolkit", "software names ai-toolkit", _says("software", "ai-toolkit")),
    _Row("musubi", "has ss_num_train_items", _has("ss_num_train_items")),
    _Row("kohya", "has ss_sd_scripts_commit_hash", _has("ss_sd_scripts_commit_hash")),
    _Row(
        "simpletuner",
        "modelspec.implementation is diffusers and global_step is given",
        _all(_says("modelspec.implementation", "diffusers"), _has("global_step")),
    ),
    _Row("simpletuner", "modelspec.comment names SimpleTuner", _says("modelspec.comment", "simpletuner")),
    _Row("diffusers", "has lora_adapter_metadata", _has("lora_adapter_metadata")),
    _Row("cloneofsimo", "has unet:0:rank", _has("unet:0:rank")),
    _Row("cloneofsimo", "has text_encoder:0:rank", _has("text_encoder:0:rank")),
    _Row("traintrain", "ss_network_module is network.lora", _starts("ss_network_module", "network.lora")),
    _Row("ai-toolkit", "has training_info with a step", _says("training_info", '"step"')),
    _Row(
        "musubi",
        "ss_base_model_version is a name of musubi-tuner beside ss_network_module",
        _all(_is_one_of("ss_base_model_version", _MUSUBI_MODELS), _starts("ss_network_module", "networks.")),
    ),
    _Row(
        "kohya",
        "ss_network_module is a module of sd-scripts or LyCORIS",
        _starts("ss_network_module", "networks.", "lycoris.", "kohya-ss/"),
    ),
    _Row(
        "kohya",
        "modelspec.implementation_version names sd-scripts",
        _says("modelspec.implementation_version", "sd-scripts"),
    ),
)


def detect_trainer(metadata: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the trainer's name and the evidence for it, or two `None`."""
    for row in _ROWS:
        if row.holds(metadata):
            return row.trainer, row.evidence
    return None, None
