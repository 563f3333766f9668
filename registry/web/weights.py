"""What the weights of a lora tell, ready for its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.measured import EXPLODING, HEALTH, INCOMPLETE, OK, UNSUPPORTED
from registry.web import words
from registry.web.presenters import Badge, Fact

if TYPE_CHECKING:
    from registry.measured import Measured

_BASES: Final = {
    "before-magnitude": "measured before its magnitudes, which need the base model",
    "parameters": "its parameters, as its change needs the base model",
}
_TONES: Final = {OK: "good", UNSUPPORTED: "", EXPLODING: "warn", INCOMPLETE: "warn"}


@dataclass(frozen=True, slots=True)
class Weights:
    """Facts and badges of health; addresses of the picture of the blocks, if any, and of what is alike.

    `nearest` is that of the page of the most alike, if it can be told.
    """

    facts: list[Fact]
    badges: list[Badge]
    picture: str | None
    alike: str
    nearest: str | None


def weights(lora_id: int, found: Measured, *, current: bool = True) -> Weights:
    """Return what the page shows of a fingerprint; `current` tells whether others are compared with it."""
    measured = [
        ("change of the U-Net or transformer", found.unet_norm or None),
        ("change of the text encoders", found.te_norm or None),
        ("largest singular value", found.spectral),
        ("effective rank", found.effective_rank),
    ]
    facts = [Fact(name, f"{value:.3g}") for name, value in measured if value is not None]
    facts += [Fact("layers", str(found.layers))] if found.layers else []
    facts += [Fact("what was measured", _BASES[found.basis])] if found.basis in _BASES else []
    facts += [Fact("why not", found.problem)] if found.problem else []
    badges = [Badge(word, _TONES.get(word, "bad"), HEALTH.get(word, "")) for word in found.health]
    picture = f"/api/v1/loras/{lora_id}/fingerprint.svg" if found.blocks else None
    nearest = words.relatives_url(lora_id) if current and found.blocks else None
    return Weights(facts, badges, picture, words.search_url(f"similar:{lora_id}"), nearest)
