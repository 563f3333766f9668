"""The list of LoRAs as AUTOMATIC1111's web UI renders it."""

from __future__ import annotations

import json
import ntpath
import posixpath
from typing import Any

import pytest

from registry.wire import Operation, a1111


def shortened(value: object) -> str:
    return str(value)[:20]


def rendered(metadata: dict[str, str], **options: bool) -> dict[str, Any]:
    value = json.loads(a1111.metadata_json(metadata, **options).decode("utf-8"))
    assert isinstance(value, dict)
    return value


def test_only_values_that_start_with_a_brace_are_parsed() -> None:
    metadata = {
        "ss_bucket_info": '{"buckets": {"0": {"resolution": [512, 960], "count": 96}}}',
        "ss_reg_dataset_dirs": "{}",
        "ss_datasets": '[{"is_dreambooth": true}]',
        "ss_seed": "1337",
        "ss_v2": "False",
        "ss_resolution": "(768, 512)",
        "spaced": ' {"a": 1}',
        "empty": "",
    }
    shown = rendered(metadata)
    assert shown["ss_bucket_info"] == {"buckets": {"0": {"resolution": [512, 960], "count": 96}}}
    assert shown["ss_reg_dataset_dirs"] == {}
    untouched = metadata.keys() - {"ss_bucket_info", "ss_reg_dataset_dirs"}
    assert {key: shown[key] for key in untouched} == {key: metadata[key] for key in untouched}


def test_five_keys_come_first_and_the_others_keep_the_order_of_the_header() -> None:
    header = ["zeta", "ss_tag_frequency", "alpha", "ss_num_train_images", "ss_clip_skip", "ss_resolution",
              "ss_sd_model_name", "Beta"]  # fmt: skip
    shown = rendered(dict.fromkeys(header, "x"))
    assert list(shown) == ["ss_sd_model_name", "ss_resolution", "ss_clip_skip", "ss_num_train_images",
                           "ss_tag_frequency", "zeta", "alpha", "Beta"]  # fmt: skip


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 400 + ".5"], ids=shortened
)
def test_numbers_that_json_cannot_say_become_null(number: str) -> None:
    text = f'{{"mean_img_ar_error": {number}, "buckets": {{"0": [{number}, 1]}}}}'
    assert rendered({"ss_bucket_info": text})["ss_bucket_info"] == {
        "mean_img_ar_error": None,
        "buckets": {"0": [None, 1]},
    }


@pytest.mark.parametrize(
    "number", [2**63, -(2**63) - 1, 2**64 - 1, 2**64, -(10**50), 10**4000], ids=shortened
)
def test_integers_of_any_size_keep_every_digit(number: int) -> None:
    assert rendered({"a": f'{{"n": [[{number}]], "f": 1e300}}'})["a"] == {"n": [[number]], "f": 1e300}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{'a': 1}",
        '{"a": 1} x',
        '{"a": 1,}',
        '{"a": "\t"}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": ' + "[" * 100 + "]" * 100 + "}",
        '{"a": ' + "[" * 300 + "]" * 300 + "}",
        '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"a": NaN, "b": ' + "[" * 100 + "]" * 100 + "}",
        '{"a":' * 100_000,
    ],
    ids=shortened,
)
def test_what_cannot_be_parsed_stays_the_text_it_was(text: str) -> None:
    assert rendered({"key": text}) == {"key": text}


def test_nesting_up_to_the_bound_is_parsed() -> None:
    depth = a1111.MAX_NESTING
    text = '{"a":' * depth + "1" + "}" * depth
    assert rendered({"key": text})["key"] == json.loads(text)


def test_the_last_of_duplicate_keys_wins_as_in_python() -> None:
    assert rendered({"key": '{"a": 1, "b": 2, "a": 3}'})["key"] == {"a": 3, "b": 2}


def test_lone_surrogates_are_escaped_and_survive() -> None:
    metadata = {
        "title": "bad \ud800 \udcff 图",
        "\udc80": '{"tag \\ud83d": {"\\udfff": 1}}',
        "emoji": "\U0001f600",
    }
    encoded = a1111.metadata_json(metadata)
    assert b"bad \\ud800 \\udcff \xe5\x9b\xbe" in encoded
    assert json.loads(encoded.decode("utf-8")) == {
        "title": metadata["title"],
        "\udc80": {"tag \ud83d": {"\udfff": 1}},
        "emoji": "\U0001f600",
    }


def test_control_characters_and_nul_survive() -> None:
    metadata = {"a\x00b": '\x00\x1f\x7f\u2028"\\', "ß": "盲盒"}
    assert rendered(metadata) == metadata


def test_cover_images_are_dropped_unless_asked_for() -> None:
    metadata = {"ssmd_cover_images": '["aGVsbG8="]', "ss_v2": "True"}
    assert rendered(metadata) == {"ss_v2": "True"}
    assert rendered(metadata, keep_covers=True) == metadata


@pytest.mark.parametrize(
    "file_name",
    ["a.safetensors", "a.v1.safetensors", "a", ".safetensors", "..x", ".a.pt", "a.", "...", "", "盲盒.SFT"],
)
def test_the_name_loses_its_last_extension_only(file_name: str) -> None:
    assert a1111.name_of(file_name) == posixpath.splitext(file_name)[0]


