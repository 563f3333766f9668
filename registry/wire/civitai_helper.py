"""`<stem>.civitai.info`, the answer of Civitai to a hash, kept whole by Civitai Helper and its forks.

Sources: butaixianran/Stable-Diffusion-Webui-Civitai-Helper scripts/ch_lib/civitai.py; the fork of zixaphir,
scripts/ch_lib/model.py, which adds to `model`; BlafKing/sd-civitai-browser-plus
scripts/civitai_file_manage.py, which at first wrote whole models under this name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.formats.sidecar_values import of_model, of_version, record, said

if TYPE_CHECKING:
    from registry.told import SidecarFacts

FAMILIES: Final = ("civitai_helper",)


def read(value: object) -> SidecarFacts | None:
    """Return what a kept answer says; `None` without an id, as in the skeletons for models Civitai lacks."""
    if isinstance(record(value).get("modelVersions"), list):
        return said(of_model("civitai-browser-plus", value))
    facts = of_version("civitai-helper", value)
    return None if facts.model_id is None and facts.version_id is None else facts
