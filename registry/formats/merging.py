"""Rules for writing into the sidecar of another tool: what is said, by whom, and what stays as it is.

What the user of ours says takes the place of what is there. What Civitai or another sidecar says goes only
where nothing is; what a header, a name or an estimate says goes nowhere. Everything else in the file stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.formats.civitai import version_of
from registry.formats.triggers import split_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from registry.outgoing import Outgoing
    from registry.told import SidecarFacts

_USER: Final = "user"
_CIVITAI: Final = "civitai"
_NUMBERS = frozenset({"model_id", "version_id"})
_BELIEVED: Final = frozenset({_USER, _CIVITAI, "sidecar"})
# What Civitai says of a model and its answer for a version leaves out.
_OF_MODEL: Final = (
    "description",
    "tags",
    "allowNoCredit",
    "allowCommercialUse",
    "allowDerivatives",
    "allowDifferentLicense",
)


def believed(out: Outgoing, member: str) -> object:
    """Return what is shown as a member of `Shown`, if the user, Civitai or a sidecar says so, else `None`."""
    source = out.shown.sources.get(member)
    value: object = getattr(out.shown, member)
    return value if source is not None and source.kind in _BELIEVED and not is_blank(value) else None


def by_user(out: Outgoing, member: str) -> bool:
    """Whether the user says what is shown as a member of `Shown`."""
    source = out.shown.sources.get(member)
    return source is not None and source.kind == _USER


def is_blank(value: object) -> bool:
    """Whether a value says nothing; numbers and booleans always say something."""
    return value is None or (isinstance(value, str | list | tuple | dict) and not value)


class Draft:
    """A sidecar as it is to be: `members` are those that are there, and what we know better.

    `facts` are what its tool reads there. What a service says is left as it is where it is of another version
    than ours, unless the user chose ours.
    """

    def __init__(self, known: Mapping[str, object] | None, out: Outgoing, facts: SidecarFacts) -> None:
        self.members: dict[str, object] = dict(known or {})
        self._out = out
        ours = (out.shown.model_id, out.shown.version_id)
        pairs = zip((facts.model_id, facts.version_id), ours, strict=True)
        self._other = any(None not in pair and pair[0] != pair[1] for pair in pairs)
        self.relinked = self._other and by_user(out, "version_id") and out.version is not None

    @property
    def agrees(self) -> bool:
        """Whether what Civitai says of our version belongs into this file."""
        return self.relinked or not self._other

    def say(
        self, member: str, key: str, there: object, written: object = None, *, remote: bool = False
    ) -> None:
        """Write what is shown as a member of `Shown`, where nothing is `there` or the user says otherwise.

        `there` is what the tool reads in the file, `written` the form in which the tool keeps the fact.
        `remote` marks what a service said, not a person.
        """
        fact = believed(self._out, member)
        if fact == there or not self.belongs(member, remote=remote):
            return
        if is_blank(there) or self.wins(member, remote=remote):
            value = fact if written is None else written
            if not is_blank(value):
                self.members[key] = value

    def belongs(self, member: str, *, remote: bool = False) -> bool:
        """Whether somebody who is believed says it, and it may be of the version that the file is about."""
        if believed(self._out, member) is None:
            return False
        kind = self._out.shown.sources[member].kind
        return self.agrees or kind == _USER or not (remote or kind == _CIVITAI)

    def wins(self, member: str, *, remote: bool = False) -> bool:
        """Whether what is shown takes the place of what is there.

        Numbers of a version that is not fetched yet do not: its name and the rest would stay behind.
        """
        if member in _NUMBERS and self._other and self._out.version is None:
            return False
        source = self._out.shown.sources.get(member)
        chosen = remote and self.relinked and source is not None and source.kind == _CIVITAI
        return by_user(self._out, member) or chosen

    def fill(self, key: str, value: object) -> None:
        """Write a value where there is none, or one that says nothing."""
        if not is_blank(value) and is_blank(self.members.get(key)):
            self.members[key] = value

    def renew(self, key: str, value: object) -> None:
        """Write what Civitai says of our version where nothing is there, or what it said of another one."""
        if self.relinked and not is_blank(value):
            self.members[key] = value
        elif self.agrees:
            self.fill(key, value)

    def tag(self, key: str, there: Sequence[str]) -> None:
        """Write the tags, where there are none, and those of the user beside them, each once."""
        first = [] if there else self._said_tags()
        known = {tag.casefold() for tag in (*there, *first)}
        mine = [tag for tag in self._out.shown.user_tags if tag.casefold() not in known]
        written = self.members.get(key)
        if first or mine:
            kept = list(written) if isinstance(written, list) else list(there)
            self.members[key] = [*kept, *first, *dict.fromkeys(mine)]

    def _said_tags(self) -> list[str]:
        if not self.agrees or believed(self._out, "tags") is None:
            return []
        return list(self._out.shown.tags)


def phrases(groups: Sequence[Sequence[str]]) -> list[str]:
    """Return groups of trigger words as texts, one each."""
    return [text for group in groups if (text := ", ".join(word for word in group if word))]


def same_words(texts: Iterable[str], groups: Sequence[Sequence[str]]) -> bool:
    """Whether texts hold the words of groups in their order, however they are parted."""
    return _flat(texts) == _flat(phrases(groups))


def _flat(texts: Iterable[str]) -> list[str]:
    return [word for text in texts for word in split_words(text.replace("||", ","))]


def page(out: Outgoing) -> str | None:
    """Return the address of the page of a version on Civitai."""
    if out.shown.model_id is None:
        return None
    address = f"https://civitai.com/models/{out.shown.model_id}"
    version = out.shown.version_id
    return address if version is None else f"{address}?modelVersionId={version}"


def whole_answer(out: Outgoing) -> dict[str, object]:
    """Return Civitai's answer for a version with what it says of the model put where several tools put it."""
    answer = dict(out.version_raw or {})
    model = out.model_raw or {}
    within = answer.get("model")
    added = {key: model[key] for key in _OF_MODEL if not is_blank(model.get(key))}
    if added:
        answer["model"] = {**(within if isinstance(within, dict) else {}), **added}
    if not is_blank(model.get("creator")):
        answer.setdefault("creator", model["creator"])
    return answer


