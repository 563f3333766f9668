"""Which of the archives that are written day by day are kept: a function of their names."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

DAILY, WEEKLY, MONTHLY = 7, 4, 12
_NAME: Final = re.compile(r"notes-([0-9]{4})-([0-9]{2})-([0-9]{2})\.zip", re.ASCII)


def name_of(day: dt.date) -> str:
    """Return the name of the archive of a day."""
    return f"notes-{day.isoformat()}.zip"


def day_of(name: str) -> dt.date | None:
    """Return the day of an archive by its name, `None` for other names."""
    found = _NAME.fullmatch(name)
    try:
        return None if found is None else dt.date(*map(int, found.groups()))
    except ValueError:
        return None


def superseded(names: Iterable[str]) -> list[str]:
    """Return the names of the archives that are not kept, oldest first; other names are never among them.

    The newest seven are kept, of older ones the last of each of four weeks, and before these the last of each
    of twelve months.
    """
    days = sorted({day for name in names if (day := day_of(name)) is not None}, reverse=True)
    kept, rest = set(days[:DAILY]), days[DAILY:]
    for most, period in ((WEEKLY, _week), (MONTHLY, _month)):
        last = _last_of_each(rest, period)[:most]
        kept.update(last)
        rest = [day for day in rest if day < last[-1]] if len(last) == most else []
    return [name_of(day) for day in reversed(days) if day not in kept]


def _last_of_each(days: list[dt.date], period: Callable[[dt.date], Hashable]) -> list[dt.date]:
    """Return the first day of each period of days that go backwards."""
    found: dict[Hashable, dt.date] = {}
    for day in days:
        found.setdefault(period(day), day)
    return list(found.values())


def _week(day: dt.date) -> Hashable:
    return day.isocalendar()[:2]


def _month(day: dt.date) -> Hashable:
    return day.year, day.month
