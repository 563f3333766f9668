"""What stands in the form, and what others say beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from registry.links import Link, LinkedVersion
from registry.shown import Shown, Source
from registry.views import LoraDetail
from registry.web.editing import Editor, Option, editor
from tests.unit.web.samples import LORA, NOW
from tests.unit.web.test_origin import TOLD

SHOWN = Shown(
    "Ink wash",
    triggers=(("ink", "wash"),),
    weight=0.8,
    notes="theirs",
    nsfw_level=4,
    favorite=True,
    sources={
        "name": Source("civitai", at=NOW), "triggers": Source("header"), "nsfw_level": Source("estimate"),
        "weight": Source("user", at=NOW), "notes": Source("sidecar", "lora-manager", NOW),
    },
)  # fmt: skip


def form(typed: dict[str, str] | None = None, link: Link | None = None, **noted: Any) -> Editor:
    found: dict[str, object] = {"architecture": "sdxl", "adapter": "lokr", "kind": "lora"}
    detail = LoraDetail(LORA, found, {}, [], {}, [], [], [], SHOWN, link, noted)
    return editor(detail, 31, typed)


def chosen(options: tuple[Option, ...]) -> list[str]:
    return [one.value for one in options if one.selected]


def test_what_is_noted_stands_in_the_form_and_what_others_say_beside_it() -> None:
    page = form(weight=0.8, rating=3, tags=["a", "b"])
    assert (page.revision, page.opened) == (31, False)
    assert (page.texts["weight"], page.texts["tags"], page.texts["display_name"]) == ("0.8", "a\nb", "")
    assert page.hints == {
        "display_name": "Ink wash",
        "note": "theirs",
        "triggers": "ink, wash",
        "nsfw": "R",
    }
    assert page.by["note"] == "sidecar of LoRA Manager"
    assert (page.favorite, page.hidden) == (True, False)


def test_each_choice_has_one_value_that_is_chosen() -> None:
    page = form(nsfw=1, rating=0, kind="vae", architecture="flux1", adapter="lora")
    every = (page.levels, page.ratings, page.kinds, page.architectures, page.adapters, page.versions)
    assert [chosen(one) for one in every] == [["pg"], ["0"], ["vae"], ["flux1"], ["lora"], [""]]
    bare = form()
    every = (bare.levels, bare.ratings, bare.kinds, bare.architectures, bare.adapters, bare.versions)
    assert [chosen(one) for one in every] == [[""]] * 6
    assert bare.architectures[0].label == "as identified: Stable Diffusion XL"
    assert bare.adapters[0].label == "as identified: LoKr"
    assert bare.levels[0].label == "as others say: R"
    assert "ambiguous" not in [one.value for one in bare.architectures]


def test_versions_are_those_that_have_the_file_the_one_that_was_chosen_and_none() -> None:
    link = Link("ambiguous", versions=(LinkedVersion(TOLD, NOW), LinkedVersion(replace(TOLD, id=124), NOW)))
    assert [one.value for one in form(link=link).versions] == ["", "123,45", "124,45", "none"]
    other = form(link=link, civitai={"version": 9, "model": None}).versions
    assert [one.value for one in other] == ["", "123,45", "124,45", "9", "none"]
    assert chosen(other) == ["9"]
    assert chosen(form(civitai={"unlinked": True}).versions) == ["none"]


def test_what_was_typed_and_refused_stays_in_the_form() -> None:
    page = form({"note": "typed", "weight": "heavy", "favorite": "", "nsfw": "odd"}, weight=0.8)
    assert (page.texts["note"], page.texts["weight"], page.favorite, page.opened) == (
        "typed",
        "heavy",
        False,
        True,
    )
    assert chosen(page.levels) == ["odd"]
