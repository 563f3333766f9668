from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.search.matcher import matches
from registry.search.nodes import Saved
from registry.search.query import parse
from registry.views import SearchFile, SearchRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_715_940_000_000


def a_file(folder: str = "style/anime", name: str = "DetailTweakerXL_v2", **more: Any) -> SearchFile:
    path = f"{folder}/{name}.safetensors".lstrip("/")
    return SearchFile(1, "loras", path, folder, name, "present", hashed=True, **more)


def a_record(*files: SearchFile, **more: Any) -> SearchRecord:
    known = {"size": 200 << 20, "date": NOW, "added": NOW, "kind": "lora", "name": "DetailTweakerXL_v2"}
    return SearchRecord(id=12, files=files or (a_file(),), **{**known, **more})


def finds(text: str, record: SearchRecord) -> bool:
    parsed = parse(text, NOW)
    assert not parsed.warnings
    return matches(parsed.query.where, record)


def test_everything_is_found_by_nothing() -> None:
    assert finds("", a_record())


@pytest.mark.parametrize(
    "text",
    [
        "detail tweaker",
        "detailtweaker",
        "DetailTweakerXL_v2",
        "xl",
        "v2",
        "detailtweakerxlv2",
        "xlv2",
        "DÉTAIL",
    ],
)
def test_a_name_is_found_by_its_parts_and_by_parts_joined(text: str) -> None:
    assert finds(text, a_record())
    assert finds(f"name:{text.replace(' ', '_')}", a_record())


@pytest.mark.parametrize("text", ["detai", "weaker", "tweakerdetail", "tweaker_detail", '"tweaker detail"'])
def test_a_name_is_not_found_by_what_is_not_one_of_its_parts(text: str) -> None:
    assert not finds(text, a_record())


def test_a_beginning_finds_what_begins_so() -> None:
    for text in ("det*", "tweak*", "detail_twe*", "DetailTwe*", "detailtwe*", '"detail twe"*', "name:det*"):
        assert finds(text, a_record())
    assert not finds("eaker*", a_record())
    assert not finds('"det tweaker"*', a_record())


@pytest.mark.parametrize("text", ["long_ha*", '"long ha"*', "LONG_HA*"])
def test_a_phrase_that_is_begun_is_looked_for_in_short_texts_and_from_the_start_of_tags(text: str) -> None:
    assert finds(text, a_record(a_file(name="my_long_hair")))
    assert finds(text, a_record(claimed=("very long hair",)))
    assert finds(text, a_record(tags=(("long_hair", 1),)))
    assert not finds(text, a_record(tags=(("very_long_hair", 1),)))
    assert not finds(text, a_record(description="with long hair"))
    assert finds("long hai*", a_record(description="with long hair"))


def test_words_may_stand_in_different_texts_but_a_phrase_stands_in_one() -> None:
    record = a_record(a_file(name="red"), claimed=("dress",))

    assert finds("red dress", record)
    assert not finds('"red dress"', record)
    assert finds('"red dress"', a_record(a_file(name="a red_dress b")))
    assert not finds('"red dress"', a_record(a_file(name="red"), a_file(name="dress")))


def test_the_parts_of_one_word_stand_anywhere_or_in_the_field_that_is_asked_for() -> None:
    record = a_record(a_file(name="red"), claimed=("dress",))

    assert finds("red/dress", record)
    assert not finds("name:red/dress", record)
    assert finds("name:red/dress", a_record(a_file(name="red"), a_file(name="dress")))


def test_chinese_is_found_by_pairs_and_by_single_characters() -> None:
    record = a_record(a_file(name="Baby Roy盲盒"), datasets=("漢服少女",))

    for text in ("盲盒", "盲", "盒", "汉服", "漢服", "服少女", '"roy 盲盒"', "盲*", "trigger:汉服"):
        assert finds(text, record)
    for text in ("盒盲", "汉女", "猫"):
        assert not finds(text, record)


