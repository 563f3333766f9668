"""Damaged and odd files found in the wild are judged as the safetensors library judged them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from registry.formats.header import CAUSES
from registry.formats.safetensors import header_span, parse

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.data

CAUSE_OF = {
    "hf_trailing_polyglot.safetensors": "trailing-data",
    "hf_header_too_large.safetensors": "header-too-large",
    "hf_empty.safetensors": "empty-file",
    "hf_non_utf8.safetensors": "invalid-utf8",
    "hf_invalid_info.safetensors": "size-mismatch",
    "hf_overflow_nbytes.safetensors": "overflow",
    "hf_json_attack_overlap10.safetensors": "invalid-offsets",
    "by321_duplicate_keys_in_header.safetensors": "invalid-offsets",
    "by321_zero_len_file.safetensors": "empty-file",
    "real_two_byte_upload.safetensors": "too-small",
    "real_lfs_pointer_bawgz.safetensors": "git-lfs-pointer",
    "extra_non_tensor_entries.safetensors": "invalid-tensor",
}


def test_every_malformed_file_is_judged_and_named(data_dir: Path) -> None:
    folder = data_dir / "malformed"
    cases = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["cases"]
    judged = {}
    for case in cases:
        raw = (folder / case["file"]).read_bytes()
        verdict = parse(raw[: header_span(raw[:8], len(raw))], len(raw)).verdict
        assert verdict.accepted == case["measured_safetensors_py"].startswith("ok"), case["file"]
        if not verdict.accepted:
            judged[case["file"]] = verdict.cause

    assert judged == CAUSE_OF
    assert set(judged.values()) <= set(CAUSES)


def test_metadata_of_a_refused_file_are_still_read(data_dir: Path) -> None:
    raw = (data_dir / "malformed" / "extra_non_tensor_entries.safetensors").read_bytes()

    assert len(parse(raw, len(raw)).metadata) == 2


def test_whole_real_files_are_accepted(data_dir: Path) -> None:
    paths = sorted((data_dir / "files").glob("*.safetensors"))
    assert paths
    for path in paths:
        raw = path.read_bytes()
        found = parse(raw[: header_span(raw[:8], len(raw))], len(raw))
        assert found.verdict.accepted, (path.name, found.verdict)
        assert found.tensors
        assert found.notes == ()
