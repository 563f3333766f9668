"""`<stem>.swarm.json` of SwarmUI: ModelSpec's keys and its own, all of them with ModelSpec's prefix.

Source: mcmonkeyprojects/SwarmUI src/Text2Image/T2IModel.cs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.formats.merging import Draft, by_user, phrases, same_words
from registry.formats.modelspec import PREFIX
from registry.formats.sidecar_values import of_modelspec, record, said
from registry.told import SidecarFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.outgoing import Outgoing

FAMILIES: Final = ("swarmui",)
TOOL: Final = "swarmui"


def read(value: object) -> SidecarFacts | None:
    """Return what SwarmUI says; `None` for a file of another tool."""
    return said(of_modelspec(value), theirs=any(key.startswith(PREFIX) for key in record(value)))


def write(known: Mapping[str, object] | None, out: Outgoing) -> Mapping[str, object] | None:
    """Return what the file is to say; `None` where it is of another tool.

    Notes are what SwarmUI shows as usage hint, groups of trigger words one phrase; its weight is a text.
    """
    facts = SidecarFacts(TOOL) if not known else read(known)
    if facts is None:
        return None
    draft = Draft(known, out, facts)
    title = "name" if by_user(out, "name") else "model_name"
    draft.say(title, PREFIX + "title", facts.name, remote=True)
    draft.say("creator", PREFIX + "author", facts.creator, remote=True)
    draft.say("description", PREFIX + "description", facts.description, remote=True)
    if not same_words(facts.trigger_words, out.shown.triggers):
        phrase = ", ".join(phrases(out.shown.triggers))
        draft.say("triggers", PREFIX + "trigger_phrase", facts.trigger_words, phrase)
    draft.say("notes", PREFIX + "usage_hint", facts.user.notes or facts.base_model)
    if out.shown.weight is not None:
        draft.say("weight", PREFIX + "lora_default_weight", facts.user.weight, f"{out.shown.weight:g}")
    draft.tag(PREFIX + "tags", facts.tags)
    return draft.members
