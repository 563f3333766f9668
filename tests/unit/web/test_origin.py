"""What Civitai knows of a lora: since when it is gone, what it may be, what is newer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from registry.links import Link, LinkedModel, LinkedVersion, Update
from registry.told import Licence, RemoteModel, RemoteVersion
from registry.views import LoraDetail
from registry.web.origin import Newer, Origin, choice_of, origin
from registry.web.presenters import Badge
from tests.unit.web.samples import LORA, NOW

DAY = 86_400_000
TOLD = RemoteVersion(
    id=123, model_id=45, name="v2", model_name="Ink wash", model_type="LORA", base_model="SDXL 1.0",
    description=None, trained_words=(), created_at=None, updated_at=None, published_at=NOW,
    availability=None, early_access_until=None, nsfw=None, nsfw_level=None, mode=None, stats={}, files=(),
    images=(),
)  # fmt: skip
VERSION = LinkedVersion(TOLD, NOW)
MODEL = LinkedModel(
    RemoteModel(45, "Ink wash", "LORA", None, None, (), None, None, Licence(), None, {}, ()), NOW
)


def shown(link: Link | None, **identified: Any) -> Origin:
    found: dict[str, object] = {"architecture": "sdxl", **identified}
    return origin(LoraDetail(LORA, found, {}, [], {}, [], [], [], link=link), NOW)


def test_one_that_nobody_asked_for_has_nothing_to_tell() -> None:
    assert shown(None) == Origin((), (), several=False, newer=())
    assert shown(Link("found", "sha256", NOW, versions=(VERSION,))).notices == ()


@pytest.mark.parametrize(
    ("link", "notice"),
    [
        (
            Link("gone", "sha256", NOW, gone_at=NOW + DAY, versions=(VERSION,)),
            "Civitai no longer has this version since 2023-11-15. What is shown is as it was on 2023-11-14.",
        ),
        (
            Link("found", "sha256", NOW, versions=(replace(VERSION, gone_at=NOW),)),
            "Civitai no longer has this version since 2023-11-14. What is shown is as it was on 2023-11-14.",
        ),
        (Link("gone", None, NOW), "Civitai no longer has this version."),
        (
            Link("found", "sha256", NOW, versions=(VERSION,), model=replace(MODEL, gone_at=NOW)),
            "Civitai no longer has this model since 2023-11-14.",
        ),
        (Link("not_found", None, NOW), "Civitai did not know this file when it was asked on 2023-11-14."),
        (Link("failed", None, NOW, error="<b>500</b>\u202e"), "Asking Civitai failed: <b>500</b>\\u202e."),
        (Link("failed"), "Asking Civitai failed: nobody knows why."),
        (Link("unlinked"), "You said that Civitai does not have it."),
        (Link("linked"), "You chose a version of Civitai that is not fetched yet."),
    ],
)
def test_what_asking_came_to_is_said_with_its_date(link: Link, notice: str) -> None:
    assert shown(link).notices == (notice,)


@pytest.mark.parametrize(
    ("said", "found", "disagree"),
    [
        ("Pony", "sdxl", False),
        ("Flux.1 D", "sdxl", True),
        ("SD 1.5", "sdxl", True),
        ("Other", "sdxl", False),
        ("Flux.1 D", "unknown", False),
        ("Flux.1 D", None, False),
        ("Flux.1 D", 7, False),
        (None, "sdxl", False),
    ],
)
def test_another_base_model_than_the_tensors_tell_is_evidence(
    said: str | None,
    found: object,
    disagree: bool,  # noqa: FBT001 - as the table has it
) -> None:
    link = Link("found", "sha256", NOW, versions=(LinkedVersion(replace(TOLD, base_model=said), NOW),))
    notices = shown(link, architecture=found).notices
    assert bool(notices) == disagree
    if disagree:
        assert f"Civitai says {said}, which is " in notices[0]
        assert "its tensors are those of Stable Diffusion XL" in notices[0]


def test_several_versions_are_all_told_to_be_chosen_from() -> None:
    other = LinkedVersion(replace(TOLD, id=124, name=None, model_name=None, model_id=None), NOW, gone_at=NOW)
    page = shown(Link("ambiguous", "sha256", NOW, versions=(VERSION, other)))
    assert page.several
    first, second = page.versions
    assert first == (
        "Ink wash · v2",
        "https://civitai.com/models/45?modelVersionId=123",
        "123,45",
        "base model SDXL 1.0, published 2023-11-14",
    )
    assert (second.label, second.away, second.choice) == ("version 124", None, "124")
    assert second.note.endswith("gone since 2023-11-14")
    assert not shown(Link("found", "sha256", NOW, versions=(VERSION,))).several


def test_newer_ones_say_whether_they_are_here_and_when_they_are_for_everybody() -> None:
    updates = (
        Update(130, "v3", NOW, None, have=True),
        Update(131, None, NOW + DAY, NOW + 9 * DAY, have=False),
        Update(132, "v5\u202e", NOW + 2 * DAY, NOW - DAY, have=False),
    )
    last, middle, first = shown(Link("found", "sha256", NOW, versions=(VERSION,), updates=updates)).newer
    assert first == Newer(
        "v3",
        "https://civitai.com/models/45?modelVersionId=130",
        "2023-11-14",
        (Badge("you already have it", "good", "a file of it is in the catalog"),),
    )
    assert middle.label == "version 131"
    assert [badge.text for badge in middle.badges] == ["early access until 2023-11-23"]
    assert (last.label, last.badges) == ("v5\\u202e", ())


def test_a_choice_is_written_as_the_form_reads_it() -> None:
    assert (choice_of(123, 45), choice_of(123, None)) == ("123,45", "123")
