"""The text that A1111 and its kin write into pictures: prompt, negative prompt, a line of parameters.

Rules: AUTOMATIC1111 modules/processing.py (create_infotext) and modules/infotext_utils.py (quote,
parse_generation_parameters), extensions-builtin/Lora (`Lora hashes`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NEGATIVE: Final = "Negative prompt: "
_PAIR: Final = re.compile(r'([\w /+-]{1,100}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_LEAST_PAIRS: Final = 3
_MOST: Final = 1_000_000
_LONGEST: Final = 20_000
"""Characters of a line of parameters; what is longer is none."""
_NAME: Final = re.compile(r"[:,<>\n\r]")


@dataclass(frozen=True, slots=True)
class Infotext:
    """What a picture says of how it was made; `parameters` in their order, all of them texts."""

    prompt: str
    negative: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def write_infotext(told: Infotext) -> str:
    """Return the text; values with a comma, a colon or a line break are quoted."""
    lines = [told.prompt]
    if told.negative:
        lines.append(_NEGATIVE + told.negative)
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in told.parameters.items()))
    return "\n".join(lines)


def read_infotext(text: str) -> Infotext:
    """Read such a text, of strangers too; a last line of less than three parameters belongs to a prompt."""
    lines = text[:_MOST].strip().split("\n")
    parameters: dict[str, str] = {}
    pairs = _PAIR.findall(lines[-1]) if len(lines[-1]) <= _LONGEST else []
    if len(pairs) >= _LEAST_PAIRS:
        lines.pop()
        for name, value in pairs:
            parameters.setdefault(name.strip(), _unquoted(value.strip()))
    prompt: list[str] = []
    negative: list[str] = []
    filled = prompt
    for line in lines:
        if line.startswith(_NEGATIVE.rstrip()) and filled is prompt:
            filled = negative
            filled.append(line.removeprefix(_NEGATIVE.rstrip()).strip())
        else:
            filled.append(line.strip())
    return Infotext("\n".join(prompt).strip(), "\n".join(negative).strip(), parameters)


def lora_tag(name: str, weight: float) -> str:
    """Return what names a lora in a prompt."""
    return f"<lora:{plain_name(name)}:{weight:g}>"


def plain_name(name: str) -> str:
    """Return the name of a lora as prompts and `Lora hashes` can hold it."""
    return _NAME.sub("", name).strip()


def lora_hashes(loras: Iterable[tuple[str, str]]) -> str:
    """Return the value of `Lora hashes` for names with the SHA-256 of their weights: 12 digits each count."""
    return ", ".join(f"{plain_name(name)}: {digest[:12]}" for name, digest in loras)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r'[,:\n"]', value) else value


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, str) else value
