"""What the page of a lora says of the sidecars beside it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from registry.told import Licence, RemoteImage, SidecarFacts, UserFacts
from registry.views import SidecarView
from registry.web.beside import TOOLS, VERDICTS, sidecar
from tests.unit.web.samples import NOW

FACTS = SidecarFacts(
    "lora-manager",
    hashes=({"sha256": "a" * 64},),
    model_id=7,
    version_id=8,
    name="A name",
    version_name="v1",
    base_model="Illustrious",
    creator="somebody",
    description="<p>Use <b>sks</b></p><script>alert(1)</script>",
    trigger_words=("sks", "style\u202e"),
    tags=("anime",),
    source_url="https://example.com/x",
    user=UserFacts(notes="mine", activation_text="sks, red", weight=0.7, favorite=True),
)


def a_view(facts: SidecarFacts | None = FACTS, **changes: Any) -> SidecarView:
    told: dict[str, object] | None = None if facts is None else asdict(facts)
    tool = None if facts is None else facts.tool
    view = SidecarView(1, "x.metadata.json", "lora_manager", tool, "match", NOW, None, told)
    return replace(view, **changes)


def test_it_says_who_wrote_it_and_whether_for_this_file() -> None:
    page = sidecar(a_view())
    assert (page.name, page.tool) == ("x.metadata.json", "LoRA Manager")
    assert [badge.text for badge in page.badges] == ["of this file", "favourite"]
    assert [badge.text for badge in sidecar(a_view(verdict="differs")).badges] == [
        "of another file",
        "favourite",
    ]
    gone = sidecar(a_view(replace(FACTS, gone=True, user=UserFacts()), verdict="unsaid"))
    assert [badge.text for badge in gone.badges] == ["by its name", "gone from Civitai"]


def test_what_a_user_noted_comes_before_what_a_service_said() -> None:
    facts = [(fact.name, fact.value) for fact in sidecar(a_view()).facts]
    assert facts == [
        ("activation text", "sks, red"),
        ("preferred weight", "0.7"),
        ("name", "A name"),
        ("version", "v1"),
        ("base model", "Illustrious"),
        ("creator", "somebody"),
        ("on Civitai", "model 7, version 8"),
        ("source", "https://example.com/x"),
    ]


def test_nothing_of_a_strangers_html_is_kept() -> None:
    page = sidecar(a_view())
    assert [(text.name, text.value) for text in page.texts] == [
        ("Notes", "mine"),
        ("About the model", "Use sks"),
    ]
    assert [word.text for word in page.triggers] == ["sks", "style\\u202e"]


def test_what_a_person_typed_stays_as_it_is() -> None:
    user = UserFacts(notes="<lora:x:0.8> and <b>", description="<p>a <b>copy</b></p>", hidden=True)
    page = sidecar(a_view(SidecarFacts("x", user=user)))
    assert [text.value for text in page.texts] == ["<lora:x:0.8> and <b>", "a copy"]
    assert [badge.text for badge in page.badges] == ["of this file", "hidden"]


def facts_of(**said: Any) -> dict[str, str]:
    return {fact.name: fact.value for fact in sidecar(a_view(SidecarFacts("x", **said))).facts}


@pytest.mark.parametrize(
    ("licence", "line"),
    [
        (Licence(), None),
        (Licence(no_credit=False, commercial_use=(), derivatives=True, different_licence=False),
         "credit required, derivatives allowed, same licence required, no commercial use"),
        (Licence(no_credit=True, commercial_use=("Image", "Rent"), derivatives=False, different_licence=True),
         "use without credit, no derivatives, another licence allowed, commercial use: Image, Rent"),
        (Licence(commercial_use=("None",)), "no commercial use"),
    ],
)  # fmt: skip
def test_what_the_author_allows_is_one_line(licence: Licence, line: str | None) -> None:
    assert facts_of(licence=licence).get("licence") == line


@pytest.mark.parametrize(
    ("nsfw", "level", "words"),
    [
        (None, None, None),
        (True, None, "NSFW"),
        (False, 0, "not NSFW"),
        (None, 1, "PG"),
        (True, 60, "R, X, XXX, blocked"),
    ],
)
def test_levels_are_words(nsfw: object, level: object, words: str | None) -> None:
    assert facts_of(nsfw=nsfw, nsfw_level=level).get("level") == words


def test_example_images_are_counted() -> None:
    assert facts_of(images=(RemoteImage("https://a.b/c"),) * 3)["example images"] == "3"


def test_a_bad_sidecar_shows_what_is_wrong_and_nothing_else() -> None:
    page = sidecar(a_view(None, problem="it is not JSON: '{'"))
    assert page.problem == "it is not JSON: '{'"
    assert (page.tool, page.badges, page.facts, page.texts) == ("", (), (), ())


def test_every_tool_and_every_verdict_has_a_name() -> None:
    assert VERDICTS.keys() == {"match", "differs", "unchecked", "unsaid"}
    written = {
        "a1111", "civitai-browser-plus", "civitai-helper", "lora-manager", "rgthree", "sdnext",
        "stability-matrix", "swarmui", "text",
    }  # fmt: skip
    assert TOOLS.keys() == written


def test_what_its_tool_says_since_comes_first_and_is_marked() -> None:
    offered = {"note": "<b>theirs</b>", "weight": 0.5, "favorite": True, "triggers": [["ink, wash"], ["x"]]}
    page = sidecar(a_view(offered=offered, ours=True))
    assert [badge.text for badge in page.badges][1:3] == ["as we wrote it", "changed since"]
    assert [(fact.name, fact.value) for fact in page.facts[:4]] == [
        ("since then, note", "<b>theirs</b>"),
        ("since then, weight", "0.5"),
        ("since then, favorite", "yes"),
        ("since then, triggers", "ink, wash | x"),
    ]
