"""Where the bytes behind `sshs_legacy_hash` lie."""

from __future__ import annotations

import json

import pytest

from registry.formats.safetensors import Header, parse
from registry.hashing.legacy import legacy_spans, virtual_header_length
from tests.support.files import header_bytes

DATA = 2_000_000


def header_with(metadata: dict[str, str], *, pad: bool = True) -> Header:
    raw = header_bytes({"é": ("U8", (DATA,), None)}, metadata, pad=pad)
    return parse(raw, len(raw) + DATA)


@pytest.mark.parametrize("value", ["", "plain", '长发 " \\ / \n\t\b\f\r\x01\x7f \u2028 \U0001f600'])
def test_the_virtual_header_is_as_long_as_compact_json_without_escapes(value: str) -> None:
    kept = {"ss_a": value, "ss_": value}
    virtual = {"__metadata__": kept, "é": {"dtype": "U8", "shape": [DATA], "data_offsets": [0, DATA]}}
    text = json.dumps(virtual, ensure_ascii=False, separators=(",", ":"))
    assert virtual_header_length(header_with({**kept, "x": "y", "sshs_a": "z"})) == len(text.encode())


def test_without_training_entries_the_metadata_are_an_empty_object() -> None:
    virtual = '{"__metadata__":{},"é":{"dtype":"U8","shape":[2000000],"data_offsets":[0,2000000]}}'
    assert virtual_header_length(header_with({"x": "y"})) == len(virtual.encode())


def test_the_spans_of_a_file_with_only_training_entries_are_at_one_mebibyte() -> None:
    for pad in (True, False):
        header = header_with({"ss_a": "12"}, pad=pad)
        spans = legacy_spans(header, header.size)
        assert spans is not None
        assert spans[0] == (0x100000, 0x110000)
        assert 0 < abs(spans[1].start - 0x100000) < 8


def test_the_last_byte_of_one_mebibyte_may_be_header() -> None:
    empty = virtual_header_length(header_with({"ss_a": ""})) or 0
    fits = header_with({"ss_a": "x" * (0x100000 - 8 - empty)})
    longer = header_with({"ss_a": "x" * (0x100000 - 8 - empty + 1)})
    spans = legacy_spans(fits, fits.size)
    assert spans is not None
    assert fits.data_start == spans[0].start == 0x100000
    assert legacy_spans(longer, longer.size) is None
