"""What serde_json refuses and Python's json accepts: depth, half surrogate pairs, numbers out of range."""

from __future__ import annotations

import math
import re
from typing import Final

from registry.formats.header import MAX_U64

MAX_DEPTH: Final = 127
"""Deepest nesting serde_json reads: its recursion limit of 128 leaves 127 levels."""

_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_NUMBER: Final = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")


class OutOfRangeError(ValueError):
    """A number does not fit a double."""


def depth_exceeds(text: str, limit: int) -> bool:
    """Tell whether brackets outside strings nest deeper than `limit`."""
    depth = 0
    for match in _TOKEN.finditer(text):
        match text[match.start()]:
            case "[" | "{":
                depth += 1
                if depth > limit:
                    return True
            case "]" | "}":
                depth -= 1
            case _:
                pass
    return False


def has_lone_surrogate(text: str) -> bool:
    """Tell whether an escape in valid JSON is half of a surrogate pair without its other half."""
    waiting_until = -1
    for match in _ESCAPE.finditer(text):
        code = int(match[1], 16) if match[1] else 0
        is_low = 0xDC00 <= code < 0xE000
        if waiting_until >= 0 and not (is_low and match.start() == waiting_until):
            return True
        if is_low and waiting_until < 0:
            return True
        waiting_until = match.end() if 0xD800 <= code < 0xDC00 else -1
    return waiting_until >= 0


def first_object(text: str, start: int) -> str:
    """Return the bracketed text that begins at `start`, or all that follows where it is not closed."""
    depth = 0
    for match in _TOKEN.finditer(text, start):
        char = text[match.start()]
        if char in "[{":
            depth += 1
        elif char in "]}":
            depth -= 1
            if depth <= 0:
                return text[start : match.end()]
    return text[start:]


def check_range(written: str) -> None:
    """Raise `OutOfRangeError` where serde_json does, whose arithmetic rounds differently from Python's."""
    match = _NUMBER.fullmatch(written)
    whole, fraction, power = match.groups() if match else ("0", None, None)
    significand, exponent = 0, 0
    for place, digit in enumerate(whole):
        grown = significand * 10 + int(digit)
        if grown > MAX_U64:
            exponent = len(whole) - place
            break
        significand = grown
    fraction = fraction or ""
    if significand == 0:
        shorter = fraction.lstrip("0")
        exponent, fraction = len(shorter) - len(fraction), shorter
    for digit in fraction:
        grown = significand * 10 + int(digit)
        if grown > MAX_U64:
            break
        significand, exponent = grown, exponent - 1
    if significand == 0:
        return
    digits = (power or "0").lstrip("+-0")
    sign = -1 if (power or "").startswith("-") else 1
    exponent += sign * (int(digits or "0") if len(digits) < 10 else 10**10)
    # Negative powers only make a number smaller, and no significand is too large by itself.
    if exponent > 308 or (exponent > 0 and math.isinf(float(significand) * float(f"1e{exponent}"))):
        raise OutOfRangeError("A number is out of range")
