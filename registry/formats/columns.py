"""The training facts a catalog keeps in columns, each typed and each from wherever a trainer put it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.formats.datasets import Dataset, DatasetDir
    from registry.formats.modelspec import ModelSpec


class Columns:
    """Typed properties over `values`; `None` where the header does not say."""

    __slots__ = ()

    if TYPE_CHECKING:
        values: Mapping[str, object]
        datasets: tuple[Dataset, ...]
        dataset_dirs: tuple[DatasetDir, ...]
        modelspec: ModelSpec

    def _text(self, name: str) -> str | None:
        value = self.values.get(name)
        return value if isinstance(value, str) else None

    def _int(self, name: str) -> int | None:
        value = self.values.get(name)
        return value if isinstance(value, int) else None

    def _float(self, name: str) -> float | None:
        value = self.values.get(name)
        return float(value) if isinstance(value, int | float) else None

    def _rates(self, name: str) -> float | tuple[float | None, ...] | None:
        value = self.values.get(name)
        return value if isinstance(value, float | tuple) else None

    def _bool(self, name: str) -> bool | None:
        value = self.values.get(name)
        return value if isinstance(value, bool) else None

    @property
    def output_name(self) -> str | None:
        """Name the trainer saved under, without extension."""
        return self._text("output_name")

    @property
    def base_model_version(self) -> str | None:
        """Base model family in the trainer's own words."""
        return self._text("base_model_version")

    @property
    def sd_model_name(self) -> str | None:
        """File name or repository of the model trained on."""
        return self._text("sd_model_name")

    @property
    def sd_model_hash(self) -> str | None:
        """AutoV1 of the model trained on, 8 hex digits."""
        return self._text("sd_model_hash")

    @property
    def new_sd_model_hash(self) -> str | None:
        """SHA-256 of the model trained on."""
        return self._text("new_sd_model_hash")

    @property
    def vae_name(self) -> str | None:
        """File name of the VAE used in training."""
        return self._text("vae_name")

    @property
    def network_module(self) -> str | None:
        """Python module of the network, such as `networks.lora`."""
        return self._text("network_module")

    @property
    def network_dim(self) -> int | str | None:
        """Rank, or "Dynamic" where it differs by layer."""
        value = self.values.get("network_dim")
        return value if isinstance(value, int | str) else None

    @property
    def network_alpha(self) -> float | str | None:
        """Alpha, or "Dynamic" where it differs by layer."""
        return self._text("network_alpha") or self._float("network_alpha")

    @property
    def optimizer(self) -> str | None:
        """Class name of the optimiser without its module and arguments."""
        written = self._text("optimizer")
        return written.partition("(")[0].rpartition(".")[2].strip() or None if written else None

    @property
    def learning_rate(self) -> float | None:
        """Learning rate of the whole run."""
        return self._float("learning_rate")

    @property
    def unet_lr(self) -> float | tuple[float | None, ...] | None:
        """Learning rate of the U-Net or transformer."""
        return self._rates("unet_lr")

    @property
    def text_encoder_lr(self) -> float | tuple[float | None, ...] | None:
        """Learning rate of the text encoder, or one for each."""
        return self._rates("text_encoder_lr")

    @property
    def lr_scheduler(self) -> str | None:
        """Name of the learning rate schedule."""
        return self._text("lr_scheduler")

    @property
    def epoch(self) -> int | None:
        """Epoch this file was saved after."""
        return self._int("epoch")

    @property
    def num_epochs(self) -> int | None:
        """Epochs the run was meant to last."""
        return self._int("num_epochs")

    @property
    def steps(self) -> int | None:
        """Steps this file was saved after."""
        return self._int("steps")

    @property
    def max_train_steps(self) -> int | None:
        """Steps the run was meant to last."""
        return self._int("max_train_steps")

    @property
    def seed(self) -> int | None:
        """Random seed of the run."""
        return self._int("seed")

    @property
    def session_id(self) -> int | None:
        """Random number that all files of one run share."""
        return self._int("session_id")

    @property
    def num_train_images(self) -> int | None:
        """Training images, repeats included."""
        found = self._int("num_train_images")
        if found is None:
            found = self._int("num_train_items")
        counts = [each.num_train_images for each in self.datasets if each.num_train_images is not None]
        return sum(counts) if found is None and counts else found

    @property
    def num_reg_images(self) -> int | None:
        """Regularisation images, repeats included."""
        return self._int("num_reg_images")

    @property
    def repeats(self) -> int | None:
        """Repeats of the image folder with most images."""
        known = [(each.img_count or 0, each.n_repeats) for each in self.dataset_dirs if each.n_repeats]
        if not known:
            known = [
                (each.img_count or 0, each.num_repeats)
                for dataset in self.datasets
                for each in dataset.subsets
                if each.num_repeats and not each.is_reg
            ]
        known = known or [(0, each.num_repeats) for each in self.datasets if each.num_repeats]
        return max(known, key=lambda each: each[0])[1] if known else None

    @property
    def resolution(self) -> tuple[int, int] | None:
        """Width and height trained at; of several datasets, the largest."""
        written = self.values.get("resolution")
        if isinstance(written, tuple):
            return (written[0], written[1])
        sizes = [each.resolution for each in self.datasets if each.resolution is not None]
        return max(sizes, key=lambda size: size[0] * size[1]) if sizes else self.modelspec.resolution

    @property
    def batch_size(self) -> int | None:
        """Images in one step on one device."""
        for name in ("batch_size_per_device", "total_batch_size"):
            if self._int(name) is not None:
                return self._int(name)
        return next((each.batch_size for each in self.datasets if each.batch_size is not None), None)

    @property
    def clip_skip(self) -> int | None:
        """Text encoder layer counted from the end."""
        found = self._int("clip_skip")
        return self.modelspec.encoder_layer if found is None else found

    @property
    def noise_offset(self) -> float | None:
        """Noise offset of the run."""
        return self._float("noise_offset")

    @property
    def min_snr_gamma(self) -> float | None:
        """Min-SNR loss weighting of the run."""
        return self._float("min_snr_gamma")

    @property
    def mixed_precision(self) -> str | None:
        """Number type of the computation: `no`, `fp16`, `bf16`."""
        return self._text("mixed_precision")

    @property
    def started_at(self) -> float | None:
        """Begin of the run in seconds since 1970, UTC."""
        return self._float("training_started_at")

    @property
    def finished_at(self) -> float | None:
        """End of the run in seconds since 1970, UTC."""
        return self._float("training_finished_at")

    @property
    def comment(self) -> str | None:
        """What the author wrote about the run."""
        return self._text("training_comment")

    @property
    def v_parameterization(self) -> bool | None:
        """Whether the model predicts velocity instead of noise."""
        said = self._bool("v_parameterization")
        if said is None and self.modelspec.prediction_type:
            return self.modelspec.prediction_type.lower() in ("v", "v_prediction", "v-prediction")
        if said is None and self.base_model_version in ("sd_v1_v", "sd_v2_v"):
            return True
        return said

    @property
    def zero_terminal_snr(self) -> bool | None:
        """Whether the noise schedule ends in pure noise."""
        return self._bool("zero_terminal_snr")
