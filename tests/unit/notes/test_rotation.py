"""Which archives are kept."""

from __future__ import annotations

import datetime as dt

from registry.notes.rotation import day_of, name_of, superseded


def names(last: str, count: int) -> list[str]:
    day = dt.date.fromisoformat(last)
    return [name_of(day - dt.timedelta(days=back)) for back in range(count)]


def test_seven_days_four_weeks_and_twelve_months_are_kept() -> None:
    every = names("2026-03-18", 800)
    kept = sorted(set(every) - set(superseded(every)), reverse=True)
    assert kept == [
        *names("2026-03-18", 7),
        *(name_of(dt.date(2026, month, day)) for month, day in ((3, 11), (3, 8), (3, 1), (2, 22))),
        "notes-2026-02-21.zip",
        "notes-2026-01-31.zip",
        *(name_of(dt.date(2025, 12, 31).replace(month=m, day=d)) for m, d in _ENDS),
    ]


_ENDS = [(12, 31), (11, 30), (10, 31), (9, 30), (8, 31), (7, 31), (6, 30), (5, 31), (4, 30), (3, 31)]


def test_what_is_not_an_archive_of_a_day_is_left_alone() -> None:
    others = [
        "notes.zip",
        "forgotten-20260101T000000Z.zip",
        "notes-2026-13-01.zip",
        "notes-2026-01-01.zip.bak",
    ]
    assert [day_of(name) for name in others] == [None] * 4
    assert superseded([*others, *names("2026-03-18", 7)]) == []
