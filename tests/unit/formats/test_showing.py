"""Which voice is heard: the user, what people typed elsewhere, Civitai, sidecars, the header, the file."""

from __future__ import annotations

from dataclasses import fields

import pytest

from registry.asked import FOUND, GONE
from registry.curation import Curation, Noted
from registry.curation_values import CivitaiChoice
from registry.formats.showing import _FACTS, Beside, Voices, level_of, limited, show
from registry.levels import load_words
from registry.links import LINKED, UNLINKED, Link, LinkedModel, LinkedVersion
from registry.shown import Shown, Source
from registry.told import Licence, RemoteImage, RemoteModel, RemoteVersion, SidecarFacts, UserFacts

WORDS = load_words()
IMAGES = (RemoteImage("https://a/1", nsfw_level=1), RemoteImage("https://a/2", nsfw_level=8))


def version(**changes: object) -> RemoteVersion:
    nothing = dict.fromkeys(field.name for field in fields(RemoteVersion))
    known = {"trained_words": (), "stats": {}, "files": (), "images": (), "id": 70, "model_id": 7}
    return RemoteVersion(**{**nothing, **known, **changes})  # type: ignore[arg-type] # by name


def model(**changes: object) -> RemoteModel:
    nothing = dict.fromkeys(field.name for field in fields(RemoteModel))
    known = {"tags": (), "licence": Licence(), "stats": {}, "versions": (), "id": 7}
    return RemoteModel(**{**nothing, **known, **changes})  # type: ignore[arg-type] # by name


def link(told: RemoteVersion, of: RemoteModel | None = None, **more: object) -> Link:
    linked = None if of is None else LinkedModel(of, 6)
    return Link(FOUND, versions=(LinkedVersion(told, 5),), model=linked, **more)  # type: ignore[arg-type] # by name


def beside(tool: str = "lora-manager", **facts: object) -> Beside:
    return Beside(SidecarFacts(tool, **facts), 4)  # type: ignore[arg-type] # by name


def test_a_file_that_nobody_speaks_of_is_shown_by_its_name() -> None:
    shown = show(Voices("ink_v2"), WORDS)
    assert shown == Shown("ink_v2", sources={"name": Source("file")})


def test_names_are_heard_in_their_order() -> None:
    header = {"title": "of the header"}
    kept = beside(name="kept", user=UserFacts(title="typed"))
    civitai = link(version(model_name="civitai"), model(name="model"))
    everybody = Voices(
        "file", header, sidecars=[kept], link=civitai, curation=Curation(display_name="mine"),
        noted={"display_name": Noted("mine", 9)},
    )  # fmt: skip
    heard = []
    for left in (
        everybody,
        Voices("file", header, sidecars=[kept], link=civitai),
        Voices("file", header, sidecars=[beside(name="kept")], link=civitai),
        Voices("file", header, sidecars=[beside(name="kept")]),
        Voices("file", header),
    ):
        shown = show(left)
        heard.append((shown.name, shown.sources["name"]))
    assert heard == [
        ("mine", Source("user", None, 9)),
        ("typed", Source("sidecar", "lora-manager", 4)),
        ("model", Source("civitai", None, 6)),
        ("kept", Source("sidecar", "lora-manager", 4)),
        ("of the header", Source("header")),
    ]


def test_a_false_and_a_nought_of_the_user_win() -> None:
    typed = beside(user=UserFacts(favorite=True, hidden=True, weight=0.8))
    shown = show(Voices("a", sidecars=[typed], curation=Curation(favorite=False, rating=0, weight=0.0)))
    assert (shown.favorite, shown.hidden, shown.rating, shown.weight) == (False, True, 0, 0.0)


def test_trigger_words_of_the_user_stay_in_their_groups_and_others_as_they_were_written() -> None:
    civitai = link(version(trained_words=("ink wash, monochrome", "splash")))
    assert show(Voices("a", claimed=("sks",), link=civitai)).triggers == (
        ("ink wash, monochrome",),
        ("splash",),
    )
    own = Curation(triggers=(("ink", "wash"), ("splash",)))
    assert show(Voices("a", link=civitai, curation=own)).triggers == own.triggers
    assert show(Voices("a", claimed=("sks",))).triggers == (("sks",),)


def test_the_level_is_the_users_else_that_of_images_else_of_the_whole_else_a_guess() -> None:
    civitai = link(version(images_level=8, nsfw_level=1))
    assert level_of(Voices("nude", link=civitai, curation=Curation(nsfw=2)), WORDS) == 2
    assert level_of(Voices("nude", link=civitai), WORDS) == 8
    assert level_of(Voices("nude", link=link(version(nsfw_level=5))), WORDS) == 4
    assert level_of(Voices("nude", sidecars=[beside(nsfw_level=1)]), WORDS) == 1
    shown = show(Voices("nude"), WORDS)
    assert (shown.nsfw_level, shown.sources["nsfw_level"]) == (8, Source("estimate"))
    assert level_of(Voices("nude")) is None


def test_rare_tags_tell_no_level() -> None:
    assert level_of(Voices("a", tags=[("1girl", 100), ("nude", 20)]), WORDS) == 8
    assert level_of(Voices("a", tags=[("1girl", 100), ("nude", 19)]), WORDS) is None


def test_what_is_gone_is_shown_with_its_date() -> None:
    gone = Link(GONE, gone_at=3, versions=(LinkedVersion(version(name="v1"), 1),))
    shown = show(Voices("a", link=gone))
    assert (shown.version_name, shown.gone_at) == ("v1", 3)


def test_another_service_is_named() -> None:
    kept = Link(FOUND, versions=(LinkedVersion(version(name="v1"), 5, None, "civarchive"),))
    assert show(Voices("a", link=kept)).sources["version_name"] == Source("civitai", "civarchive", 5)


def test_what_services_say_in_sidecars_is_not_heard_where_the_user_unlinked() -> None:
    kept = beside(name="kept", version_id=70, model_id=7, nsfw_level=16, user=UserFacts(notes="typed"))
    shown = show(Voices("file", sidecars=[kept], link=Link(UNLINKED)), WORDS)
    assert (shown.name, shown.version_id, shown.model_id, shown.nsfw_level) == ("file", None, None, None)
    assert shown.notes == "typed"


def test_of_sidecars_only_those_of_the_chosen_version_are_heard() -> None:
    some = [beside(name="other", version_id=70), beside(name="none"), beside(name="same", version_id=80)]
    chosen = Link(LINKED, version_id=80, model_id=8)
    noted = {"civitai": Noted(CivitaiChoice(80, 8), 9)}
    shown = show(Voices("file", sidecars=some, link=chosen, noted=noted))
    assert (shown.model_name, shown.version_id, shown.model_id) == ("same", 80, 8)
    assert shown.sources["version_id"] == shown.sources["model_id"] == Source("user", None, 9)
    assert show(Voices("file", sidecars=some[:2], link=chosen)).name == "file"


def test_pictures_above_a_limit_are_left_out() -> None:
    images = (*IMAGES, RemoteImage("https://a/3"))
    shown = show(Voices("a", link=link(version(images=images, images_level=8))))
    assert [image.url for image in limited(shown, lambda level: (level or 0) <= 2).images] == ["https://a/1"]
    assert limited(shown, lambda _level: True) is shown


@pytest.mark.parametrize("name", [field.name for field in fields(Shown)])
def test_every_fact_has_somebody_who_may_say_it(name: str) -> None:
    assert name in _FACTS or name in {"nsfw_level", "gone_at", "sources"}
