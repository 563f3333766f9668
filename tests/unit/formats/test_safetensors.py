from __future__ import annotations

import json
import struct
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from safetensors import SafetensorError, safe_open

from registry.formats.header import CAUSES
from registry.formats.safetensors import Header, Tensor, header_span, parse

if TYPE_CHECKING:
    from pathlib import Path

ONE = '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'


def parsed(header: str | bytes, data: int = 0) -> Header:
    raw = header.encode() if isinstance(header, str) else header
    head = struct.pack("<Q", len(raw)) + raw
    return parse(head, len(head) + data)


def test_an_ordinary_header_is_read_in_data_order() -> None:
    header = {
        "__metadata__": {"z": "1", "a": 'quote " and \u00e9'},
        "second": {"dtype": "F16", "shape": [2, 2], "data_offsets": [4, 12]},
        "first": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
    }
    text = json.dumps(header)

    found = parsed(text, 12)

    assert found.verdict.accepted
    assert list(found.tensors.items()) == [
        ("first", Tensor("U8", (4,), 0, 4)),
        ("second", Tensor("F16", (2, 2), 4, 12)),
    ]
    assert list(found.metadata.items()) == [("z", "1"), ("a", 'quote " and \u00e9')]
    assert found.data_start == 8 + len(text)
    assert found.size == found.data_start + 12
    assert found.notes == ()


def test_bytes_beyond_the_header_do_not_matter() -> None:
    raw = f"{{{ONE}}}".encode()
    whole = struct.pack("<Q", len(raw)) + raw + b'{"x":1}\0'

    assert parse(whole, len(whole)) == parse(whole[:-8], len(whole))


def test_span_covers_length_field_and_header() -> None:
    first = struct.pack("<Q", 1000)

    assert header_span(first, 5000) == 1008
    assert header_span(first, 500) == 500


def test_span_of_a_file_without_a_header_is_short() -> None:
    assert header_span(b"", 0) == 0
    assert header_span(b"abc", 3) == 3
    assert header_span(b"<!DOCTYP", 10**9) <= 4096
    assert header_span(bytes(8), 10**9) <= 4096
    assert header_span(struct.pack("<Q", 100_000_001), 10**12) <= 4096
    assert header_span(struct.pack("<Q", 100_000_000), 10**12) == 100_000_008


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "empty-file"),
        (b"ab", "too-small"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git-lfs-pointer"),
        (b"<!DOCTYPE html><html></html>", "html-page"),
        (b"\xef\xbb\xbf\r\n  <HTML><head>", "html-page"),
        (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "html-page"),
        (b"PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl", "zip-archive"),
        (b"\x80\x02}q\x00(X\x05\x00\x00\x00stateq\x01", "pickle"),
        (b"\x80\x04\x95\x10\x01\x02\x03\x04\x05\x06", "pickle"),
        (b"GGUF\x03\x00\x00\x00\x01\x00\x00\x00", "gguf"),
        (b'{"error": "not found"}', "json-text"),
        (b"{}", "json-text"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04\x01\x02", "archive"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", "image"),
        (b"Access to this model is restricted.", "text-file"),
        (bytes(100), "all-zeros"),
        (struct.pack("<Q", 64) + bytes(100), "all-zeros"),
        (struct.pack("<Q", 0) + b"data", "empty-header"),
        (b"\xfe" * 100, "header-too-large"),
        (struct.pack("<Q", 100_000_001) + b"{}", "header-too-large"),
        (struct.pack("<Q", ord("{")) + b'{"a":', "truncated-header"),
    ],
)
def test_what_is_not_safetensors_is_named(content: bytes, cause: str) -> None:
    found = parse(content[: header_span(content[:8], len(content))], len(content))

    assert not found.verdict.accepted
    assert found.verdict.cause == cause
    assert CAUSES[cause] in found.verdict.detail
    assert found.tensors == {}


@pytest.mark.parametrize(
    ("header", "data", "cause"),
    [
        (f"{{{ONE}}}", 7, "truncated-data"),
        (f"{{{ONE}}}", 9, "trailing-data"),
        (f"\ufeff{{{ONE}}}", 8, "invalid-json"),
        (f"{{{ONE}}}\0", 8, "invalid-json"),
        (f"[{ONE[4:]}]", 8, "invalid-json"),
        (b'{"\xff":1}', 0, "invalid-utf8"),
        ('{"__metadata__":{"a":NaN}}', 0, "invalid-json"),
        ('{"__metadata__":{"a":1}}', 0, "invalid-metadata"),
        ('{"__metadata__":[]}', 0, "invalid-metadata"),
        ('{"__metadata__":{},"__metadata__":{}}', 0, "invalid-metadata"),
        ('{"a":{"dtype":"F8_E5","shape":[8],"data_offsets":[0,8]}}', 8, "unknown-dtype"),
        ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}', 9, "invalid-offsets"),
        ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,-0]}}', 8, "invalid-tensor"),
        ('{"a":{"dtype":"U8","shape":[2],"data_offsets":[-0,2]}}', 2, "invalid-tensor"),
        ('{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}', 1, "invalid-tensor"),
        (
            '{"a":{"dtype":"F32","shape":["x",18446744073709551615],"data_offsets":[0,4]}}',
            4,
            "invalid-tensor",
        ),
        ('{"a":{"dtype":"F32","shape":[[0],9000000000000000],"data_offsets":[0,4]}}', 4, "invalid-tensor"),
        ('{"a":{"dtype":"U8","shape":[-1,1,-1],"data_offsets":[0,1]}}', 1, "invalid-tensor"),
        ('{"a":{"dtype":"U8","shape":{"x":1},"data_offsets":[0,1]}}', 1, "invalid-tensor"),
        ('{"a":{"dtype":"U8","shape":[1],"data_offsets":"01"}}', 1, "invalid-tensor"),
        ('{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', 8, "size-mismatch"),
        ('{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}', 2, "size-mismatch"),
        ('{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}', 8, "overflow"),
        ('{"a":{"dtype":"F32","shape":[2]}}', 8, "invalid-tensor"),
    ],
)
def test_a_damaged_header_has_a_named_cause(header: str | bytes, data: int, cause: str) -> None:
    found = parsed(header, data)

    assert (found.verdict.accepted, found.verdict.cause) == (False, cause)
    assert found.verdict.detail.endswith(CAUSES[cause])


