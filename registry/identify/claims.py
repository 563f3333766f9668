"""What the metadata of a file say of its base model; they are believed only where weights leave a choice."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.identify.names import (
    ALIASES,
    CHECKPOINT_HASHES,
    CLAIM_KEYS,
    HASH_KEYS,
    NOT_ALIASES,
    TITLE_KEYS,
    VARIANT_KEYS,
    VARIANT_PAIRS,
    WORD_VARIANTS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.identify.rows import WordVariant

_OTHER = re.compile(r"[^a-z0-9]+")
_MAX_TEXT = 400
_MAX_JSON = 1 << 18
_SHOWN = 60


class Claim(NamedTuple):
    """An architecture that metadata name, and where."""

    key: str
    value: str
    architecture: str


def folded(text: str) -> str:
    """Bring a spelling to lower case with single hyphens between runs of letters and digits."""
    return _OTHER.sub("-", text[:_MAX_TEXT].lower()).strip("-")


def shown(text: str) -> str:
    """Cut a foreign string to a length fit for a sentence, without control characters."""
    plain = "".join(char if char.isprintable() else "?" for char in text[:_SHOWN])
    return plain if len(text) <= _SHOWN else f"{plain}..."


def architecture_of(text: str) -> str | None:
    """Read the name of a base model in any known spelling; `None` if there is none in it."""
    return _architecture_of(text[:_MAX_TEXT])


@lru_cache(maxsize=1024)
def _architecture_of(text: str) -> str | None:
    for candidate in (text, text.partition("/")[2], text.rpartition("/")[2]):
        spelling = folded(candidate)
        if any(_starts(spelling, other) for other in NOT_ALIASES):
            return None
        while spelling:
            if spelling in ALIASES:
                return ALIASES[spelling]
            spelling = spelling.rpartition("-")[0]
    return None


def _starts(spelling: str, alias: str) -> bool:
    return spelling == alias or spelling.startswith(f"{alias}-")


def claims(metadata: Mapping[str, str]) -> list[Claim]:
    """List what the metadata claim the base model to be, the most trusted first."""
    found: list[Claim] = []
    for key in CLAIM_KEYS:
        value = metadata.get(key)
        if isinstance(value, str) and value:
            architecture = architecture_of(value)
            if architecture is not None:
                found.append(Claim(key, value, architecture))
    if metadata.get("ss_v2") == "True":
        found.append(Claim("ss_v2", "True", "sd2"))
    for key in HASH_KEYS:
        known = CHECKPOINT_HASHES.get(str(metadata.get(key, "")).lower())
        if known is not None:
            found.append(Claim(key, str(metadata[key]), known[0]))
    if metadata.get("ss_v2") == "False" and "ss_base_model_version" not in metadata:
        found.append(Claim("ss_v2", "False", "sd15"))
    return found


def base_model(metadata: Mapping[str, str], architecture: str, size_variant: str | None) -> str | None:
    """Name the variant of a decided architecture, by checkpoint hashes, words and widths, or `None`."""
    for key in HASH_KEYS:
        known = CHECKPOINT_HASHES.get(str(metadata.get(key, "")).lower())
        if known is not None and known[0] == architecture:
            return known[1]
    rows = [row for row in WORD_VARIANTS if row.architecture == architecture]
    word = (
        _variant(metadata, VARIANT_KEYS, [row for row in rows if not row.general])
        or _variant(metadata, TITLE_KEYS, [row for row in rows if row.in_title])
        or _variant(metadata, VARIANT_KEYS, [row for row in rows if row.general])
    )
    if word is None or size_variant is None:
        return word or size_variant
    return VARIANT_PAIRS.get((word, size_variant), size_variant)


def _variant(metadata: Mapping[str, str], keys: tuple[str, ...], rows: Sequence[WordVariant]) -> str | None:
    texts = [f"-{folded(metadata[key])}" for key in keys if isinstance(metadata.get(key), str)]
    for row in rows if texts else ():
        start = "" if row.within else "-"
        if any(f"{start}{word}" in text for word in row.words for text in texts):
            return row.variant
    return None


def network_alpha(metadata: Mapping[str, str]) -> float | None:
    """Read alpha from the metadata of kohya or PEFT; `None` where it is not told or not one number."""
    alpha = _number(metadata.get("ss_network_alpha"))
    if alpha is None:
        alpha = _number(_adapter_config(metadata, "lora_alpha"))
    return alpha


def network_dim(metadata: Mapping[str, str]) -> int | None:
    """Read the rank from the metadata of kohya or PEFT, for files whose shapes are not known."""
    dim = _number(metadata.get("ss_network_dim"))
    if dim is None:
        dim = _number(_adapter_config(metadata, "r"))
    return int(dim) if dim is not None and dim > 0 and dim == int(dim) else None


def network_algorithm(metadata: Mapping[str, str]) -> str | None:
    """Read the `algo` of LyCORIS from the arguments of the network."""
    arguments = _parsed(metadata.get("ss_network_args"))
    algorithm = arguments.get("algo")
    return algorithm.lower() if isinstance(algorithm, str) else None


def _adapter_config(metadata: Mapping[str, str], field: str) -> Any:
    config = _parsed(metadata.get("lora_adapter_metadata"))
    return next((value for key, value in config.items() if key.rpartition(".")[2] == field), None)


def _parsed(text: Any) -> dict[str, Any]:
    if not isinstance(text, str) or not text.startswith("{") or len(text) > _MAX_JSON:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 1e9 else None