def test_the_alias_is_the_output_name_even_if_it_says_none_or_nothing() -> None:
    assert a1111.alias_of({"ss_output_name": "None"}, "file") == "None"
    assert a1111.alias_of({"ss_output_name": ""}, "file") == ""
    assert a1111.alias_of({}, "file") == "file"


@pytest.mark.parametrize(
    ("start", "extension", "accepted", "visible"),
    [
        (b'{"', ".safetensors", True, True),
        (b'{"__metadata__"', ".SafeTensors", True, True),
        (b'{"', ".sft", True, False),
        (b"{'", ".safetensors", True, True),
        (b'{"', ".safetensors", False, False),
        (b'{ "', ".safetensors", True, False),
        (b' {"', ".safetensors", True, False),
        (b"{}", ".safetensors", True, False),
        (b"{", ".safetensors", True, False),
        (b"", ".safetensors", True, False),
        (b'{"', ".pt", True, False),
        (b'{"', ".ckpt", True, False),
        (b'{"', "", True, False),
    ],
)
def test_metadata_are_visible_only_where_the_web_ui_reads_them(
    *, start: bytes, extension: str, accepted: bool, visible: bool
) -> None:
    assert a1111.metadata_visible(start, extension, accepted=accepted) is visible


@pytest.mark.parametrize(
    ("root", "relative", "path"),
    [
        ("D:\\sd\\models\\Lora", "x.safetensors", "D:\\sd\\models\\Lora\\x.safetensors"),
        ("D:\\sd\\models\\Lora", "style/x.safetensors", "D:\\sd\\models\\Lora\\style\\x.safetensors"),
        ("D:/sd/models/Lora/", "x.safetensors", "D:\\sd\\models\\Lora\\x.safetensors"),
        ("C:\\", "x.safetensors", "C:\\x.safetensors"),
        ("\\\\nas\\loras", "a\\x.safetensors", "\\\\nas\\loras\\a\\x.safetensors"),
        ("\\\\?\\C:\\loras", "x.safetensors", "\\\\?\\C:\\loras\\x.safetensors"),
        ("/srv/Lora", "style/x.safetensors", "/srv/Lora/style/x.safetensors"),
        ("/srv/Lora/", "back\\slash.safetensors", "/srv/Lora/back\\slash.safetensors"),
        ("/", "x.safetensors", "/x.safetensors"),
    ],
)
def test_a_path_uses_the_separator_of_its_root(root: str, relative: str, path: str) -> None:
    assert a1111.join_path(root, relative) == path
    standard = posixpath.join(root, relative) if root.startswith("/") else ntpath.join(root, relative)
    assert ntpath.normpath(path) == ntpath.normpath(standard)


@pytest.mark.parametrize(
    ("directory", "hidden"),
    [
        ("/srv/Lora", False),
        ("/srv/.cache/Lora/style", True),
        ("/srv/Lora/.hidden", True),
        ("D:\\Lora\\.git", True),
        ("D:\\Lora\\a.b", False),
        (".relative", False),
    ],
)
def test_a_directory_is_hidden_by_a_dot_anywhere_in_its_full_path(*, directory: str, hidden: bool) -> None:
    assert a1111.hidden_directory(directory) is hidden


def test_an_item_has_exactly_four_keys_in_order() -> None:
    item = a1111.Item("näme", 'ali"as', "D:\\x\udcff.safetensors", b'{"a":1}')
    encoded = a1111.encode_item(item)
    assert json.loads(encoded.decode("utf-8")) == {
        "name": "näme",
        "alias": 'ali"as',
        "path": "D:\\x\udcff.safetensors",
        "metadata": {"a": 1},
    }
    assert list(json.loads(encoded)) == ["name", "alias", "path", "metadata"]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_the_list_is_the_items_joined(count: int) -> None:
    items = [a1111.Item(f"n{i}", f"a{i}", f"/p{i}", b"{}") for i in range(count)]
    (route,) = [route for route in a1111.ROUTES if route.operation is Operation.LIST_LORAS]
    body = b"".join(route.encode(items)).join(route.around)
    assert body == b"[" + b",".join(map(a1111.encode_item, items)) + b"]"
    assert len(json.loads(body)) == count


def test_rendered_metadata_pass_through_the_list_untouched() -> None:
    token = object()
    parts = list(a1111.encode_entries([a1111.Item("n", "a", "/p", token)]))
    assert parts == [b'{"name":"n","alias":"a","path":"/p","metadata":', token, b"}"]


def test_a_refresh_answers_null() -> None:
    assert b"".join(a1111.encode_refresh(())) == b"null"


def test_of_files_with_one_name_the_last_fills_the_place_of_the_first() -> None:
    rows = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5), ("a", 6)]
    arranged = list(a1111.arrange(rows, {"a": 6, "b": 5}))
    assert arranged == list(dict(rows).items()) == [("a", 6), ("b", 5), ("c", 4)]


def test_arranging_reads_no_further_than_it_gives() -> None:
    rows = iter([("a", 1), ("b", 2), ("c", 3)])
    arranged = a1111.arrange(rows, {})
    assert next(arranged) == ("a", 1)
    assert next(rows) == ("b", 2)


def test_the_routes_are_those_of_the_web_ui() -> None:
    assert {(route.method, route.path): route.operation for route in a1111.ROUTES} == {
        ("GET", "/sdapi/v1/loras"): Operation.LIST_LORAS,
        ("POST", "/sdapi/v1/refresh-loras"): Operation.REFRESH_LORAS,
    }