def test_odd_but_valid_headers_are_accepted_with_notes() -> None:
    twice = parsed(f"{{{ONE.replace('[2]', '[9]')},{ONE}}}", 8)
    extra = parsed(f'{{{ONE[:-1]},"x":[1]}}}}', 8)
    metadata = parsed('{"__metadata__":{"a":"1","a":"2"}}')
    array = parsed(' {"a":["F32",[2],[0,8]]} ', 8)

    assert [found.verdict.accepted for found in (twice, extra, metadata, array)] == [True] * 4
    assert [note.slug for note in twice.notes] == ["repeated-tensor"]
    assert [note.slug for note in extra.notes] == ["ignored-fields"]
    assert [note.slug for note in metadata.notes] == ["repeated-metadata-key"]
    assert metadata.metadata == {"a": "2"}
    assert array.tensors == {"a": Tensor("F32", (2,), 0, 8)}


def test_nesting_is_refused_where_the_library_refuses_it() -> None:
    deep = ["[" * levels + "]" * levels for levels in (125, 126, 100_000)]
    verdicts = [parsed(f'{{{ONE[:-1]},"x":{nest}}}}}', 8).verdict.accepted for nest in deep]

    assert verdicts == [True, False, False]


def test_metadata_beside_an_unknown_type_are_kept() -> None:
    found = parsed('{"__metadata__":{"ss_seed":"1"},"a":{"dtype":"F3","shape":[8],"data_offsets":[0,3]}}', 3)

    assert found.metadata == {"ss_seed": "1"}
    assert found.tensors == {"a": Tensor("F3", (8,), 0, 3)}


def test_lone_surrogates_are_kept_in_salvaged_metadata() -> None:
    found = parsed('{"__metadata__":{"a":"x\\ud800","b":"\\u0000"}}')

    assert not found.verdict.accepted
    assert found.metadata == {"a": "x\ud800", "b": "\0"}


@pytest.mark.parametrize(
    "header",
    [
        '{"__metadata__":{"a":"b"},"t":' + "[" * 5000,
        '{"__metadata__":{"a":"b"},"t":{"dtype":"F32","shape":[1',
        '{"__metadata__": {"a":"b"}, "t": {"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}',
        b'{"__metadata__":{"a":"b"},"\xff":1}',
        '{"__metadata__":{"a":"b"},}',
    ],
)
def test_metadata_before_the_damage_are_salvaged(header: str | bytes) -> None:
    found = parsed(header)

    assert not found.verdict.accepted
    assert found.metadata == {"a": "b"}


def test_metadata_of_a_truncated_header_are_salvaged() -> None:
    raw = b'{"__metadata__":{"a":"b"},"t":{"dty'
    head = struct.pack("<Q", 5000) + raw

    found = parse(head, len(head))

    assert found.verdict.cause == "truncated-header"
    assert found.metadata == {"a": "b"}
    assert found.data_start is None


def test_values_of_a_wrong_type_are_salvaged_as_json() -> None:
    found = parsed('{"__metadata__":{"n":1.50,"o":{"a":[1,null]},"s":"x","t":true}}')

    assert found.metadata == {"n": "1.50", "o": '{"a": [1, null]}', "s": "x", "t": "true"}


@pytest.mark.parametrize(
    "header",
    [
        '{"x":' + "9" * 20_000 + "}",
        '{"x":0.' + "0" * 1_000_000 + "1}",
        '{"x":1e' + "9" * 20_000 + "}",
        '{"' + '\\"' * 500_000,
        "[" * 300_000,
        '{"a":' * 100_000,
        "\\u" * 100_000,
        '{"__metadata__":' * 50_000,
    ],
)
def test_hostile_headers_are_refused_without_harm(header: str) -> None:
    assert not parsed(header).verdict.accepted


def test_text_in_a_shape_is_not_repeated() -> None:
    tracemalloc.start()
    try:
        found = parsed('{"a":{"dtype":"F32","shape":["x",700000000],"data_offsets":[0,4]}}', 4)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found.verdict.cause == "invalid-tensor"
    assert most < 1_000_000


def test_a_header_of_millions_of_values_is_refused_before_it_is_parsed() -> None:
    assert parsed('{"x":[' + "0," * 5_000_000 + "0]}").verdict.cause == "header-too-complex"


def test_names_from_the_file_are_escaped_in_sentences() -> None:
    found = parsed('{"\\u001b[31m\\u202e":1}')

    assert found.verdict.detail.isascii()
    assert found.verdict.detail.isprintable()


@pytest.mark.parametrize("length", [100_000_000, 100_000_001])
def test_the_limit_on_header_length_is_that_of_the_library(tmp_path: Path, length: int) -> None:
    path = tmp_path / "long.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", length) + b"{}" + b" " * (length - 2))

    def library_opens() -> bool:
        try:
            with safe_open(path, framework="np"):
                return True
        except SafetensorError:
            return False

    head = path.read_bytes()
    assert parse(head[: header_span(head[:8], len(head))], len(head)).verdict.accepted == library_opens()
