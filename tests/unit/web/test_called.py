"""What a lora is called, with who says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry.shown import Shown, Source
from registry.told import Licence
from registry.web.called import called, version_page
from registry.web.provenance import said_by
from registry.web.sanitised import Prose
from tests.unit.web.samples import NOW

CIVITAI = Source("civitai", at=NOW)
USER = Source("user", at=NOW)
BY_CIVITAI = "Civitai, fetched 2023-11-14"
SHOWN = Shown(
    name="Ink",
    model_name="Ink wash",
    version_name="v2",
    model_id=45,
    version_id=123,
    model_type="LORA",
    base_model="Pony",
    description="<p>a <script>x</script><b>b</b></p>",
    notes="mine",
    triggers=(("ink wash", "sumi-e"), ("ink",)),
    negative_text="photo",
    weight=0.75,
    clip_skip=2,
    tags=("style",),
    user_tags=("水墨",),
    creator="konan",
    licence=Licence(no_credit=False, commercial_use=()),
    nsfw_level=2,
    rating=4,
    sources={
        "name": USER, "notes": USER, "user_tags": USER, "weight": USER, "rating": USER, "nsfw_level":
        Source("estimate"), "triggers": Source("sidecar", "civitai-helper", NOW), "negative_text": USER,
        **dict.fromkeys(
            ("model_name", "version_name", "model_type", "base_model", "creator", "licence", "tags",
             "description"), CIVITAI,
        ),
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, ""),
        (USER, "you, 2023-11-14"),
        (Source("user"), "you"),
        (CIVITAI, BY_CIVITAI),
        (Source("civitai", "civarchive", NOW), "CivArchive, fetched 2023-11-14"),
        (Source("civitai", "other\u202e"), "other\\u202e"),
        (Source("sidecar", "civitai-helper", NOW), "sidecar of Civitai Helper"),
        (Source("sidecar"), "a sidecar"),
        (Source("header"), "the header"),
        (Source("file"), "the file name"),
        (Source("estimate"), "estimated from names and tags"),
        (Source("dream"), "dream"),
    ],
)
def test_who_said_it_is_told_in_few_words(source: Source | None, words: str) -> None:
    assert said_by(source) == words


def test_facts_say_who_said_them_once_where_most_are_by_one() -> None:
    page = called(SHOWN)
    assert (page.name, page.own, page.facts_by) == ("Ink", True, BY_CIVITAI)
    facts = {fact.name: (fact.value, fact.by) for fact in page.facts}
    assert facts == {
        "name": ("Ink", "you, 2023-11-14"),
        "model": ("Ink wash", ""),
        "version": ("v2", ""),
        "creator": ("konan", ""),
        "type there": ("LORA", ""),
        "base model there": ("Pony", ""),
        "licence": ("credit needed\nno commercial use", ""),
        "level": ("PG-13", "estimated from names and tags"),
    }


def test_links_lead_to_civitai_by_number_and_to_searches_here() -> None:
    facts = {fact.name: fact for fact in called(SHOWN).facts}
    assert facts["model"].away == "https://civitai.com/models/45"
    assert facts["version"].away == "https://civitai.com/models/45?modelVersionId=123"
    assert facts["creator"].url == "/?q=creator%3Akonan"
    assert version_page(None, 123) is None


def test_an_address_of_a_stranger_is_no_link() -> None:
    page = called(Shown("x", source_url="javascript:alert(1)"))
    (source,) = [fact for fact in page.facts if fact.name == "source"]
    assert (source.url, source.away, source.value) == (None, None, "javascript:alert(1)")


def test_what_it_takes_to_use_it_is_told_with_who_says_so() -> None:
    page = called(SHOWN)
    assert [one.text for one in page.triggers] == ["ink wash, sumi-e", "ink"]
    assert page.triggers_by == "sidecar of Civitai Helper"
    assert [(fact.name, fact.value, fact.by) for fact in page.use] == [
        ("preferred weight", "0.75", "you, 2023-11-14"),
        ("clip skip", "2", ""),
    ]
    assert page.negative == ("photo", "you, 2023-11-14")
    assert page.notes == ("mine", "you, 2023-11-14")
    assert (page.rating, page.stars) == (4, "★★★★☆")
    assert [(tags.name, tags.words[0].url) for tags in page.tags] == [
        ("Your tags", "/?q=usertag%3A%E6%B0%B4%E5%A2%A8"),
        ("Tags of the model", "/?q=ctag%3Astyle"),
    ]


def test_descriptions_are_sanitised_and_long_ones_folded() -> None:
    (about,) = called(SHOWN).descriptions
    assert about == ("About the model", Prose("<p>a <b>b</b></p>", ""), BY_CIVITAI, True)
    (long,) = called(replace(SHOWN, description="word " * 1000)).descriptions
    assert not long.opened
    assert called(replace(SHOWN, description="<p></p>")).descriptions[0].prose.text == ""
    assert called(replace(SHOWN, description=None)).descriptions == ()


def test_a_lora_of_which_nothing_is_known_goes_by_its_file() -> None:
    page = called(Shown("ink", sources={"name": Source("file")}))
    assert [(fact.name, fact.value, fact.by) for fact in page.facts] == [("name", "ink", "the file name")]
    assert (page.own, page.triggers, page.use, page.negative, page.stars) == (False, (), (), None, "")


def test_lists_of_strangers_are_bounded() -> None:
    many = called(replace(SHOWN, triggers=(("x" * 20_000,),) * 500, tags=("y" * 1000,) * 500))
    assert len(many.triggers) == 100
    assert many.triggers[0].text.endswith("(20,000 characters)")
    assert len(many.tags[1].words) == 100
    assert len(many.tags[1].words[0].text) < 600
