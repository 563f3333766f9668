"""What is to be drawn, decided without drawing: prompts, sizes, weights, cells, batches, and what they take.

Pure. A picture is known by its spec: equal specs have one key, so that what was drawn once is not drawn
again, whoever asks and however the batches fell.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections import defaultdict
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest
from registry.formats.packing import pack_json
from registry.sampling import samplers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registry.drawings import Asking

ENGINE: Final = 1
"""The version of how pictures are drawn; another one makes other pictures of the same spec."""
HOUSE_PROMPT: Final = "portrait of a woman in a garden, soft light, detailed"
"""One prompt for all loras, so that pictures of different ones can be compared."""
SWEEP: Final = (0.0, 0.5, 0.8, 1.0)
MOST_CELLS: Final = 200_000
FULL, DRAFT = "full", "draft"
"""How a picture is drawn; a draft may name after a blank what it is drawn with."""
_SEEDS: Final = 2**32
_WORDS: Final = 60
"""About as many words as the 77 tokens of CLIP have room for."""
_TAGS: Final = 12
_SHARE: Final = 0.15
_TAG: Final = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>", re.IGNORECASE)
# Architecture -> smallest and largest area that it draws well, as sides of a square.
AREAS: Final[Mapping[str, tuple[int, int]]] = {"sd15": (512, 768), "sd2": (512, 768), "sdxl": (768, 1024)}
# Families that only other tools draw work in about the area of SDXL.
_OTHERS: Final = (768, 1024)
_STEP: Final = 64
_WIDEST: Final = 2.0
AXES: Final = ("lora", "weight", "epoch", "prompt", "seed", "base")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of a lora that a picture of it depends on.

    `triggers` are its activation texts, the user's before those of others; `examples` prompts of example
    pictures; `tags` those of its captions with their share of the images, the commonest first; `bucket` and
    `resolution` (width, height) in pixels.
    """

    id: int
    name: str
    data_sha256: str
    architecture: str
    rank: int = 0
    triggers: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    tags: tuple[tuple[str, float], ...] = ()
    bucket: tuple[int, int] | None = None
    resolution: tuple[int, int] | None = None
    preferred_weight: float | None = None
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """One picture, by all that it depends on; without a lora it is the base model's.

    `by` is who draws it, `start` the key of a picture that it begins with, of which `denoise` is drawn anew.
    """

    base: str
    prompt: str
    negative: str
    seed: int
    width: int
    height: int
    steps: int
    sampler: str
    cfg: float
    dtype: str
    lora: str | None = None
    weight: float = 0.0
    vae: str = ""
    mode: str = FULL
    engine: int = ENGINE
    by: str = "local"
    start: str | None = None
    denoise: float = 1.0

    def told(self) -> dict[str, object]:
        """Return all of it by name."""
        return {name: getattr(self, name) for name in _FIELDS}

    def key(self) -> str:
        """Return 32 hex digits that equal pictures share."""
        known = self.told()
        if not self.weight:
            # A lora of no weight is none.
            known |= {"lora": None, "weight": 0.0}
        return hashlib.blake2b(pack_json(known), digest_size=16).hexdigest()


# Copied deep, as `asdict` does it, a hundred thousand of them would take a minute.
_FIELDS: Final = tuple(field.name for field in fields(Spec))


@dataclass(frozen=True, slots=True)
class Way:
    """What pictures are drawn with: a base model and a renderer, and how, `mode` and `dtype`."""

    base: str
    by: str = "local"
    mode: str = FULL
    dtype: str = "float16"


@dataclass(frozen=True, slots=True)
class Planned:
    """A picture of a lora, and where it stands on the axes of a grid."""

    subject: Subject
    spec: Spec
    weight: float


def own_prompt(subject: Subject) -> str:
    """Return what shows a lora best: its triggers, an example, its commonest tags, or its name."""
    if subject.triggers:
        return _short(subject.triggers[0])
    example = next((text for each in subject.examples if (text := _short(_TAG.sub("", each)))), "")
    if example:
        return example
    tags = [tag.replace("_", " ") for tag, share in subject.tags if share >= _SHARE][:_TAGS]
    return _short(", ".join(tags)) or subject.name.replace("_", " ")


def _short(text: str) -> str:
    words = " ".join(text.split()).strip(" ,").split(" ")
    return re.sub(r"(?:\s*,)+", ",", " ".join(words[:_WORDS])).strip(" ,")


def own_size(subject: Subject) -> tuple[int, int]:
    """Return (width, height) as it was trained: the shape of the commonest bucket, in an area that works.

    Multiples of 64.
    """
    limits = AREAS.get(subject.architecture, _OTHERS)
    least, most = (side**2 for side in limits)
    width, height = subject.bucket or subject.resolution or (limits[0], limits[0])
    if width <= 0 or height <= 0:
        width = height = limits[0]
    shape = min(_WIDEST, max(1 / _WIDEST, width / height))
    area = min(most, max(least, width * height))
    sides = (math.sqrt(area * shape), math.sqrt(area / shape))
    found = [max(_STEP, round(side / _STEP) * _STEP) for side in sides]
    while found[0] * found[1] > most:
        found[found.index(max(found))] -= _STEP
    return found[0], found[1]


