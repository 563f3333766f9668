"""Stability AI's ModelSpec keys (Stability-AI/ModelSpec, version 1.0.1), all of them optional here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from registry.formats.values import OddValueError, boolean, numbers, size, whole
from registry.views import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX: Final = "modelspec."
MAX_KEPT: Final = 65_536


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What an author says about a model; `date` is as written, usually local time without a zone.

    `has_thumbnail` stands for the embedded picture, `other` holds keys that the specification does not know.
    """

    sai_model_spec: str | None = None
    architecture: str | None = None
    implementation: str | None = None
    implementation_version: str | None = None
    title: str | None = None
    description: str | None = None
    author: str | None = None
    date: str | None = None
    hash_sha256: str | None = None
    license: str | None = None
    usage_hint: str | None = None
    trigger_phrase: str | None = None
    prediction_type: str | None = None
    preprocessor: str | None = None
    unet_dtype: str | None = None
    vae_dtype: str | None = None
    data_format: str | None = None
    format_type: str | None = None
    language: str | None = None
    format_template: str | None = None
    resolution: tuple[int, int] | None = None
    timestep_range: tuple[float | None, ...] | None = None
    encoder_layer: int | None = None
    is_negative_embedding: bool | None = None
    tags: tuple[str, ...] = ()
    merged_from: tuple[str, ...] = ()
    has_thumbnail: bool = False
    other: Mapping[str, str] = field(default_factory=dict)


def _list(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.replace("，", ",").split(",") if part.strip())


def _range(value: str) -> tuple[float | None, ...]:
    found = numbers(value if value[:1] in "([" else f"({value})")
    return found if isinstance(found, tuple) else (found,)


_PARSERS: Final[Mapping[str, Callable[[str], object]]] = {
    "resolution": size,
    "timestep_range": _range,
    "encoder_layer": whole,
    "is_negative_embedding": boolean,
    "tags": _list,
    "merged_from": _list,
}
_TEXTS: Final = frozenset(
    name for name in ModelSpec.__dataclass_fields__ if name not in {*_PARSERS, "has_thumbnail", "other"}
)


def read_modelspec(metadata: Mapping[str, str], notes: list[Note]) -> ModelSpec:
    """Read all `modelspec.` keys; what is odd is added to `notes`."""
    known: dict[str, object] = {}
    other: dict[str, str] = {}
    for key, value in metadata.items():
        if not key.startswith(PREFIX):
            continue
        name = key[len(PREFIX) :]
        if name in _TEXTS:
            known[name] = value
        elif name in _PARSERS:
            try:
                known[name] = _PARSERS[name](value)
            except OddValueError as error:
                notes.append(Note("odd-value", f"{key} is {error}."))
        elif name == "thumbnail":
            known["has_thumbnail"] = bool(value)
        elif len(value) <= MAX_KEPT:
            other[name] = value
    return ModelSpec(**known, other=other)  # type: ignore[arg-type] # the tables above pair names and types
