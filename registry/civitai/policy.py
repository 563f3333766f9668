"""What is to be asked (again), and when: pure, from what asking came to before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.asked import BEGUN, FAILED, GONE, NOT_FOUND

if TYPE_CHECKING:
    from registry.asked import Asked

DAY: Final = 86_400_000
"""Milliseconds."""

NEVER: Final = "never"
STALE: Final = "stale"
RETRY: Final = "retry"
UNFINISHED: Final = "unfinished"
FORCED: Final = "forced"
REASONS: Final = (NEVER, STALE, RETRY, UNFINISHED, FORCED)
JUST_NOW: Final = 3_600_000
"""Everything asked again leaves out what was asked so shortly before, in a run that was cut off."""

# (published within so many days, asked again after so many): authors add to what is young.
_TIERS: Final = ((30, 1), (180, 7))
_OLD: Final = 30
_GONE_DAYS: Final = (7, 30, 90)
# State -> after how many days it is tried again, the first time, the second ...
_RETRIED: Final = {FAILED: (0,), NOT_FOUND: (1, 3, 9, 27, 81), GONE: _GONE_DAYS}
# What was begun so long ago has to be asked anew.
_UNFINISHED_DAYS: Final = 1


def due(asked: Asked | None, now: int, *, everything: bool = False) -> str | None:
    """Return why a file is to be asked for at `now`, `None` if it is not; times in milliseconds.

    `unfinished` is what an earlier run left half-way: it goes on where that stopped.
    """
    if asked is None:
        return NEVER
    age = max(0, now - asked.asked_at)
    if asked.state in BEGUN:
        return UNFINISHED if age < _UNFINISHED_DAYS * DAY else STALE
    if everything and age >= JUST_NOW:
        return FORCED
    state = NOT_FOUND if asked.archived else asked.state
    if state in _RETRIED:
        return RETRY if age >= _step(_RETRIED[state], asked.tries) else None
    return STALE if age >= fresh_for(asked.published_at, now) else None


def model_due(
    checked_at: int | None, newest_at: int | None, now: int, *, gone: bool = False, everything: bool = False
) -> bool:
    """Whether a model is to be fetched: never fetched, or so long ago that it may have a new version."""
    if checked_at is None:
        return True
    age = now - checked_at
    if everything:
        return age >= JUST_NOW
    return age >= (_GONE_DAYS[1] * DAY if gone else fresh_for(newest_at, now))


def image_due(tries: int, tried_at: int, now: int, *, everything: bool = False) -> bool:
    """Whether a picture that could not be had so often in a row is to be asked for again."""
    return now - tried_at >= (JUST_NOW if everything else _step(_RETRIED[NOT_FOUND], tries))


def fresh_for(published_at: int | None, now: int) -> int:
    """Return how long an answer about something of that age is taken as it is."""
    age = None if published_at is None else now - published_at
    days = next((after for within, after in _TIERS if age is not None and age < within * DAY), _OLD)
    return days * DAY


def _step(days: tuple[int, ...], tries: int) -> int:
    return days[min(max(tries, 1), len(days)) - 1] * DAY