def cells(subjects: Sequence[Subject], asking: Asking, way: Way) -> list[Planned]:
    """Return every picture that is asked for of these subjects, lora by lora; of one lora equal ones once.

    Raises BadRequest for more than `MOST_CELLS`, and for odd sizes and weights.
    """
    _check(asking, way)
    found: dict[tuple[int, str], Planned] = {}
    draft = way.mode.startswith(DRAFT)
    for subject in subjects:
        own = subject.preferred_weight if subject.preferred_weight is not None else 1.0
        prompts = [own_prompt(subject)] if asking.prompt is None else [asking.prompt]
        prompts += [*asking.prompts, *([HOUSE_PROMPT] if asking.house else [])]
        width, height = asking.size or own_size(subject)
        for prompt, weight, seed in itertools.product(prompts, asking.weights or (own,), asking.seeds):
            spec = Spec(
                base=way.base,
                prompt=prompt,
                negative=asking.negative,
                seed=seed,
                width=width,
                height=height,
                steps=4 if draft else asking.steps,
                sampler="LCM" if draft else asking.sampler,
                cfg=1.0 if draft else asking.cfg,
                dtype=way.dtype,
                lora=subject.data_sha256 or None,
                weight=weight if subject.data_sha256 else 0.0,
                mode=way.mode,
                by=way.by,
                start=asking.start,
                denoise=asking.denoise if asking.start else 1.0,
            )
            found.setdefault((subject.id, spec.key()), Planned(subject, spec, weight))
            if len(found) > MOST_CELLS:
                raise BadRequest(
                    f"these are more than {MOST_CELLS:,} pictures",
                    remedy="ask for fewer loras, weights or seeds at once",
                )
    return list(found.values())


def _check(asking: Asking, way: Way) -> None:
    if asking.size is not None and any(side % 8 or not _STEP <= side <= 2048 for side in asking.size):
        raise BadRequest("sides of pictures are multiples of 8 from 64 to 2,048")
    if any(not (math.isfinite(weight) and abs(weight) <= 10) for weight in asking.weights):
        raise BadRequest("weights are numbers from -10 to 10")
    if not 1 <= asking.steps <= 200:
        raise BadRequest("steps are 1 to 200")
    if not all(0 <= seed < _SEEDS for seed in asking.seeds):
        raise BadRequest(f"seeds are whole numbers from 0 to {_SEEDS - 1:,}")
    if not 0 <= asking.cfg <= 30:
        raise BadRequest("the guidance (cfg) is a number from 0 to 30")
    offered = samplers_of(way.by.partition(" ")[0])
    if asking.sampler not in offered:
        raise BadRequest(
            f"there is no sampler {asking.sampler!r}", remedy=f"samplers are {', '.join(offered)}"
        )


def batches(planned: Sequence[Planned], most: int) -> Iterator[list[Planned]]:
    """Yield what is drawn together: of one base, size and way of drawing, no more than `most` at once.

    Many pictures of one lora in one weight stay together, for they are drawn merged; the others are sorted
    by rank, so that little is filled up.
    """
    groups: dict[Spec, list[Planned]] = defaultdict(list)
    for each in planned:
        groups[replace(each.spec, prompt="", negative="", seed=0, lora=None, weight=0.0)].append(each)
    for group in groups.values():
        same: dict[tuple[str | None, float], list[Planned]] = defaultdict(list)
        for each in group:
            same[each.spec.lora, each.spec.weight].append(each)
        mixed: list[Planned] = []
        for alike in same.values():
            whole = len(alike) - len(alike) % most if most > 1 else 0
            yield from _cut(alike[:whole], most)
            mixed += alike[whole:]
        mixed.sort(key=lambda each: each.subject.rank)
        yield from _cut(mixed, most)


def _cut(planned: Sequence[Planned], most: int) -> Iterator[list[Planned]]:
    for start in range(0, len(planned), max(1, most)):
        yield list(planned[start : start + max(1, most)])


def place_on(planned: Planned, axis: str) -> str | float:
    """Return where a picture stands on an axis of a grid; BadRequest for what is none."""
    places: Mapping[str, str | float] = {
        "lora": planned.subject.name,
        "weight": planned.weight,
        "epoch": -1 if planned.subject.epoch is None else planned.subject.epoch,
        "prompt": planned.spec.prompt,
        "seed": planned.spec.seed,
        "base": planned.spec.base,
    }
    if axis not in places:
        raise BadRequest(f"{axis!r} is no axis of a grid", remedy=f"axes are {', '.join(AXES)}")
    return places[axis]


def grid(planned: Sequence[Planned], across: str, down: str) -> list[list[Planned | None]]:
    """Return rows of pictures by two axes, numbers in their order and texts as they came.

    Where several stand in one place the first counts, where none does it is `None`.
    """
    columns, rows = places(planned, across), places(planned, down)
    held: dict[tuple[str | float, str | float], Planned] = {}
    for each in planned:
        held.setdefault((place_on(each, down), place_on(each, across)), each)
    return [[held.get((row, column)) for column in columns] for row in rows]


def places(planned: Sequence[Planned], axis: str) -> list[str | float]:
    """Return the places on an axis, numbers in their order and texts as they came; raises as `place_on`."""
    once = list(dict.fromkeys(place_on(each, axis) for each in planned))
    numbers = [place for place in once if not isinstance(place, str)]
    return [*sorted(numbers), *(place for place in once if isinstance(place, str))]


def seconds(planned: Sequence[Planned], each_step: float) -> float:
    """Return how long drawing takes, where a step of a picture of 512 x 512 pixels takes `each_step`."""
    return sum(each.spec.steps * each.spec.width * each.spec.height / 512**2 * each_step for each in planned)
