"""`<stem>.txt` and `<stem>.description.txt`, descriptions in plain text.

Sources: AUTOMATIC1111/stable-diffusion-webui modules/ui_extra_networks.py, which shows either; pythongosssss/
ComfyUI-Custom-Scripts, which keeps notes and example prompts in the first.
"""

from __future__ import annotations

from typing import Final

from registry.formats.sidecar_values import prose, said
from registry.told import SidecarFacts, UserFacts

FAMILIES: Final = ("text", "a1111")


def read(value: object) -> SidecarFacts | None:
    """Return a decoded text as the description that a user gave; `None` if it is blank."""
    return said(SidecarFacts("text", user=UserFacts(description=prose(value))))
