"""The `ss_` keys of kohya-ss/sd-scripts (train_network.py) and musubi-tuner: a table of typed scalars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.formats.values import (
    OddValueError,
    boolean,
    dimension,
    number,
    numbers,
    scale,
    size,
    steps_or_ratio,
    text,
    whole,
)
from registry.views import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_GROUPS: Final[Mapping[str, Mapping[Callable[[str], object], str]]] = {
    "run": {
        whole: "session_id seed",
        number: "training_started_at training_finished_at",
        text: "output_name training_comment sd_scripts_commit_hash",
    },
    "amount": {
        whole: "num_train_images num_reg_images num_validation_images num_train_items num_batches_per_epoch"
        " num_epochs epoch steps max_train_steps",
    },
    "optimiser": {
        text: "optimizer lr_scheduler mixed_precision",
        number: "learning_rate max_grad_norm",
        numbers: "unet_lr text_encoder_lr",
        steps_or_ratio: "lr_warmup_steps multires_noise_iterations",
        whole: "gradient_accumulation_steps",
        boolean: "gradient_checkpointing full_fp16 full_bf16 fp8_base fp8_base_unet lowram",
    },
    "network": {
        text: "network_module",
        dimension: "network_dim",
        scale: "network_alpha",
        number: "network_dropout",
    },
    "base model": {
        text: "sd_model_name sd_model_hash new_sd_model_hash vae_name vae_hash new_vae_hash"
        " base_model_version",
        boolean: "v2 v_parameterization",
        whole: "clip_skip max_token_length",
    },
    "loss": {
        number: "noise_offset multires_noise_discount adaptive_noise_scale"
        " min_snr_gamma scale_weight_norms ip_noise_gamma huber_scale huber_c prior_loss_weight"
        " caption_dropout_rate caption_tag_dropout_rate validation_split",
        boolean: "noise_offset_random_strength zero_terminal_snr ip_noise_gamma_random_strength"
        " debiased_estimation cache_latents",
        text: "loss_type huber_schedule resize_interpolation",
        whole: "caption_dropout_every_n_epochs validation_seed max_validation_steps validate_every_n_epochs"
        " validate_every_n_steps",
        numbers: "face_crop_aug_range",
    },
    "architecture": {
        text: "model_type weighting_scheme timestep_sampling model_prediction_type",
        boolean: "apply_t5_attn_mask apply_lg_attn_mask",
        number: "logit_mean logit_std mode_scale guidance_scale sigmoid_scale discrete_flow_shift",
    },
    "single dataset": {
        whole: "batch_size_per_device total_batch_size min_bucket_reso max_bucket_reso keep_tokens",
        size: "resolution",
        boolean: "color_aug flip_aug random_crop shuffle_caption enable_bucket bucket_no_upscale",
    },
}

SCALARS: Final[Mapping[str, tuple[str, Callable[[str], object], str]]] = {
    f"ss_{name}": (name, parse, group)
    for group, parsers in _GROUPS.items()
    for parse, names in parsers.items()
    for name in names.split()
}
"""Metadata key -> (name without `ss_`, parser, group)."""

STRUCTURED: Final = frozenset(
    {
        "ss_network_args",
        "ss_datasets",
        "ss_dataset_dirs",
        "ss_reg_dataset_dirs",
        "ss_tag_frequency",
        "ss_bucket_info",
    }
)
"""Keys whose values are JSON and are read by modules of their own."""


def read_scalars(metadata: Mapping[str, str], notes: list[Note]) -> dict[str, object]:
    """Return typed values by name without `ss_`; "None" is present as `None`, an odd value only as a note."""
    values: dict[str, object] = {}
    for key, written in metadata.items():
        row = SCALARS.get(key)
        if row is None:
            continue
        name, parse, _ = row
        try:
            values[name] = parse(written)
        except OddValueError as error:
            notes.append(Note("odd-value", f"{key} is {error}."))
    return values
