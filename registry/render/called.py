"""What other programs call loras, base models and samplers. Pure.

They list paths below folders of their own, with the separator of their system; which of these is meant is
told by the end of a path that is known here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.render.batch import BaseAsk, LoraAsk

FLOWS: Final = frozenset({"flux1", "flux2"})
"""Architectures that are guided by a number they are told, and not by a negative prompt."""
_HASH: Final = re.compile(r" \[[0-9a-fA-F]{6,64}\]$")


class Sampler(NamedTuple):
    """A sampler: how ComfyUI calls it and its schedule, and the schedule that A1111 is to be told.

    Without one A1111 takes what belongs to the name.
    """

    comfyui: str
    scheduler: str
    a1111: str | None = None


# By the names of A1111 (modules/sd_samplers_kdiffusion.py, sd_samplers_timesteps.py) and ComfyUI
# (comfy/samplers.py). Since 1.9 A1111 takes the schedule of Karras for "DPM++ 2M" unless it is told.
SAMPLERS: Final[Mapping[str, Sampler]] = {
    "Euler": Sampler("euler", "normal"),
    "Euler a": Sampler("euler_ancestral", "normal"),
    "DPM++ 2M": Sampler("dpmpp_2m", "normal", "Uniform"),
    "DPM++ 2M Karras": Sampler("dpmpp_2m", "karras"),
    "DPM++ 2M SDE Karras": Sampler("dpmpp_2m_sde", "karras"),
    "DPM++ SDE Karras": Sampler("dpmpp_sde", "karras"),
    "DDIM": Sampler("ddim", "ddim_uniform"),
    "UniPC": Sampler("uni_pc", "normal"),
    "LCM": Sampler("lcm", "sgm_uniform"),
}
_FLOW: Final = ("simple", "Simple")


def sampler_of(name: str, architecture: str) -> Sampler:
    """Return a sampler for a base model; BadRequest for a name that ComfyUI's is not known of."""
    found = SAMPLERS.get(name)
    if found is None:
        raise BadRequest(f"there is no sampler {name!r}", remedy=f"samplers are {', '.join(SAMPLERS)}")
    return found._replace(scheduler=_FLOW[0]) if architecture in FLOWS else found


def schedule_of(name: str, architecture: str) -> str | None:
    """Return the schedule that A1111 is to be told with a sampler, `None` for none; any name is one there."""
    if architecture in FLOWS:
        return _FLOW[1]
    found = SAMPLERS.get(name)
    return None if found is None else found.a1111


def parts_of(path: str) -> tuple[str, ...]:
    """Return the parts of a path of any system."""
    return tuple(part for part in path.replace("\\", "/").split("/") if part)


class Alike(NamedTuple):
    """Places of paths that end like another, and in how many parts."""

    shared: int
    places: tuple[int, ...]


def alike(path: str, others: Sequence[str]) -> Alike:
    """Return which paths end most like this one, beginning with the name of the file itself."""
    wanted = parts_of(path)[::-1]
    shared = [_common(wanted, parts_of(other)[::-1]) for other in others]
    most = max(shared, default=0)
    return Alike(most, tuple(place for place, each in enumerate(shared) if each == most > 0))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for mine, its in zip(one, other, strict=False):
        if mine != its:
            break
        count += 1
    return count


def plain_title(title: str) -> str:
    """Return the title of a base model without the hash that A1111 adds once it has worked it out."""
    return _HASH.sub("", title)


def stem_of(path: str) -> str:
    """Return the name of a file without folders and extension."""
    parts = parts_of(path)
    name = parts[-1] if parts else ""
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def bases_like(base: BaseAsk, called: Sequence[Sequence[str]]) -> list[int]:
    """Return the places of base models that may be meant, each given by all that it is called.

    Those that have its path are before those that have its name; letters count in any case.
    """
    if base.path is not None:
        by_path = [place for place, names in enumerate(called) if alike(base.path, names).shared >= 2] or [
            place for place, names in enumerate(called) if alike(base.path, names).shared
        ]
        if by_path:
            return by_path
    wanted = {name.casefold() for name in (base.name, stem_of(base.name))}
    return [
        place
        for place, names in enumerate(called)
        if any({name.casefold(), stem_of(name).casefold()} & wanted for name in names)
    ]


class ListedLora(NamedTuple):
    """A lora as A1111 lists it: what it is called, where it is, and the SHA-256 that its header claims."""

    name: str
    path: str
    claimed: str | None


class ListedBase(NamedTuple):
    """A base model as A1111 lists it; hashes are empty until it has worked them out, `short` begins one."""

    title: str
    called: tuple[str, ...]
    sha256: str = ""
    short: str = ""


def lora_among(lora: LoraAsk, listed: Sequence[ListedLora]) -> ListedLora | None:
    """Return which one is meant: the one at its path, of its weights, or else of its name if it can be.

    A header keeps its claim when the weights are changed, so that the end of a path with a folder counts
    more; the name of a file alone does not.
    """
    at_path = [each for each in listed if lora.path is not None and each.path == lora.path]
    if at_path:
        return at_path[0]
    own = lora.rel or lora.name
    by_hash = [each for each in listed if each.claimed == lora.data_sha256]
    if by_hash:
        return by_hash[(*alike(own, [each.path for each in by_hash]).places, 0)[0]]
    near = alike(own, [each.path for each in listed])
    fitting = [listed[place] for place in near.places if near.shared >= 2 or listed[place].claimed is None]
    return fitting[0] if len(fitting) == 1 else None


def base_among(base: BaseAsk, listed: Sequence[ListedBase]) -> ListedBase | None:
    """Return which one is meant: that of its SHA-256, or of its path or name where no hash is against it."""
    wanted = (base.sha256 or "").lower()
    for each in listed:
        if wanted and (each.sha256 == wanted or (len(each.short) >= 8 and wanted.startswith(each.short))):
            return each
    fitting = [each for each in listed if not (wanted and len(each.sha256) == 64)]
    places = bases_like(base, [each.called for each in fitting])
    return fitting[places[0]] if places else None
