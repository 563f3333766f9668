"""`<stem>.civitai.info`, the answer of Civitai to a hash, kept whole by Civitai Helper and its forks.

Sources: butaixianran/Stable-Diffusion-Webui-Civitai-Helper scripts/ch_lib/civitai.py; the fork of zixaphir,
scripts/ch_lib/model.py, which adds to `model`; BlafKing/sd-civitai-browser-plus
scripts/civitai_file_manage.py, which at first wrote whole models under this name.
"""

from __future__ import annotations

from typing import Final

from registry.formats.sidecar_values import of_model, of_version, record, said
from registry.told import SidecarFacts

FAMILIES: Final = ("civitai_helper",)
TOOL: Final = "civitai-helper"


def read(value: object) -> SidecarFacts | None:
    """Return what a kept answer says, nothing for the skeletons of models that Civitai lacks, without ids.

    `None` for JSON of any other kind.
    """
    answer = record(value)
    if isinstance(answer.get("modelVersions"), list):
        return said(of_model("civitai-browser-plus", value))
    facts = of_version(TOOL, value)
    if facts.model_id is None and facts.version_id is None:
        facts = SidecarFacts(TOOL)
    return said(facts, theirs="modelId" in answer)
