"""What the sidecars of other tools say, ready for the page of a lora."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from registry.formats.markup import readable
from registry.web import words
from registry.web.presenters import Badge, Fact, Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.views import SidecarView

TOOLS: Final[Mapping[str, str]] = {
    "a1111": "AUTOMATIC1111",
    "civitai-browser-plus": "Civitai Browser+",
    "civitai-helper": "Civitai Helper",
    "lora-manager": "LoRA Manager",
    "rgthree": "rgthree",
    "sdnext": "SD.Next",
    "stability-matrix": "Stability Matrix",
    "swarmui": "SwarmUI",
    "text": "a text file",
}
VERDICTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "match": ("of this file", "good", "a hash that it names is one that was computed"),
    "differs": ("of another file", "bad", "it names other hashes: nothing of it is used"),
    "unchecked": ("not checked yet", "", "what it names may be told once the file is hashed"),
    "unsaid": (
        "by its name",
        "",
        "it names no hash that tells files apart: only its name ties it to this file",
    ),
}
_WORDS: Final = 100
_TEXT: Final = 4000
# What it says, and what that is called; first what a service said, then what the user noted.
_SAID: Final[Mapping[str, str]] = {
    "name": "name",
    "version_name": "version",
    "model_type": "type",
    "base_model": "base model",
    "creator": "creator",
}
_NOTED: Final[Mapping[str, str]] = {
    "title": "own title",
    "base_model": "base model, chosen",
    "activation_text": "activation text",
    "negative_text": "negative text",
    "weight": "preferred weight",
    "weight_min": "lowest weight",
    "weight_max": "highest weight",
    "clip_weight": "weight of the text encoder",
    "clip_skip": "clip skip",
}


# Civitai's bits of what may be seen, least first.
_LEVELS: Final[Mapping[int, str]] = {1: "PG", 2: "PG-13", 4: "R", 8: "X", 16: "XXX", 32: "blocked"}
# What the author allows or asks for: what `True` and what `False` means.
_ALLOWED: Final[Mapping[str, tuple[str, str]]] = {
    "no_credit": ("use without credit", "credit required"),
    "derivatives": ("derivatives allowed", "no derivatives"),
    "different_licence": ("another licence allowed", "same licence required"),
}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One sidecar: who wrote it, whether for this file, and what it says."""

    name: str
    tool: str
    badges: tuple[Badge, ...]
    problem: str
    facts: tuple[Fact, ...]
    triggers: tuple[Word, ...]
    tags: tuple[Word, ...]
    texts: tuple[Fact, ...]


def sidecar(view: SidecarView) -> Sidecar:
    """Return a sidecar for the page."""
    facts: Mapping[str, Any] = view.facts or {}
    user: Mapping[str, Any] = facts.get("user") or {}
    marks = []
    if view.facts is not None:
        marks.append(Badge(*VERDICTS.get(view.verdict, (view.verdict, "", ""))))
    if view.ours:
        marks.append(Badge("as we wrote it", "", "what is left out here is what an export wrote"))
    if view.offered:
        marks.append(Badge("changed since", "warn", "its tool says something else since you noted it"))
    if facts.get("gone"):
        marks.append(Badge("gone from Civitai", "warn", "the service no longer has it"))
    if user.get("favorite"):
        marks.append(Badge("favourite", "", "marked so in that tool"))
    if user.get("hidden"):
        marks.append(Badge("hidden", "", "hidden in that tool"))
    return Sidecar(
        name=words.visible(view.name),
        tool=TOOLS.get(view.tool or "", words.visible(view.tool or "")),
        badges=tuple(marks),
        problem=words.cut(view.problem or "", _TEXT),
        facts=(*_offered(view.offered), *_facts(facts, user)),
        triggers=tuple(Word(words.cut(word, 300)) for word in facts.get("trigger_words", ())[:_WORDS]),
        tags=tuple(Word(words.cut(tag, 300)) for tag in facts.get("tags", ())[:_WORDS]),
        texts=tuple(_texts(facts, user)),
    )


def _offered(offered: Mapping[str, Any]) -> Iterable[Fact]:
    for name, value in offered.items():
        if isinstance(value, list):
            text = " | ".join(", ".join(map(str, group)) for group in value)
        else:
            text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else words.number(value)
        yield Fact(f"since then, {name.replace('_', ' ')}", words.cut(text, 500))


def _facts(facts: Mapping[str, Any], user: Mapping[str, Any]) -> Iterable[Fact]:
    for source, called in ((user, _NOTED), (facts, _SAID)):
        for key, name in called.items():
            if (value := source.get(key)) not in {None, ""}:
                yield Fact(name, words.cut(words.number(value), 500))
    if (model_id := facts.get("model_id")) is not None:
        version = "" if facts.get("version_id") is None else f", version {facts['version_id']}"
        yield Fact("on Civitai", f"model {model_id}{version}")
    if source_url := facts.get("source_url"):
        yield Fact("source", words.cut(source_url, 500))
    if levels := _levels(facts):
        yield Fact("level", levels)
    if licence := ", ".join(_licence(facts.get("licence") or {})):
        yield Fact("licence", words.cut(licence, 500))
    if images := facts.get("images"):
        yield Fact("example images", words.count(len(images)))


def _levels(facts: Mapping[str, Any]) -> str:
    """Return the words of the bits that are set, or else what is said by yes or no."""
    nsfw, level = facts.get("nsfw"), facts.get("nsfw_level")
    if level:
        return ", ".join(word for bit, word in _LEVELS.items() if level & bit)
    return "" if nsfw is None else "NSFW" if nsfw else "not NSFW"


def _licence(licence: Mapping[str, Any]) -> Iterable[str]:
    for key, (yes, no) in _ALLOWED.items():
        if (said := licence.get(key)) is not None:
            yield yes if said else no
    uses = licence.get("commercial_use")
    if uses is not None:
        sold = [use for use in uses if use != "None"]
        yield f"commercial use: {', '.join(sold)}" if sold else "no commercial use"


def _texts(facts: Mapping[str, Any], user: Mapping[str, Any]) -> Iterable[Fact]:
    """Give the long texts as a person reads them: of a stranger's HTML only its text is kept."""
    for name, written in (
        ("Notes", user.get("notes")),
        ("Description", user.get("description")),
        ("About the version", facts.get("version_description")),
        ("About the model", facts.get("description")),
    ):
        if written and (text := readable(written)):
            yield Fact(name, words.cut(text, _TEXT))
