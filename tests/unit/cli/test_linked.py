"""What `loras show` says of Civitai."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.linked import describe_linked
from registry.formats.civitai import model_of, version_of
from registry.formats.showing import Voices, show
from registry.links import Link, LinkedModel, LinkedVersion, Update
from tests.support.civitai_answers import file_answer, model_answer, version_answer, version_shown

if TYPE_CHECKING:
    import pytest

DAY = 86_400_000


def linked(state: str = "found", updates: tuple[Update, ...] = (), source: str = "civitai") -> Link:
    answer = model_answer(
        7,
        [version_answer(70, [file_answer("1" * 64)])],
        name="Ink\x1b[31m",
        tags=["画风"],
        creator="somebody",
    )
    version, model = version_of(version_shown(answer, answer["modelVersions"][0])), model_of(answer)
    assert version is not None
    assert model is not None
    return Link(
        state,
        "sha256",
        0,
        None,
        None,
        (LinkedVersion(version, DAY, None, source),),
        LinkedModel(model, DAY),
        updates,
    )


def said(capsys: pytest.CaptureFixture[str], link: Link | None) -> str:
    describe_linked(link, show(Voices("a", link=link)))
    return capsys.readouterr().out


def test_nothing_is_said_where_nobody_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, None) == ""


def test_model_version_creator_and_licence_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, linked())
    for part in ("somebody", "v1.0", "画风", "https://civitai.com/models/7?modelVersionId=70", "level"):
        assert part in text
    assert "\x1b" not in text


def test_updates_are_named_with_what_holds_them_back(capsys: pytest.CaptureFixture[str]) -> None:
    late = Update(71, "v2", 400 * DAY, 500 * DAY, have=False)
    there = Update(72, None, 300 * DAY, None, have=True)
    text = said(capsys, linked(updates=(there, late)))
    assert "newer: 72 of 1970-10-28, you have it already" in text
    assert "newer: v2 of 1971-02-05, early access until 1971-05-16" in text


def test_several_versions_are_listed_and_another_source_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "versions with this file" in said(capsys, linked("ambiguous"))
    assert "as civarchive has it" in said(capsys, linked(source="civarchive"))
    assert "no longer on Civitai" in said(capsys, linked("gone"))
