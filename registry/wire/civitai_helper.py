"""`<stem>.civitai.info`, the answer of Civitai to a hash, kept whole by Civitai Helper and its forks.

Sources: butaixianran/Stable-Diffusion-Webui-Civitai-Helper scripts/ch_lib/civitai.py; the fork of zixaphir,
scripts/ch_lib/model.py, which adds to `model`; BlafKing/sd-civitai-browser-plus
scripts/civitai_file_manage.py, which at first wrote whole models under this name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.formats.merging import Draft, merged_answer
from registry.formats.sidecar_values import of_model, of_version, record, said
from registry.told import SidecarFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.outgoing import Outgoing

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


def write(known: Mapping[str, object] | None, out: Outgoing) -> Mapping[str, object] | None:
    """Return the answer of Civitai for the version, nothing where there is none.

    What forks added to an answer of the same version stays. `None` where the file holds a whole model, or is
    of another kind.
    """
    facts = SidecarFacts(TOOL) if not known else read(known)
    if facts is None or facts.tool != TOOL:
        return None
    draft = Draft(known, out, facts)
    if out.version_raw is None or not draft.agrees:
        return draft.members
    if not known or draft.relinked:
        # A fork puts the creator here, who is that of another model now.
        creator = {"creator": record(out.model_raw).get("creator")} if "creator" in draft.members else {}
        return {**draft.members, **out.version_raw, **creator}
    return merged_answer(known, out.version_raw)
