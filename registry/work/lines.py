"""How whoever carries out a batch and whoever handed it out speak meanwhile."""

from __future__ import annotations

from typing import Protocol


class Line(Protocol):
    """What a batch is carried out with."""

    def step(self, done: int, total: int) -> None:
        """Say how many steps of how many are done; cheap, called after each."""

    def dropped(self) -> frozenset[int]:
        """Return the places in the batch of what nobody wants any more; cheap, asked before each step."""
