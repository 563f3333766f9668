"""What is asked to be drawn, and what drawing it would be. Pure values that cross rooms."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

from registry.errors import BadRequest

SEED: Final = 1234
NEGATIVE: Final = "lowres, blurry, bad anatomy, watermark, text"
FIRST, NEXT = 10, 0
"""Priorities: of what somebody waits for, and of what is for later."""
_TIME: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Asking:
    """What is to be drawn: loras by their ids, or the base model alone, and how; see `registry.render.plan`.

    Without a `prompt` each has its own; `prompts` are drawn beside it. `base` names a base model of the
    settings, or is one itself; with `bases` everything is drawn on each of these. `ends_at` is when what is
    left is left, in milliseconds. `start` is the key of a picture to begin with.
    """

    loras: tuple[int, ...] = ()
    architecture: str = ""
    base: str = ""
    bases: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    seeds: tuple[int, ...] = (SEED,)
    prompt: str | None = None
    prompts: tuple[str, ...] = ()
    house: bool = False
    negative: str = NEGATIVE
    size: tuple[int, int] | None = None
    steps: int = 20
    sampler: str = "DPM++ 2M"
    cfg: float = 7.0
    draft: bool = False
    start: str | None = None
    denoise: float = 0.75
    priority: int = NEXT
    ends_at: int | None = None
    webhook: str | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """A lora of which no picture is drawn, and why."""

    lora_id: int
    name: str
    slug: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What drawing would be: pictures, those that are there already, how long it takes, and what is left out.

    `seconds` is `None` where nobody knows yet how fast the renderer is.
    """

    pictures: int
    there: int
    seconds: float | None
    left: tuple[Left, ...]
    left_out: int


def next_time(text: str, now: int) -> int:
    """Return when it is this time of day next (`07:00`) by the clock of this machine, in milliseconds.

    `now` is in milliseconds too. Raises BadRequest for what is no time of day.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise BadRequest(f"{text.strip()[:_SHOWN]!r} is no time of day", remedy="for example 07:00")
    begun = dt.datetime.fromtimestamp(now / 1000, dt.UTC).astimezone()
    end = begun.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    if end <= begun:
        end += dt.timedelta(days=1)
    return int(end.timestamp() * 1000)
