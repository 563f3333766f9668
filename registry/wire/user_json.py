"""`<stem>.json`, a name that five tools share; which of them wrote a file shows in its keys.

Sources: AUTOMATIC1111/stable-diffusion-webui modules/ui_extra_networks_user_metadata.py and
extensions-builtin/Lora/ui_edit_user_metadata.py; BlafKing/sd-civitai-browser-plus
scripts/civitai_file_manage.py; zixaphir/Stable-Diffusion-Webui-Civitai-Helper scripts/ch_lib/model.py and
util.py; vladmandic/sdnext, which keeps a whole model of Civitai; mcmonkeyprojects/SwarmUI
src/Text2Image/T2IModelHandler.cs, which reads its own keys from here too. A1111's editor keeps whatever else
is there, so its keys may stand among those of any other.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

from registry.formats.civitai import digest
from registry.formats.modelspec import PREFIX
from registry.formats.sidecar_values import (
    name,
    of_model,
    of_modelspec,
    of_version,
    one_file,
    prose,
    record,
    said,
    weight,
    whole,
)
from registry.told import SidecarFacts, UserFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

FAMILIES: Final = ("user_json",)

# One of these is enough to know A1111's editor or a tool that writes for it ...
_MARKS: Final = frozenset(
    {"activation text", "modelVersionId", "negative text", "preferred weight", "sd version"}
)
# ... while these are common words, which count only where there are no others.
_COMMON: Final = frozenset({"description", "extensions", "modelId", "notes", "sha256", "vae"})
_BROWSER_PLUS: Final = frozenset({"modelId", "modelVersionId", "sha256"})
# Lists that only Civitai's answer of a version has beside `modelId`.
_ANSWER: Final = ("files", "trainedWords")
# In `extensions`, where zixaphir's helper leaves its version.
_HELPER: Final = "civitai_helper"
# Values of `sd version` that name none.
_NO_VERSION: Final = frozenset({"Other", "Unknown"})


def read(value: object) -> SidecarFacts | None:
    """Return what the file says, with the tool that its keys show; `None` for JSON of any other kind."""
    written = record(value)
    if any(key.startswith(PREFIX) for key in written):
        return said(_with(of_modelspec(written), _user_metadata(written)), theirs=True)
    if isinstance(written.get("modelVersions"), list):
        return said(_with(of_model("sdnext", written), _beside_an_answer(written)), theirs=True)
    if "modelId" in written and any(isinstance(written.get(key), list) for key in _ANSWER):
        facts = of_version("civitai-browser-plus", written)
        return said(_with(facts, _beside_an_answer(written)), theirs=True)
    if _MARKS.isdisjoint(written) and not written.keys() <= _COMMON:
        return None
    return said(_user_metadata(written), theirs=not _MARKS.isdisjoint(written))


def _beside_an_answer(written: Mapping[str, object]) -> SidecarFacts:
    """Return what A1111's editor keeps, without the description, which is that of the answer."""
    return _user_metadata({key: item for key, item in written.items() if key != "description"})


def _with(facts: SidecarFacts, typed: SidecarFacts) -> SidecarFacts:
    """Return facts with what A1111's editor and Civitai Browser+ added to them."""
    user = {each.name: getattr(typed.user, each.name) for each in fields(UserFacts)}
    return replace(
        facts,
        hashes=typed.hashes or facts.hashes,
        model_id=facts.model_id or typed.model_id,
        version_id=facts.version_id or typed.version_id,
        user=replace(facts.user, **{key: item for key, item in user.items() if item is not None}),
    )


def _user_metadata(written: Mapping[str, object]) -> SidecarFacts:
    """Return what A1111's editor keeps, where a weight of 0 means that none is set.

    sd-civitai-browser-plus adds ids, or a sentence in place of one that it did not find.
    """
    version = name(written.get("sd version"))
    return SidecarFacts(
        _tool(written),
        hashes=one_file(sha256=digest("sha256", written.get("sha256"))),
        model_id=whole(written.get("modelId")),
        version_id=whole(written.get("modelVersionId")),
        user=UserFacts(
            description=prose(written.get("description")),
            notes=prose(written.get("notes")),
            activation_text=prose(written.get("activation text")),
            negative_text=prose(written.get("negative text")),
            weight=weight(written.get("preferred weight")) or None,
            base_model=None if version in _NO_VERSION else version,
        ),
    )


def _tool(written: Mapping[str, object]) -> str:
    if not _BROWSER_PLUS.isdisjoint(written):
        return "civitai-browser-plus"
    if any(_HELPER in key for key in record(written.get("extensions"))):
        return "civitai-helper"
    return "a1111"
