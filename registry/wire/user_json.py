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
from registry.formats.markup import readable
from registry.formats.merging import Draft, by_user, phrases, same_words
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

    from registry.outgoing import Outgoing

FAMILIES: Final = ("user_json",)
_A1111: Final = "a1111"

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
# What A1111's editor offers, for our names.
_SD_VERSIONS: Final[Mapping[str, str]] = {"sd15": "SD1", "sd2": "SD2", "sdxl": "SDXL"}
_WEIGHTS: Final = (0, 2)
_DESCRIPTIONS: Final = (".txt", ".description.txt")


def read(value: object) -> SidecarFacts | None:
    """Return what the file says, with the tool that its keys show; `None` for JSON of any other kind."""
    written = record(value)
    if any(key.startswith(PREFIX) for key in written):
        return said(_with(of_modelspec(written), _user_metadata(written)), theirs=True)
    if isinstance(written.get("modelVersions"), list):
        return said(_with(of_model("sdnext", written), _beside_an_answer(written)), theirs=True)
    if _is_answer(written):
        facts = of_version("civitai-browser-plus", written)
        return said(_with(facts, _beside_an_answer(written)), theirs=True)
    if _MARKS.isdisjoint(written) and not written.keys() <= _COMMON:
        return None
    return said(_user_metadata(written), theirs=not _MARKS.isdisjoint(written))


def write(known: Mapping[str, object] | None, out: Outgoing) -> Mapping[str, object] | None:
    """Return what the file is to say, with what A1111's editor keeps; `None` where it is of no known tool.

    Groups of trigger words become one text, as A1111 puts all of it into the prompt. A description of
    Civitai's becomes plain text, and is left out where a text file beside it holds one, which it would hide.
    """
    there = known or {}
    facts = read(there)
    if facts is None:
        if not there.keys() <= _COMMON:
            return None
        facts = SidecarFacts(_A1111)
    draft, user = Draft(known, out, facts), facts.user
    if not _is_answer(there):
        _describe(draft, out, facts)
    version = _sd_version(out)
    based = user.base_model or facts.base_model
    if version is not None and (based is None or (by_user(out, "architecture") and based != version)):
        draft.members["sd version"] = version
    texts = [user.activation_text] if user.activation_text is not None else facts.trigger_words
    if not same_words(texts, out.shown.triggers):
        draft.say("triggers", "activation text", texts, ", ".join(phrases(out.shown.triggers)))
    low, high = _WEIGHTS
    if low <= (out.shown.weight or 0) <= high:
        draft.say("weight", "preferred weight", user.weight)
    draft.say("negative_text", "negative text", user.negative_text)
    draft.say("notes", "notes", user.notes)
    return draft.members


def _sd_version(out: Outgoing) -> str | None:
    """Return A1111's word for a base model: by its architecture, else one that was read in its files."""
    source = out.shown.sources.get("base_model")
    theirs = source is not None and source.kind == "sidecar" and source.tool == _A1111
    return _SD_VERSIONS.get(out.architecture, out.shown.base_model if theirs else None)


def _describe(draft: Draft, out: Outgoing, facts: SidecarFacts) -> None:
    description = out.shown.description
    if by_user(out, "description"):
        draft.say("description", "description", facts.user.description)
    elif description is not None and not out.beside & {out.stem + ending for ending in _DESCRIPTIONS}:
        there = facts.user.description or facts.description or facts.version_description
        if readable(description):
            draft.say("description", "description", there, readable(description))


def _is_answer(there: Mapping[str, object]) -> bool:
    """Whether Civitai's answer for a model or version is kept here, whose description is that of the file."""
    if isinstance(there.get("modelVersions"), list):
        return True
    return "modelId" in there and any(isinstance(there.get(key), list) for key in _ANSWER)


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
    return _A1111
