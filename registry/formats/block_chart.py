"""A picture of by how much each block of a base model changes: bars, light and dark."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.measured import Measured, MeasuredBlock

_WIDTH: Final = 640
_LABEL: Final = 150
_BAR: Final = 14
_GAP: Final = 4
_MOST: Final = 120
"""Blocks that are drawn; no base model has as many."""
_SHORT: Final = {
    "down_blocks": "down",
    "up_blocks": "up",
    "mid_block": "mid",
    "attentions": "attn",
    "resnets": "res",
    "downsamplers": "down",
    "upsamplers": "up",
    "transformer_blocks": "block",
    "single_transformer_blocks": "single",
    "encoder_layers": "layer",
}
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#333}.n{fill:#777}.unet{fill:#3b6ea8}.te{fill:#8a5fa8}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.n{fill:#999}.unet{fill:#7aa7d8}.te{fill:#b793d3}}"
)


def picture(found: Measured) -> str:
    """Return an SVG image of the norms of the blocks, the longest bar as wide as there is room."""
    blocks = sorted(found.blocks, key=lambda block: (block.part != "unet", block.part))[:_MOST]
    height = max(1, len(blocks)) * (_BAR + _GAP) + 2 * _GAP
    body = "".join(_rows(blocks)) if blocks else _text(_GAP, _BAR, found.problem or "nothing was measured")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img"><title>{escape(_title(found))}</title><style>{_STYLE}</style>'
        f"{body}</svg>"
    )


def called(block: MeasuredBlock) -> str:
    """Return the name of a block that a person reads."""
    name = block.name
    for long, short in _SHORT.items():
        name = re.sub(rf"(^|_){long}(?=_|$)", rf"\1{short}", name)
    name = name.replace("_", " ")
    return name if block.part == "unet" else f"{block.part} {name}"


def _title(found: Measured) -> str:
    norms = [f"U-Net or transformer {found.unet_norm:.3g}"] if found.unet_norm else []
    norms += [f"text encoders {found.te_norm:.3g}"] if found.te_norm else []
    return "Size of the change by block" + (": " + ", ".join(norms) if norms else "")


def _rows(blocks: Sequence[MeasuredBlock]) -> list[str]:
    longest = max((block.norm for block in blocks), default=0.0) or 1.0
    room = _WIDTH - _LABEL - 70
    rows = []
    for number, block in enumerate(blocks):
        top = _GAP + number * (_BAR + _GAP)
        width = max(1.0, room * block.norm / longest) if block.norm > 0 else 0
        kind = "te" if block.part.startswith("te") else "unet"
        rows.append(
            _text(_GAP, top + 11, called(block))
            + f'<rect class="{kind}" x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
            + _text(_LABEL + width + 6, top + 11, f"{block.norm:.3g}", "n")
        )
    return rows


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text[:80])}</text>'
