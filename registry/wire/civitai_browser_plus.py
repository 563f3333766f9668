"""`<stem>.api_info.json` of sd-civitai-browser-plus: the model as Civitai answered, with all its versions.

Source: BlafKing/sd-civitai-browser-plus scripts/civitai_file_manage.py. It holds a model, or the list that a
search answers with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.formats.sidecar_values import of_model, record, said

if TYPE_CHECKING:
    from registry.told import SidecarFacts

FAMILIES: Final = ("civitai_browser_plus",)


def read(value: object) -> SidecarFacts | None:
    """Return what the model says, nothing for a list of several, of which none is known to be meant.

    `None` for JSON of any other kind.
    """
    items = record(value).get("items")
    if isinstance(items, list):
        value = items[0] if len(items) == 1 else None
    facts = of_model("civitai-browser-plus", value)
    return said(facts, theirs=isinstance(items, list))
