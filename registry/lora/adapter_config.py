"""The alpha of adapters that keep it beside their tensors: `lora_adapter_metadata` of diffusers and PEFT.

A JSON object of LoraConfig fields, each under the component of the pipeline it is for (`unet.lora_alpha`);
huggingface/diffusers src/diffusers/loaders/lora_base.py, huggingface/peft src/peft/tuners/lora/config.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from registry.formats.values import OddValueError, json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY: Final = "lora_adapter_metadata"
# The part of a model for each component.
_COMPONENTS: Final = {
    "unet": "unet",
    "transformer": "unet",
    "text_encoder": "te1",
    "text_encoder_2": "te2",
    "text_encoder_3": "te3",
}


class Alphas:
    """What the configuration beside the tensors says of alpha; of no file at all by default."""

    def __init__(self, metadata: Mapping[str, str] | None = None) -> None:
        self._usual: dict[str, float] = {}
        self._named: dict[str, dict[str, float]] = {}
        try:
            config = json_object((metadata or {}).get(KEY, "")) or {}
        except OddValueError:
            return
        for component, part in _COMPONENTS.items():
            alpha, rank = (_number(config.get(f"{component}.{name}")) for name in ("lora_alpha", "r"))
            if alpha is None or rank is None or rank <= 0:
                continue
            # With this option the change is alpha by the root of the rank.
            factor = math.sqrt(rank) if config.get(f"{component}.use_rslora") is True else 1.0
            self._usual.setdefault(part, alpha * factor)
            named = config.get(f"{component}.alpha_pattern")
            if isinstance(named, dict):
                # Patterns may be expressions; those of strangers are not run, plain names are all there are.
                found = {
                    str(name).replace(".", "_"): number * factor
                    for name, each in named.items()
                    if (number := _number(each)) is not None
                }
                self._named.setdefault(part, found)

    def of(self, part: str, written: str) -> float | None:
        """Return the alpha of a layer, `None` where nothing is said of it."""
        for name, alpha in self._named.get(part, {}).items():
            if written == name or written.endswith(f"_{name}"):
                return alpha
        return self._usual.get(part)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
