"""The base models that drawings of other tools can choose: those of the setting `bases`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from registry.sampling import LOCAL
from registry.wire.a1111_drawn import Checkpoint, checkpoint_called

if TYPE_CHECKING:
    from registry.config import Settings


class Base(NamedTuple):
    """A base model: what the settings call it, and what other tools do."""

    name: str
    checkpoint: Checkpoint


def bases_of(settings: Settings) -> list[Base]:
    """Return the base models, each file once, the one that is drawn on without any choice first."""
    names: dict[str, str] = {}
    for name, place in settings.bases.items():
        names.setdefault(place, name)
    slashed = {place: place.replace("\\", "/").rstrip("/") for place in names if place}
    last = [place.rpartition("/")[2] for place in slashed.values()]
    found = []
    for place, path in slashed.items():
        rel = path.rpartition("/")[2]
        # Another tool has names of its own, in which folders are told.
        unlike = settings.renderer == LOCAL and last.count(rel) == 1
        found.append(Base(names[place], Checkpoint(rel if unlike else path.lstrip("/"), place)))
    return found


def base_called(settings: Settings, wanted: str) -> Base:
    """Return the base model of a name: what the settings call it, its title, its path or its file.

    Raises BadRequest for none.
    """
    bases = bases_of(settings)
    by_name = next((base for base in bases if base.name.lower() == wanted.lower()), None)
    if by_name is not None:
        return by_name
    chosen = checkpoint_called(wanted, [base.checkpoint for base in bases])
    return next(base for base in bases if base.checkpoint is chosen)
