"""Training facts that trainers other than sd-scripts write under keys of their own.

Sources: ostris/ai-toolkit (toolkit/metadata.py), bghira/SimpleTuner (save_hooks.py), huggingface/diffusers
(loaders/lora_base.py) and peft (LoraConfig), Nerogar/OneTrainer (TrainConfig.py), cloneofsimo/lora.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from registry.formats.values import OddValueError, as_float, as_int, json_object, whole
from registry.views import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


_Row = tuple[str, str, str, "Callable[[object], object]"]

_FACTS: Final[tuple[_Row, ...]] = (
    ("training_info", "step", "steps", as_int),
    ("training_info", "epoch", "epoch", as_int),
    ("ot_config", "learning_rate", "learning_rate", as_float),
    ("ot_config", "learning_rate_scheduler", "lr_scheduler", _text),
    ("ot_config", "epochs", "num_epochs", as_int),
    ("ot_config", "batch_size", "total_batch_size", as_int),
    ("ot_config", "lora_rank", "network_dim", as_int),
    ("ot_config", "lora_alpha", "network_alpha", as_float),
    ("ot_config", "base_model_name", "sd_model_name", _text),
)
"""JSON key of the metadata, field in it, name of the value it fills, reader."""

_PEFT_FIELDS: Final = (("r", "network_dim", as_int), ("lora_alpha", "network_alpha", as_float))


def fill_from_other_trainers(
    metadata: Mapping[str, str], values: dict[str, object], notes: list[Note]
) -> None:
    """Fill `values` that no `ss_` key gave; what is odd is added to `notes`."""
    for source in ("training_info", "ot_config"):
        facts = _object(metadata, source, notes)
        for key, field, name, read in _FACTS:
            if key == source and field in facts and values.get(name) is None:
                _set(values, name, read(facts[field]))
    if "global_step" in metadata and values.get("steps") is None:
        try:
            values["steps"] = whole(metadata["global_step"])
        except OddValueError as error:
            notes.append(Note("odd-value", f"global_step is {error}."))
    adapter = _object(metadata, "lora_adapter_metadata", notes)
    for field, name, read_number in _PEFT_FIELDS:
        found = [value for key, value in adapter.items() if key.rpartition(".")[2] == field]
        if found and values.get(name) is None:
            _set(values, name, read_number(found[0]))
    if "unet:0:rank" in metadata or "text_encoder:0:rank" in metadata:
        ranks = Counter(value for key, value in metadata.items() if key.endswith(":rank"))
        commonest = ranks.most_common(1)[0][0]
        if values.get("network_dim") is None and commonest.isascii() and commonest.isdigit():
            _set(values, "network_dim", int(commonest) if len(commonest) < 10 else None)


def _set(values: dict[str, object], name: str, value: object) -> None:
    if value is not None:
        values[name] = value


def _object(metadata: Mapping[str, str], key: str, notes: list[Note]) -> Mapping[str, object]:
    written = metadata.get(key)
    if written is None:
        return {}
    try:
        return json_object(written) or {}
    except OddValueError as error:
        notes.append(Note("odd-value", f"{key} is {error}."))
        return {}