def merged_answer(
    theirs: Mapping[str, object], ours: Mapping[str, object], kept: frozenset[str] = frozenset()
) -> Mapping[str, object]:
    """Return the answer of Civitai that a tool keeps, with what ours says beyond it.

    Where both say something ours counts only if it is of a later day by `updatedAt`, and never for the
    members in `kept`. Unknown members stay, those of images too, which are told by their addresses.
    """
    return _merged(theirs, ours, kept, over=_updated(theirs) < _updated(ours))


def _updated(answer: Mapping[str, object]) -> int:
    version = version_of(answer)
    found = None if version is None else version.updated_at
    return -1 if found is None else found


def _merged(
    theirs: Mapping[str, object], ours: Mapping[str, object], kept: frozenset[str], *, over: bool
) -> Mapping[str, object]:
    found = dict(theirs)
    for key, value in ours.items():
        there = theirs.get(key)
        if key not in theirs or (is_blank(there) and not is_blank(value)):
            found[key] = value
        elif key in kept or is_blank(value):
            continue
        elif isinstance(there, dict) and isinstance(value, dict):
            found[key] = _merged(there, value, kept, over=over)
        elif over and isinstance(there, list) and isinstance(value, list):
            found[key] = _listed(there, value)
        elif over:
            found[key] = value
    return found if found != theirs else theirs


def _listed(theirs: Sequence[object], ours: Sequence[object]) -> list[object]:
    """Return our list; an entry keeps what a tool added to the one of theirs with the same address."""
    added = {entry.get("url"): entry for entry in theirs if isinstance(entry, dict) and _address(entry)}
    found: list[object] = []
    for entry in ours:
        if isinstance(entry, dict) and _address(entry) in added:
            more = added[_address(entry)].items()
            entry = {**entry, **{key: item for key, item in more if key not in entry}}  # noqa: PLW2901
        found.append(entry)
    return found


def _address(entry: Mapping[str, object]) -> str | None:
    address = entry.get("url")
    return address if isinstance(address, str) and address else None
