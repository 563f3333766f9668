"""Bytes of sidecars: encodings, JSON as strangers write it, and the tool for each family."""

from __future__ import annotations

import contextlib
import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.wire import sidecars
from registry.wire.companions import SIDECAR_FAMILIES
from registry.wire.sidecars import MAX_SIDECAR, BadSidecar, decode, read_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.told import SidecarFacts

FAMILIES = sorted(SIDECAR_FAMILIES.values())
JAPANESE = "日本語の説明です"


def read(family: str, data: bytes) -> SidecarFacts:
    facts = read_sidecar(family, data)
    assert facts is not None
    return facts


def test_every_family_of_companions_has_its_tool() -> None:
    assert sorted(sidecars._READERS) == FAMILIES
    families = [family for tool in sidecars._TOOLS for family in tool.FAMILIES]
    assert len(set(families)) == len(families)


@pytest.mark.parametrize(
    ("family", "value", "tool"),
    [
        ("civitai_helper", {"id": 3, "modelId": 2}, "civitai-helper"),
        ("lora_manager", {"model_name": "Hats"}, "lora-manager"),
        ("stability_matrix", {"ModelId": 2}, "stability-matrix"),
        ("swarmui", {"modelspec.title": "Hats"}, "swarmui"),
        ("rgthree", {"name": "Hats"}, "rgthree"),
        ("civitai_browser_plus", {"id": 2, "modelVersions": []}, "civitai-browser-plus"),
        ("user_json", {"activation text": "hat"}, "a1111"),
    ],
)
def test_a_family_is_read_by_its_tool(family: str, value: object, tool: str) -> None:
    assert read(family, json.dumps(value).encode()).tool == tool


@pytest.mark.parametrize("family", ["text", "a1111"])
def test_texts_need_not_be_json(family: str) -> None:
    assert read(family, b"{red hat").user.description == "{red hat"
    assert read_sidecar(family, b"") is None
    assert read_sidecar(family, b"\x00" * 64) is None


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("汉服 hànfú", "utf-8"),
        ("汉服", "utf-8-sig"),
        ("汉服", "utf-16"),
        ("汉服, 说明。", "gb18030"),
        ("漢服與説明", "gb18030"),
        ("汉服 𠮷", "gb18030"),
        ("日本語", "cp932"),
        (JAPANESE, "cp932"),
        ("ｱﾆﾒ", "cp932"),
        ("カタカナ、高画質", "cp932"),
        ("a “café” – résumé", "cp1252"),
        ("plain", "ascii"),
        ("", "ascii"),
    ],
)
def test_an_encoding_is_recognised(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_utf_16_of_either_order_needs_its_mark() -> None:
    assert decode(b"\xff\xfe" + "汉".encode("utf-16-le")) == "汉"
    assert decode(b"\xfe\xff" + "汉".encode("utf-16-be")) == "汉"
    with pytest.raises(BadSidecar, match="UTF-16"):
        decode(b"\xff\xfe\x00")


def test_bytes_of_no_text_are_refused() -> None:
    with pytest.raises(BadSidecar, match="it is not text"):
        decode(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xe1\x8f\x90Exif",
        b"\xff\xd8\xff\xdb\x84\x8d\x9d C",
        b"caf\xe9 \x81 au lait",
        "a\x85b".encode("gb18030"),
        "a\x01b".encode("utf-16"),
    ],
)
def test_what_no_text_holds_makes_a_file_binary(data: bytes) -> None:
    with pytest.raises(BadSidecar, match=r"^it is not text$"):
        read_sidecar("text", data)


@given(st.binary(max_size=64))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadSidecar):
        assert isinstance(decode(data), str)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('{"activation text": "汉服"}'.encode("gb18030"), "汉服"),
        (b'\xef\xbb\xbf{"activation text": "hat"}', "hat"),
        ('{"activation text": "日本語"}'.encode("cp932"), "日本語"),
        (b'{"activation text": "hat", "preferred weight": NaN}', "hat"),
        (b'{"activation text": "hat", "preferred weight": -Infinity}', "hat"),
        (b'{"activation text": "\\ud800 hat\\u0000"}', "\ufffd hat␀"),
        (b'{"activation text": "hat\x01"}', "hat\x01"),
        (b'{"activation text": "hat", "modelId": ' + b"9" * 5000 + b"}", "hat"),
        (b'{"activation text": "hat", "preferred weight": 1e999}', "hat"),
        (b'{"activation text": "hat", "activation text": "two"}', "two"),
    ],
)
def test_json_of_strangers_is_read(written: bytes, text: str) -> None:
    user = read("user_json", written).user
    assert (user.activation_text, user.weight) == (text, None)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"\xef\xbb\xbf \r\n", "it is empty"),
        (b"\x00" * 4096, "it is empty"),
        (b"<!DOCTYPE html>" + b"x" * 500, "it is not JSON: '<!DOCTYPE html>"),
        (b'{"a": 1', "it is not JSON"),
        (b"[" * 200_000, "it is not JSON"),
        (b'{"a":' * 200_000, "it is not JSON"),
    ],
)
def test_what_is_not_json_is_refused_in_a_short_sentence(data: bytes, why: str) -> None:
    with pytest.raises(BadSidecar, match=why) as refused:
        read_sidecar("user_json", data)
    assert len(str(refused.value)) < 120
    assert str(refused.value).isascii()


