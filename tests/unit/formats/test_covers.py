"""Pictures inside headers."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.formats.covers import MAX_COVER, MAX_COVERS, embedded, without_pictures

ONE, TWO, THREE = b"\x89PNG one", b"\xff\xd8 two", b"RIFF three"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def test_covers_come_before_thumbnails() -> None:
    metadata = {
        "modelspec.thumbnail": f"data:image/jpeg;base64,{encoded(THREE)}",
        "ssmd_cover_images": json.dumps([encoded(ONE), encoded(TWO)]),
    }
    assert embedded(metadata) == [ONE, TWO, THREE]


@pytest.mark.parametrize(
    "written",
    [
        encoded(ONE),
        encoded(ONE).rstrip("="),
        encoded(ONE)[:4] + "\r\n " + encoded(ONE)[4:],
        f"data:image/png;base64,{encoded(ONE)}",
        f"DATA:;charset=x;BASE64,{encoded(ONE)}",
    ],
)
def test_base64_is_read_as_it_is_met(written: str) -> None:
    assert embedded({"ssmd_cover_images": json.dumps([written])}) == [ONE]
    assert embedded({"modelspec.thumbnail": written}) == [ONE]
    assert embedded({"modelspec.preview_image": written}) == [ONE]


@pytest.mark.parametrize(
    "written",
    ["", "None", "[", "{}", "null", "[null, 1, {}, [], true]", '[""]', '["a"]', '["%%%"]', '["\\ud800"]',
     '["data:image/svg+xml,<svg/>"]', '"' + encoded(ONE) + '"', "[" * 10_000],
)  # fmt: skip
def test_what_is_no_list_of_base64_is_left_out(written: str) -> None:
    assert embedded({"ssmd_cover_images": written}) == []


@pytest.mark.parametrize(
    "written",
    ["", "http://127.0.0.1/a.png", "file:///etc/passwd", "data:image/svg+xml;utf8,<svg/>", "\ud800"],
)
def test_addresses_are_not_followed(written: str) -> None:
    assert embedded({"modelspec.thumbnail": written}) == []


def test_a_header_without_pictures_has_none() -> None:
    assert embedded({"ss_network_dim": "16"}) == []


def test_each_picture_is_given_once() -> None:
    assert embedded(
        {
            "ssmd_cover_images": json.dumps([encoded(ONE), encoded(TWO), encoded(ONE)]),
            "modelspec.thumbnail": encoded(TWO),
        }
    ) == [ONE, TWO]


def test_there_are_bounds_of_number_and_size() -> None:
    many = [encoded(str(at).encode()) for at in range(100)]
    assert len(embedded({"ssmd_cover_images": json.dumps(many)})) == MAX_COVERS

    fits, too_long = bytes(MAX_COVER), bytes(MAX_COVER + 1)
    found = embedded({"ssmd_cover_images": json.dumps([encoded(too_long), encoded(fits), encoded(ONE)])})
    assert [len(one) for one in found] == [MAX_COVER, len(ONE)]


@given(st.dictionaries(st.sampled_from(["ssmd_cover_images", "modelspec.thumbnail"]), st.text()))
def test_no_text_is_too_odd(metadata: dict[str, str]) -> None:
    assert all(embedded(metadata))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_no_json_is_too_odd(value: object) -> None:
    assert all(embedded({"ssmd_cover_images": json.dumps(value)}))


def test_metadata_without_pictures_have_no_prompts_and_workflows_either() -> None:
    kept = {
        "ss_steps": "5",
        "note": "see data: images, a prompt: none",
        "ss_tag_frequency": '{"1_prompt": {"prompt": 3, "workflow": 1, "\\u0064ata": 2}}',
        "instance_prompt": "sks dog",
        "ss_network_args": '{"parameters": "1"}',
    }
    left_out = {
        "ssmd_cover_images": json.dumps([encoded(ONE)]),
        "modelspec.thumbnail": "data:image/jpeg;base64,aaaa",
        "modelspec.preview_image": "aaaa",
        "other": "data:image/webp;base64,aaaa",
        "list": '[ "data:image/webp;base64,aaaa"]',
        "prompt": "a cat",
        "workflow": "{}",
        "Prompt": "a cat",
        " WORKFLOW": "{}",
        "negative_prompt": "a dog",
        "negativePrompt": "a dog",
        "parameters": "a cat\nSteps: 20",
        "extra_pnginfo": "{}",
        "ss_sample_prompts": "a cat",
        "sd.validation_prompt": "a cat",
        "note2": "see DATA:IMAGE/png;base64,aaaa",
        "object": '{"a": ["data:image\\/png;base64,aaaa"]}',
        "escaped": '{"a": "\\u0064\\u0061ta:im\\u0061ge/png;base64,aaaa"}',
        "data:image/png;base64,aaaa": "",
        "ot_config": '{"samples": [{"prompt": "a cat"}]}',
        "config": '{"sample": {"prompts" : [\n"a cat"]}}',
        "twice": json.dumps(json.dumps({"negativePrompt": "a dog"})),
    }
    assert without_pictures({**kept, **left_out}) == kept


CASES = st.lists(st.booleans())
TOLD = ("prompt", "workflow", "parameters", "extra_pnginfo", "ssmd_cover_images", "modelspec.thumbnail")


def written_oddly(text: str, upper: list[bool]) -> str:
    return "".join(c.upper() if up else c for c, up in zip(text, upper + [False] * len(text), strict=False))


@given(st.sampled_from(TOLD), CASES, st.text())
def test_a_key_of_pictures_is_known_in_any_case(key: str, upper: list[bool], text: str) -> None:
    assert without_pictures({written_oddly(key, upper): text, "ss_steps": "5"}) == {"ss_steps": "5"}


@given(beside=JSON, upper=CASES, times=st.integers(0, 3), escaped=st.booleans())
def test_a_picture_is_found_however_deep_it_stands(
    *, beside: object, upper: list[bool], times: int, escaped: bool
) -> None:
    text = json.dumps({"a": [beside, {"b": written_oddly("data:image/png;base64,aaaa", upper)}]})
    if escaped:
        text = text.replace("/", "\\/").replace("ata:", "\\u0061ta:")
    for _ in range(times):
        text = json.dumps(text)
    assert without_pictures({"other": text}) == {}


@given(st.dictionaries(st.text(), st.text() | JSON.map(json.dumps)))
def test_what_is_left_is_as_it_was_and_nothing_more_is_left_out_of_it(metadata: dict[str, str]) -> None:
    left = without_pictures(metadata)
    assert left.items() <= metadata.items()
    assert list(left) == [key for key in metadata if key in left]
    assert without_pictures(left) == left


@given(st.dictionaries(st.sampled_from(["ss_steps", "ss_v2", "modelspec.title"]), st.text("abc {}[]:1'/")))
def test_ordinary_metadata_stay(metadata: dict[str, str]) -> None:
    assert without_pictures(metadata) == metadata
