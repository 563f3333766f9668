"""Parsers of single metadata values: text in, typed value out, `OddValueError` where the text is not one.

Trainers write `str(value)` of Python values (kohya-ss/sd-scripts, library/train_util.py): "None", "True",
"5e-05", "(768, 512)", "[5e-05, 5e-05]". Nothing here trusts a text to be short or a number to be small.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_INT: Final = 2**63 - 1
MAX_JSON: Final = 64_000_000
_SHOWN: Final = 60

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,20}(?:\.0{1,20})?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,4})?")
_SEPARATOR: Final = re.compile(r"\s{0,9}[,xX\u00d7]\s{0,9}|\s{1,9}")
_BOOLEANS: Final[Mapping[str, bool]] = {
    "True": True,
    "False": False,
    "true": True,
    "false": False,
    "1": True,
    "0": False,
}


class OddValueError(ValueError):
    """A value is not what its key promises; the text completes "KEY is ..."."""


def quoted(text: str) -> str:
    """Return foreign text short, quoted and with odd characters escaped, for use in a sentence."""
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def text(value: str) -> str | None:
    """Return the text, or `None` for Python's "None"."""
    return None if value == "None" else value


def whole(value: str) -> int | None:
    """Return a whole number that fits 64 bits, also written as `12.0`; `None` for "None" and ""."""
    if value in ("None", "null", ""):
        return None
    if not _WHOLE.fullmatch(value):
        raise OddValueError(f"{quoted(value)}, not a whole number")
    number = int(value.partition(".")[0])
    if not -MAX_INT <= number <= MAX_INT:
        raise OddValueError(f"{quoted(value)}, too large a number")
    return number


def number(value: str) -> float | None:
    """Return a finite number; `None` for "None" and ""."""
    if value in ("None", "null", ""):
        return None
    if not _NUMBER.fullmatch(value):
        raise OddValueError(f"{quoted(value)}, not a number")
    found = float(value)
    if not math.isfinite(found):
        raise OddValueError(f"{quoted(value)}, too large a number")
    return found


def boolean(value: str) -> bool | None:
    """Return a truth value; `None` for "None" and ""."""
    if value in ("None", "null", ""):
        return None
    try:
        return _BOOLEANS[value]
    except KeyError:
        raise OddValueError(f"{quoted(value)}, neither True nor False") from None


def steps_or_ratio(value: str) -> int | float | None:
    """Return an int where a whole number is written, otherwise a float, as for warm-up steps."""
    return whole(value) if value.removeprefix("-").isdigit() else number(value)


def dimension(value: str) -> int | str | None:
    """Return a rank: a whole number, or "Dynamic" as kohya's resize_lora.py writes it."""
    return value if value == "Dynamic" else whole(value)


def scale(value: str) -> float | str | None:
    """Return an alpha: a number, or "Dynamic"."""
    return value if value == "Dynamic" else number(value)


def numbers(value: str) -> tuple[float | None, ...] | float | None:
    """Return one number, or a tuple for a Python list or tuple such as "[5e-05, 5e-05]"."""
    inside = _unbracketed(value)
    if inside is None and "," in value:
        inside = value
    if inside is None:
        return number(value)
    if len(inside) > 10_000:
        raise OddValueError(f"{quoted(value)}, too long a list")
    return tuple(number(part.strip()) for part in inside.split(",") if part.strip())


def size(value: str) -> tuple[int, int] | None:
    """Return (width, height) from "(768, 512)", "768x512", "768,512" or, for a square, "512"."""
    if value in ("None", "null", ""):
        return None
    if len(value) > 64:
        raise OddValueError(f"{quoted(value)}, not a width and a height")
    inside = _unbracketed(value)
    parts = [part for part in _SEPARATOR.split((value if inside is None else inside).strip()) if part]
    if len(parts) not in (1, 2):
        raise OddValueError(f"{quoted(value)}, not a width and a height")
    width, height = whole(parts[0]), whole(parts[-1])
    if not width or not height or width < 0 or height < 0:
        raise OddValueError(f"{quoted(value)}, not a width and a height")
    return width, height


def json_value(value: str) -> object:
    """Return what a JSON text says; tolerates NaN and lone surrogates, bounds size, depth and digits."""
    try:
        return orjson.loads(value)
    except ValueError:
        pass
    if len(value) > MAX_JSON:
        raise OddValueError("too long a JSON text")
    try:
        return json.loads(value, parse_int=_bounded_int, strict=False)
    except (ValueError, RecursionError) as error:
        raise OddValueError(f"{quoted(value)}, not JSON") from error


def json_object(value: str) -> Mapping[str, object] | None:
    """Return a JSON object, or `None` for "null", "None" and ""."""
    if value in ("None", "null", ""):
        return None
    found = json_value(value)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise OddValueError(f"{quoted(value)}, not a JSON object")
    return found


def as_int(value: object) -> int | None:
    """Return a JSON number that is whole and fits 64 bits as an int, anything else as `None`."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        value = int(value) if math.isfinite(value) and value.is_integer() else None
    return value if isinstance(value, int) and -MAX_INT <= value <= MAX_INT else None


def as_float(value: object) -> float | None:
    """Return a finite JSON number as a float, anything else as `None`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def as_size(value: object) -> tuple[int, int] | None:
    """Return (width, height) from a JSON list of two, or one positive number for a square."""
    found = value if isinstance(value, list) else [value, value]
    sides = [as_int(side) for side in found]
    if len(sides) != 2 or not sides[0] or not sides[1] or min(sides[0], sides[1]) < 0:
        return None
    return sides[0], sides[1]


def is_shallow(value: object, levels: int) -> bool:
    """Tell whether decoded JSON nests at most `levels` deep, so that it can be walked without care."""
    if isinstance(value, dict):
        return levels > 0 and all(is_shallow(item, levels - 1) for item in value.values())
    if isinstance(value, list):
        return levels > 0 and all(is_shallow(item, levels - 1) for item in value)
    return True


def _unbracketed(value: str) -> str | None:
    pair = value[:1] + value[-1:]
    return value[1:-1] if pair in ("()", "[]") and len(value) > 1 else None


def _bounded_int(written: str) -> int | float:
    if len(written) <= 20 and -MAX_INT <= int(written) <= MAX_INT:
        return int(written)
    return float(written) if len(written) < 300 else math.inf
