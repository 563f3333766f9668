"""What the tool of a sidecar says since the user of ours noted something else: to be offered, not ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from registry.formats.merging import is_blank, same_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.curation import Noted
    from registry.told import SidecarFacts

# What is noted here, and the same among what a person typed in another tool.
_TYPED: Final[Mapping[str, str]] = {
    "note": "notes",
    "display_name": "title",
    "weight": "weight",
    "weight_min": "weight_min",
    "weight_max": "weight_max",
    "negative": "negative_text",
    "favorite": "favorite",
    "hidden": "hidden",
}


def offered(
    facts: SidecarFacts,
    theirs: SidecarFacts,
    noted: Mapping[str, Noted],
    changed_at: int,
    ours: Mapping[str, list[str]],
) -> dict[str, object]:
    """Return what a sidecar says now in place of what is noted, by the fields of curation and as their JSON.

    `theirs` are the facts without what we wrote, `ours` the names of what we wrote; `changed_at` is when the
    file was changed, in milliseconds since the epoch: what was noted later is not asked about again. A truth
    that is false counts only where we wrote one, as tools write it where nobody chose.
    """
    open_to = {name: one.value for name, one in noted.items() if one.at < changed_at}
    found: dict[str, object] = {}
    for field, member in _TYPED.items():
        value = getattr(theirs.user, member)
        chosen = value is not False or f"user.{member}" in ours
        if field in open_to and chosen and not is_blank(value) and value != open_to[field]:
            found[field] = value
    words = _words(facts, theirs, ours)
    groups: Any = open_to.get("triggers", ())
    if words and groups and not same_words(words, groups):
        found["triggers"] = [[word] for word in words]
    return found


def _words(facts: SidecarFacts, theirs: SidecarFacts, ours: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Return the trigger words, if they are no longer those that we wrote.

    Lists that also hold the words of a service say what the user wants only once we wrote into them.
    """
    if theirs.user.activation_text:
        return (theirs.user.activation_text,)
    return facts.trigger_words if "trigger_words" in ours else ()
