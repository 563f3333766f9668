"""Numbers, sizes and dates as people write them: text to exact numbers, and back.

Sizes count in 1,024s. Dates are UTC, in milliseconds since the epoch; `2024`, `2024-05` and `2024-05-17` are
whole periods.
"""

from __future__ import annotations

import calendar
import datetime as dt
import math
import re
from fractions import Fraction
from typing import Final, NamedTuple

SECOND: Final = 1_000
DAY: Final = 86_400 * SECOND
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
UNITS: Final = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}

# As long as any number that means something; a longer one would take long to calculate with.
_PLAIN = r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})"
_NUMBER = re.compile(_PLAIN + r"(?:e[+-]?[0-9]{1,3})?")
_SIZE = re.compile(f"({_PLAIN})(?:([kmgt])(?:i?b)?|(b))?")
_SIDES = re.compile(r"([0-9]{1,18})[x\u00d7]([0-9]{1,18})")
_DATE = re.compile(
    r"([0-9]{4})(?:[-/]([0-9]{1,2})(?:[-/]([0-9]{1,2})"
    r"(?:t([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,3}))?)?z?)?)?)?"
)
_AGO = re.compile(r"-([0-9]{1,4})([dwmy])")
_DAYS: Final = {"d": 1, "w": 7}
_MONTHS: Final = {"m": 1, "y": 12}


class Period(NamedTuple):
    """A time from its first millisecond to its last."""

    first: int
    last: int


class Size(NamedTuple):
    """A number of bytes; `step` is the unit of the last digit that was written."""

    value: Fraction
    step: Fraction
    unit: str | None


def read_number(text: str) -> Fraction | None:
    """Return the exact value of a number, `None` if the text is none."""
    return Fraction(text) if _NUMBER.fullmatch(text) else None


def read_float(text: str) -> float | None:
    """Return the finite float that is nearest to a number, `None` if there is none."""
    found = float(text) + 0.0 if _NUMBER.fullmatch(text) else math.inf
    return found if math.isfinite(found) else None


def comparable(number: float) -> float | None:
    """Return a number to 15 digits, which is how exactly numbers are compared; `None` if it is not finite.

    The engine reads the 16th and 17th digit from JSON a little wrong.
    """
    try:
        found = float(f"{float(number):.15g}")
    except OverflowError:
        return None
    return found + 0.0 if math.isfinite(found) else None


def read_sides(text: str) -> str | None:
    """Return `WxH` as it is compared, `None` if the text is something else."""
    found = _SIDES.fullmatch(text)
    return f"{int(found.group(1))}x{int(found.group(2))}" if found else None


def read_size(text: str) -> Size | None:
    """Return a number of bytes, written with a unit or without."""
    found = _SIZE.fullmatch(text)
    if not found:
        return None
    unit = f"{found.group(2)}b" if found.group(2) else found.group(3)
    factor = UNITS[unit or "b"]
    decimals = len(found.group(1).partition(".")[2])
    return Size(Fraction(found.group(1)) * factor, Fraction(factor, 10**decimals), unit)


def read_date(text: str) -> Period | None:
    """Return the period that a date means, `None` if the text is no date."""
    found = _DATE.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part) if part else None for part in found.groups()[:6])
    millis = found.group(7)
    try:
        date = dt.date(year or 0, 1 if month is None else month, 1 if day is None else day)
        clock = dt.time(hour or 0, minute or 0, second or 0)
    except ValueError:
        return None
    first = _midnight(date) + ((clock.hour * 60 + clock.minute) * 60 + clock.second) * SECOND
    if hour is not None:
        first += int(millis.ljust(3, "0")) if millis else 0
        length = 1 if millis else SECOND if second is not None else 60 * SECOND
    elif day is not None:
        length = DAY
    elif month is not None:
        length = calendar.monthrange(date.year, month)[1] * DAY
    else:
        length = (366 if calendar.isleap(date.year) else 365) * DAY
    return Period(first, first + length - 1)


def read_ago(text: str, now: int) -> int | None:
    """Return the moment that `-7d`, `-2w`, `-3m` or `-1y` mean, `None` if the text or moment is none."""
    found = _AGO.fullmatch(text)
    if not found:
        return None
    amount, unit = int(found.group(1)), found.group(2)
    if unit in _DAYS:
        return now - amount * _DAYS[unit] * DAY
    days, clock = divmod(now, DAY)
    try:
        today = dt.date.fromordinal(_EPOCH + days)
        year, month = divmod(today.year * 12 + today.month - 1 - amount * _MONTHS[unit], 12)
        last = calendar.monthrange(year, month + 1)[1]
        return _midnight(dt.date(year, month + 1, min(today.day, last))) + clock
    except (ValueError, OverflowError):
        return None


def _midnight(date: dt.date) -> int:
    return (date.toordinal() - _EPOCH) * DAY


DATES: Final = range(_midnight(dt.date.min), _midnight(dt.date.max) + DAY)
"""The moments that can be written."""


def period_text(low: int, high: int) -> str | None:
    """Return the year, month or day from one moment to another, `None` if they are none."""
    day = _day(low)
    return next((text for text in (day[:4], day[:7], day) if read_date(text) == (low, high)), None)


def moment_text(moment: int, *, ends: bool = False) -> str:
    """Return the day that begins (or `ends`) with a moment, or the moment in full."""
    clock = DAY - 1 if ends else 0
    return _day(moment) if moment % DAY == clock else instant_text(moment)


def instant_text(moment: int) -> str:
    """Return a moment in full."""
    seconds, millis = divmod(moment % DAY, SECOND)
    return f"{_day(moment)}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{millis:03}Z"


def _day(moment: int) -> str:
    return dt.date.fromordinal(_EPOCH + moment // DAY).isoformat()


def number_text(number: float) -> str:
    """Return the shortest text that is read as the same number."""
    whole = isinstance(number, int) or (number.is_integer() and abs(number) < 1e15)
    return str(int(number)) if whole else repr(number)


def size_text(size: int) -> str:
    """Return a number of bytes exactly, with the largest unit that needs no decimals."""
    unit = next(name for name, factor in reversed(UNITS.items()) if size % factor == 0)
    return f"{size // UNITS[unit]}{unit}" if size else "0b"


def size_edge(size: int, outwards: int) -> tuple[int, bool]:
    """Return a bound as it was likely written, and whether that is just outside: 1 up or down."""
    near = size + outwards
    return (near, True) if size % UNITS["kb"] and near % UNITS["kb"] == 0 else (size, False)


def around(size: Size) -> tuple[int, int]:
    """Return the sizes that are this one when rounded to its last digit, from the first to the last."""
    half = size.step / 2 if UNITS[size.unit or "b"] > 1 else Fraction(0)
    low = math.ceil(size.value - half)
    return low, max(low, math.ceil(size.value + half) - 1)


def around_text(low: int, high: int) -> str | None:
    """Return the size with a unit that means just these when rounded, `None` if there is none."""
    middle = (low + high + 1) // 2
    for unit, factor in reversed(UNITS.items()):
        found = Size(Fraction(middle), Fraction(factor), unit)
        if factor > 1 and middle % factor == 0 and around(found) == (low, high):
            return f"{middle // factor}{unit}"
    return None