def test_free_words_are_looked_for_wherever_a_hit_counts() -> None:
    record = a_record(
        claimed=("sks",),
        tags=(("long_hair", 9),),
        header={"comment": "better hands", "sd_model_name": "animagine.ckpt"},
        description="for portraits",
    )

    for text in ("sks", '"long hair"', "hands", "portraits", "animagine", "anime"):
        assert finds(text, record)
    assert not finds("safetensors", record)
    assert finds("path:safetensors", record)


def test_a_word_finds_the_tags_that_it_translates_to() -> None:
    record = a_record(tags=(("Long_Hair", 9),))

    def translate(word: str) -> Sequence[str]:
        return ["long hair"] if word == "长发" else []

    assert matches(parse("长发", NOW).query.where, record, translate)
    assert matches(parse("-(x OR -长发)", NOW).query.where, record, translate)
    assert not matches(parse("长发", NOW).query.where, record)
    assert not matches(parse('"长发"', NOW).query.where, record, translate)
    assert not matches(parse("长发*", NOW).query.where, record, translate)


def test_whole_values_are_compared_folded() -> None:
    record = a_record(tags=(("Long_Hair", 9), ("café", 2)), header={"trainer": "kohya-ss"})

    for text in (
        "tag:long_hair",
        'tag:"LONG  hair"',
        "tag:cafe",
        "tag:long*",
        "trainer:kohya*",
        "tag:x,café",
    ):
        assert finds(text, record)
    for text in ("tag:long", "tag:hair*", "trainer:kohya"):
        assert not finds(text, record)


def test_numbers_lie_between_their_bounds() -> None:
    record = a_record(
        header={"rank": 32, "learning_rate": 0.0001, "resolution_width": 832, "resolution_height": 1216}
    )

    for text in ("rank:32", "rank:8,32", "rank:32..", "rank:..32", "lr:1e-4", "lr:>9e-5", "size:200mb"):
        assert finds(text, record)
    for text in ("res:1216", "res:832x1216", "res:1024..", "date:2024", "added:-1d", "year:2024", "id:12"):
        assert finds(text, record)
    for text in (
        "rank:>32",
        "rank:<32",
        "lr:>1e-4",
        "lr:<1e-4",
        "res:832",
        "res:1216x832",
        "date:>2024",
        "alpha:..9",
    ):
        assert not finds(text, record)


def test_what_is_known_of_a_field() -> None:
    record = a_record(header={"rank": 32, "optimizer": ""})

    for text in ("rank:*", "alpha:none", "optimizer:none", "tag:none", "-tag:*", "name:*", "comment:none"):
        assert finds(text, record)
    assert not finds("rank:none", record)


def test_a_folder_is_one_of_those_above() -> None:
    record = a_record(a_file("Style/Anime X"), a_file("backup"))

    for text in (
        "folder:style",
        'folder:"style/anime x"',
        "folder:/style/anime_x/",
        "folder:style/an*",
        "in:backup",
    ):
        assert finds(text, record)
    for text in ("folder:anime_x", "folder:sty", "folder:style/anime", "folder:/"):
        assert not finds(text, record)


def test_the_root_itself_is_a_folder() -> None:
    assert finds("folder:/", a_record(a_file("")))
    assert finds("folder:*", a_record(a_file("")))
    assert not finds("folder:/", a_record(a_file("style")))


def test_any_file_counts() -> None:
    record = a_record(a_file(name="one", hashes=("abcdef1234",)), a_file(name="two", verdicts=("differs",)))

    for text in ("one two", "hash:ABCDEF12", "verdict:differs", "dup:yes", "missing:no"):
        assert finds(text, record)
    for text in ("hash:bcdef123", "dup:no", "missing:yes"):
        assert not finds(text, record)


def test_terms_are_combined() -> None:
    record = a_record(header={"architecture": "sdxl"})

    assert finds("arch:sdxl -xl OR detail", record)
    assert finds("-(arch:flux1 OR nothing)", record)
    assert not finds("arch:sdxl (nothing OR -detail)", record)


def test_saved_searches_must_have_been_replaced() -> None:
    with pytest.raises(ValueError, match="not replaced"):
        matches(Saved("mine"), a_record())
