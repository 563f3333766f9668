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
    kept = {"ss_steps": "5", "note": "see data:image/png;base64,aaaa", "ss_tag_frequency": "{}"}
    left_out = {
        "ssmd_cover_images": json.dumps([encoded(ONE)]),
        "modelspec.thumbnail": "data:image/jpeg;base64,aaaa",
        "modelspec.preview_image": "aaaa",
        "other": "data:image/webp;base64,aaaa",
        "list": '[ "data:image/webp;base64,aaaa"]',
        "prompt": "a cat",
        "workflow": "{}",
    }
    assert without_pictures({**kept, **left_out}) == kept
