"""The base models that drawings of other tools can choose: those of the setting `bases`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from registry.sampling import LOCAL
from registry.wire.a1111_drawn import Checkpoint, checkpoint_called

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    local = settings.renderer == LOCAL
    # Another tool has names of its own, in which folders are told.
    called = (
        _apart(list(slashed.values())) if local else {path: path.lstrip("/") for path in slashed.values()}
    )
    return [Base(names[place], Checkpoint(called[path], place)) for place, path in slashed.items()]


def _apart(paths: Sequence[str]) -> dict[str, str]:
    """Return for each path as few of its last parts as tell it from all others."""
    found: dict[str, str] = {}
    for path in paths:
        parts = path.strip("/").split("/")
        for number in range(1, len(parts) + 1):
            end = "/".join(parts[-number:])
            if number == len(parts) or sum(f"/{other}".endswith(f"/{end}") for other in paths) == 1:
                found[path] = end
                break
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
