"""Which base model a lora is drawn on, and whether it can be drawn at all. Pure.

The one that it was trained on, where the catalog has that file; else the one that the settings name for its
base model (such as Pony), else for its architecture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest, NoBase, UnsupportedArchitecture
from registry.render.batch import BaseAsk
from registry.render.plan import AREAS, Subject
from registry.sampling import LOCAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.views import Drawable

_UNSURE: Final = frozenset({"unknown", "ambiguous", "none"})
_FOLD: Final = str.maketrans("", "", " ._-")


@dataclass(frozen=True, slots=True)
class Bases:
    """Base models that are at hand: by names of architectures and base models, and by hashes of files.

    `by_name` are what the settings say, `by_hash` files of the catalog; `renderer` is who draws.
    """

    renderer: str
    by_name: Mapping[str, str]
    by_hash: Mapping[str, BaseAsk]

    def choose(self, drawable: Drawable, asked: str = "") -> BaseAsk:
        """Return the base model of a lora; `asked` names one of the settings, or is one itself.

        A lora of which nothing tells what it is for is taken to be for an architecture that is asked for.

        Raises UnsupportedArchitecture, NoBase, BadRequest for what is no adapter.
        """
        name, family = drawable.name, drawable.architecture
        if drawable.kind != "lora":
            raise BadRequest(f"{name} is no adapter but of the kind {drawable.kind}")
        if family in _UNSURE and asked in AREAS:
            # Nothing tells, but whoever asks.
            family = asked
        if self.renderer == LOCAL and family not in AREAS:
            raise UnsupportedArchitecture(
                f"{name} is for {family}, which is not drawn here",
                remedy=f"drawn are {', '.join(AREAS)}; a running ComfyUI draws others, and "
                "`loras fingerprint` tells what its weights say",
            )
        if asked:
            return self._named(family, self._find(asked) or asked)
        trained = next((self.by_hash[each] for each in drawable.base_hashes if each in self.by_hash), None)
        if trained is not None:
            return BaseAsk(family, trained.name, trained.path, trained.sha256)
        for wanted in (drawable.base_model, family):
            found = self._find(wanted or "")
            if found is not None:
                return self._named(family, found)
        if self.renderer == LOCAL:
            raise NoBase(
                f"no base model for {family} is known, on which {name} could be drawn",
                remedy=f'name one in the settings: bases = {{{family} = "/path/to/model.safetensors"}}, or '
                f'LORAS_BASES=\'{{"{family}": "/path"}}\'',
            )
        # The model that the tool has loaded.
        return BaseAsk(family, "")

    def _find(self, name: str) -> str | None:
        folded = {_folded(each): value for each, value in self.by_name.items()}
        return folded.get(_folded(name)) if name else None

    def _named(self, family: str, found: str) -> BaseAsk:
        if self.renderer != LOCAL:
            return BaseAsk(family, found)
        return BaseAsk(family, found.replace("\\", "/").rstrip("/").rpartition("/")[2], found)


def _folded(name: str) -> str:
    return name.lower().translate(_FOLD)


def subject_of(drawable: Drawable) -> Subject:
    """Return what the plan knows of a lora."""
    return Subject(
        id=drawable.id,
        name=drawable.name,
        data_sha256=drawable.data_sha256 or "",
        architecture=drawable.architecture,
        rank=drawable.rank,
        triggers=drawable.triggers,
        examples=drawable.examples,
        tags=drawable.tags,
        bucket=drawable.bucket,
        resolution=drawable.resolution,
        preferred_weight=drawable.weight or None,
        epoch=drawable.epoch,
    )
