"""What is asked to be drawn, and what drawing it would be. Pure values that cross rooms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SEED: Final = 1234
NEGATIVE: Final = "lowres, blurry, bad anatomy, watermark, text"
FIRST, NEXT = 10, 0
"""Priorities: of what somebody waits for, and of what is for later."""


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