def test_what_is_too_large_is_refused() -> None:
    assert read_sidecar("text", b" " * MAX_SIDECAR) is None
    with pytest.raises(BadSidecar, match="larger than 16 MiB"):
        read_sidecar("text", b" " * (MAX_SIDECAR + 1))


def test_a_family_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        read_sidecar("preview", b"{}")


KEYS = st.sampled_from(
    [
        *("id", "modelId", "name", "model", "modelVersions", "items", "files", "images", "hashes", "creator"),
        *("trainedWords", "tags", "description", "baseModel", "nsfwLevel", "allowCommercialUse", "type"),
        *("model_name", "file_name", "civitai", "usage_tips", "strength_range", "sha256", "autov3", "notes"),
        *(
            "ModelId",
            "ModelName",
            "Hashes",
            "SHA256",
            "AutoV3",
            "TrainedWords",
            "Tags",
            "UserTitle",
            "SourceUrl",
        ),
        *("modelspec.title", "modelspec.tags", "modelspec.usage_hint", "modelspec.hash", "modelspec.name"),
        *("word", "user", "raw", "links", "url", "meta", "positive", "seed", "userNote", "strengthMin"),
        *("activation text", "preferred weight", "sd version", "extensions", "modelVersionId", "username"),
    ]
)
TEXTS = st.one_of(
    st.text(st.characters(), max_size=8),
    st.sampled_from(
        ["0x" + "ab" * 32, "E3B0C442" * 8, "https://a.b/c", "0.5", "1-2", "{}", "\ud800\x00", "x" * 3000]
    ),
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**30), 0])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXTS, inner, max_size=6),
    max_leaves=24,
)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for each in fields(value):
            yield from texts(getattr(value, each.name))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


@settings(deadline=None, max_examples=300)
@given(JSON, st.sampled_from(FAMILIES))
def test_any_json_in_any_family_gives_clean_bounded_facts(value: object, family: str) -> None:
    facts = sidecars._READERS[family](value)
    if facts is None:
        return
    for text in texts(facts):
        text.encode()
        assert "\x00" not in text
        assert len(text) <= 200_000
    assert all(len(word) <= 2_000 for word in facts.trigger_words)
    assert all(len(name) <= 500 for name in (facts.name, facts.version_name, facts.creator) if name)
    for hashes in facts.hashes:
        assert hashes
        assert hashes.keys() <= {"sha256", "autov1", "autov2", "autov3", "crc32", "blake3"}
        assert not any(kept.startswith("e3b0c442") for kept in hashes.values())


@settings(deadline=None)
@given(JSON.filter(lambda value: isinstance(value, dict)), st.sampled_from(FAMILIES))
def test_json_comes_through_bytes_as_it_is_read_directly(value: object, family: str) -> None:
    with contextlib.suppress(BadSidecar):
        read_sidecar(family, json.dumps(value).encode())


def test_lists_are_bounded() -> None:
    value = {
        "id": 3,
        "trainedWords": [f"word {number}" for number in range(3000)],
        "model": {"name": "n" * 900, "tags": [f"tag {number}" for number in range(3000)]},
        "description": "x" * 300_000,
        "images": [{"url": f"https://a.b/{number}"} for number in range(3000)],
    }
    facts = read("civitai_helper", json.dumps(value).encode())
    assert (len(facts.trigger_words), len(facts.tags), len(facts.images)) == (1000, 500, 200)
    assert (len(facts.name or ""), len(facts.version_description or "")) == (500, 200_000)


def test_generation_data_of_all_images_are_bounded_together() -> None:
    images = [{"url": f"https://a.b/{number}", "meta": {"prompt": "x" * 15_000}} for number in range(20)]
    value = {"id": 3, "modelId": 2, "images": images}
    found = read("civitai_helper", json.dumps(value).encode()).images
    assert [bool(image.meta) for image in found] == [True] * 13 + [False] * 7
