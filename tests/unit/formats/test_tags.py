from __future__ import annotations

from typing import TYPE_CHECKING

from registry.formats.tags import MAX_TAGS, count_tags
from registry.views import TagCount

if TYPE_CHECKING:
    from registry.views import Note


def test_tags_add_up_over_all_folders() -> None:
    found = count_tags({"aaa": {"tag1": 59, "tag2": 2}, "bbb": {"tag1": 4, "tag3": 1}}, {}, [])

    assert found == (TagCount("tag1", 63), TagCount("tag2", 2), TagCount("tag3", 1))


def test_equal_counts_are_in_order_of_name() -> None:
    assert [each.tag for each in count_tags({"f": {"b": 1, "a": 1, "c": 2}}, {}, [])] == ["c", "a", "b"]


def test_the_share_is_of_all_images() -> None:
    found = count_tags({"1_a": {"x": 3}, "2_b": {"x": 1, "y": 2}}, {"1_a": 4, "2_b": 4, "other": 100}, [])

    assert found == (TagCount("x", 4, 0.5), TagCount("y", 2, 0.25))


def test_no_share_is_given_where_a_folder_is_unknown() -> None:
    assert count_tags({"1_a": {"x": 3}, "2_b": {"x": 1}}, {"1_a": 4}, []) == (TagCount("x", 4),)


def test_a_share_is_never_above_one() -> None:
    notes: list[Note] = []

    assert count_tags({"f": {"x": 9}}, {"f": 3}, notes) == (TagCount("x", 9, 1.0),)
    assert [note.slug for note in notes] == ["tag-share-clipped"]


def test_spellings_are_kept_as_written() -> None:
    written = {"dumbbell\uff0ccylinder": 1, " Solo ": 1, "solo": 1, "": 1}

    assert {each.tag for each in count_tags({"f": written}, {}, [])} == set(written)


def test_odd_counts_are_noted() -> None:
    notes: list[Note] = []
    frequency: dict[str, object] = {
        "f": {"a": "many", "b": -1, "c": None, "d": 2.0, "e": float("nan")},
        "g": None,
    }

    assert count_tags(frequency, {}, notes) == (TagCount("d", 2),)
    assert [note.slug for note in notes] == ["odd-value"]


def test_tags_without_folders_are_counted() -> None:
    assert count_tags({"a": 3, "b": 1}, {}, []) == (TagCount("a", 3), TagCount("b", 1))


def test_the_number_of_tags_is_bounded_and_the_frequent_ones_stay() -> None:
    notes: list[Note] = []

    found = count_tags({"f": {f"t{index}": index for index in range(MAX_TAGS + 5)}}, {}, notes)

    assert len(found) == MAX_TAGS
    assert found[0].tag == f"t{MAX_TAGS + 4}"
    assert [note.slug for note in notes] == ["shortened"]
