from __future__ import annotations

import json

import pytest

from registry.formats.training import read_training
from registry.formats.triggers import MAX_WORDS, split_words, trigger_words
from registry.views import TriggerWord, TriggerWords


def words(metadata: dict[str, str]) -> TriggerWords:
    return trigger_words(metadata, read_training(metadata))


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("a, b", ("a", "b")),
        ("a\uff0cb\u3001c", ("a", "b", "c")),
        ("  one   word ", ("one word",)),
        ("(red, blue:1.2), x", ("(red, blue:1.2)", "x")),
        ("sks <lora:my_lora:0.8> man, <LyCO:x>", ("sks man",)),
        ("(open, b\nc", ("(open, b", "c")),
        ("), a", (")", "a")),
        ("<s1>, <s2>", ("<s1>", "<s2>")),
        (" , ,", ()),
        ("", ()),
    ],
)
def test_lists_of_words_are_split_with_care(phrase: str, expected: tuple[str, ...]) -> None:
    assert split_words(phrase) == expected


def test_claims_keep_order_and_source_and_come_once() -> None:
    found = words({"trained_words": "b, C", "ssmd_keywords": "a, c", "modelspec.trigger_phrase": "A"})

    assert found.claimed == (
        TriggerWord("A", "modelspec.trigger_phrase"),
        TriggerWord("c", "ssmd_keywords"),
        TriggerWord("b", "trained_words"),
    )


def test_trained_words_may_be_a_json_list() -> None:
    assert [word.word for word in words({"trained_words": '["x, y", 3, "z"]'}).claimed] == ["x", "y", "z"]
    assert [word.word for word in words({"trained_words": "[x"}).claimed] == ["[x"]
    assert words({"trained_words": "None"}).claimed == ()


def test_the_word_of_ai_toolkit_is_claimed() -> None:
    found = words(
        {"software": '{"name": "ai-toolkit"}', "ss_tag_frequency": '{"1_YEW": {"YEW": 1}}'},
    )

    assert found.claimed == (TriggerWord("YEW", "ss_tag_frequency"),)


def test_embedded_tokens_are_claimed() -> None:
    assert words({"<s1>": "<embed>", "x": "<embed>"}).claimed == (TriggerWord("<s1>", "<s1>"),)


def test_folder_names_lose_their_repeats_but_not_other_digits() -> None:
    dirs = {
        name: {"n_repeats": 1, "img_count": 1}
        for name in ("48_my name", "10_2b", "img", "5_3", "48_my name (2)")
    }

    found = words({"ss_dataset_dirs": json.dumps(dirs)})

    assert found.folders == (
        TriggerWord("my name", "ss_dataset_dirs: 48_my name"),
        TriggerWord("2b", "ss_dataset_dirs: 10_2b"),
        TriggerWord("img", "ss_dataset_dirs: img"),
    )
    assert found.claimed == ()


def test_class_tokens_count_and_regularisation_folders_do_not() -> None:
    subsets = [
        {"image_dir": "C:\\x\\7_neo", "class_tokens": "neo man", "is_reg": False},
        {"image_dir": "/x/1_man", "class_tokens": "man", "is_reg": True},
    ]

    found = words(
        {
            "ss_datasets": json.dumps([{"subsets": subsets}]),
            "ss_reg_dataset_dirs": '{"1_man": {"n_repeats": 1, "img_count": 2}}',
        }
    )

    assert [word.word for word in found.folders] == ["neo man", "neo"]


def test_regularisation_folders_do_not_count_wherever_they_are_named() -> None:
    by_list = words(
        {
            "ss_dataset_dirs": '{"10_sks woman": {"n_repeats": 10, "img_count": 5}}',
            "ss_reg_dataset_dirs": '{"1_woman": {"n_repeats": 1, "img_count": 100}}',
            "ss_tag_frequency": '{"10_sks woman": {"sks": 5}, "1_woman": {"woman": 100}}',
        }
    )
    subsets = [{"image_dir": "/x/7_neo", "is_reg": False}, {"image_dir": "/x/1_man", "is_reg": True}]
    by_subset = words(
        {
            "ss_datasets": json.dumps(
                [{"subsets": subsets, "tag_frequency": {"7_neo": {"a": 3}, "1_man": {"b": 9}}}]
            )
        }
    )

    assert [word.word for word in by_list.folders] == ["sks woman"]
    assert [word.word for word in by_subset.folders] == ["neo"]


def test_folders_of_musubi_count_and_lists_of_files_do_not() -> None:
    datasets = [
        {"image_directory": "C:\\x\\10_cat"},
        {"video_directory": "/clips/dog", "image_jsonl_file": None},
        {"image_jsonl_file": "/x/images.jsonl"},
        {"video_jsonl_file": "/x/videos.jsonl"},
        {"subsets": [{"image_dir": "/x/fine", "metadata_file": "meta.json"}, {"metadata_file": "more.json"}]},
    ]

    found = words({"ss_datasets": json.dumps(datasets)})

    assert found.folders == (
        TriggerWord("cat", "ss_datasets: 10_cat"),
        TriggerWord("dog", "ss_datasets: dog"),
    )


def test_tags_are_those_of_the_training() -> None:
    metadata = {"ss_tag_frequency": '{"1_a": {"x": 2, "y": 5}}'}

    assert words(metadata).tags == read_training(metadata).tags


def test_the_number_of_words_is_bounded() -> None:
    assert len(words({"trained_words": ",".join(f"w{index}" for index in range(9000))}).claimed) == MAX_WORDS
