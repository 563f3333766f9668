"""What the names of a file say before any shape is looked at.

Files of one trainer and base model share their list of names whatever the rank, so the answer for a list is
remembered; it is a pure function of it. Lists of more than `MAX_REMEMBERED` names are read anew each time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING

from registry.identify.reading import Path, Slot, read_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.identify.rows import Place

MAX_REMEMBERED = 4096
DENOISER = ("denoiser", None)
_NO_FAMILY = ("scale", "magnitude", "plain")


class Naming:
    """Counts over the names of one file; complete once built, and not changed after."""

    def __init__(self, names: Iterable[str]) -> None:
        """Read every name and count."""
        parts = [read_name(name) for name in names]
        self.slots = [part.slot for part in parts]
        self.tensors = len(parts)
        self.roles: Counter[tuple[str, str]] = Counter()
        self.scores: Counter[str] = Counter()
        self.scored = 0
        self.denoiser = 0
        self.foreign = 0
        self.convolutions = 0
        self.required: set[str] = set()
        self.stems: defaultdict[str, set[int]] = defaultdict(set)
        self.layers: defaultdict[str, set[int]] = defaultdict(set)
        self.places: set[Place] = set()
        self.encoders: set[tuple[str, str]] = set()
        self.strays: Counter[int] = Counter()
        self.layouts: Counter[str] = Counter()
        self.targets: Counter[str] = Counter()
        self.modules: Counter[str] = Counter()
        self.seen: set[tuple[int, bool]] = set()
        self.bare = True
        self.adapter_prefix = False
        for path in {part.path for part in parts}:
            self._add_path(path)
        for slot, count in Counter(self.slots).items():
            self._add_slot(slot, count)

    def family(self, name: str) -> int:
        """Give the number of modules that carry factors of an adapter family."""
        return max((count for (family, _), count in self.roles.items() if family == name), default=0)

    def families(self) -> Counter[str]:
        """Give the number of modules of each adapter family."""
        found: Counter[str] = Counter()
        for (family, _), count in self.roles.items():
            if family not in _NO_FAMILY:
                found[family] = max(found[family], count)
        return found

    def blocks(self, stem: str) -> set[int]:
        """Give the numbers seen after a stem of the denoiser."""
        return self.stems.get(stem, set())

    def _add_path(self, path: Path) -> None:
        if path.slot in DENOISER:
            for stem, number in path.stems:
                self.stems[stem].add(number)
            self.places |= path.places
        elif path.stems:
            self.layers[path.slot].add(path.stems[0][1])

    def _add_slot(self, slot: Slot, count: int) -> None:
        suffix = slot.suffix
        self.roles[suffix.family, suffix.role] += count
        self.strays.update(dict.fromkeys(slot.strays, count))
        self.bare = self.bare and slot.bare
        self.adapter_prefix = self.adapter_prefix or slot.adapter_prefix
        if slot.layout is not None:
            self.layouts[slot.layout] += count
        if slot.convolution and suffix.family not in ("plain", "scale"):
            self.convolutions += count
        if slot.slot in DENOISER:
            self._add_denoiser(slot, count)
        elif slot.slot is not None:
            self.targets[slot.slot] += count
            if slot.form is not None:
                self.encoders.add((slot.slot, slot.form))

    def _add_denoiser(self, slot: Slot, count: int) -> None:
        self.denoiser += count
        self.foreign += count if slot.foreign else 0
        self.required |= slot.required
        self.seen |= slot.absences
        if slot.architectures:
            self.scored += count
            self.modules[slot.module] += count
            self.targets["denoiser"] += count
            for name in slot.architectures:
                self.scores[name] += count


@lru_cache(maxsize=32)
def _remembered(names: tuple[str, ...]) -> Naming:
    return Naming(names)


def read_names(names: Iterable[str]) -> Naming:
    """Read the names of a file in their order; odd and hostile ones count as names without a meaning."""
    listed = tuple(names)
    return _remembered(listed) if len(listed) <= MAX_REMEMBERED else Naming(listed)
