from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from registry.ingest.inspecting import HASHES, KEYS
from tests.support.files import header_bytes, kohya_lora
from tests.support.naive_hashes import naive_hashes
from tests.support.program import run

if TYPE_CHECKING:
    from pathlib import Path


def test_inspect_prints_an_array_for_one_file_too(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=6)
    found = run(tmp_path / "d", ["inspect", "--json", str(path)]).json()
    assert [list(each) for each in found] == [list(KEYS)]
    assert found[0]["path"] == str(path)
    assert not (tmp_path / "d").exists()


def test_inspect_goes_on_after_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    first = kohya_lora(tmp_path / "a.safetensors", modules=6, seed=1)
    last = kohya_lora(tmp_path / "b.safetensors", modules=6, seed=2)
    done = run(tmp_path / "d", ["inspect", "--json", str(first), "none", str(tmp_path), str(last)])
    assert done.code == 8
    found = json.loads(done.out)
    assert [each["hashes"] is not None for each in found] == [True, False, False, True]
    assert [each["problems"][0]["slug"] for each in found[1:3]] == ["unreadable-file", "not-a-regular-file"]
    assert json.loads(done.err)["error"] == "unreadable-file"


def test_inspect_without_hashing_leaves_hashes_null(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=6)
    (found,) = run(tmp_path / "d", ["inspect", "--no-hash", "--json", str(path)]).json()
    assert found["hashes"] == dict.fromkeys(HASHES)


def test_inspect_shows_hostile_metadata_as_plain_text(tmp_path: Path) -> None:
    hostile = {"ss_output_name": "\x1b]0;owned\x07 \u202e", "modelspec.title": "two\nlines"}
    path = kohya_lora(tmp_path / "a.safetensors", modules=6, metadata=hostile)
    done = run(tmp_path / "d", ["inspect", str(path)])
    assert done.code == 0, done.err
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert "\\x1b]0;owned\\x07 \\u202e" in done.out
    assert "two\\nlines" in done.out


def test_lone_surrogates_of_metadata_are_valid_json(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    raw = header_bytes({}, {"odd": "@@@"}, pad=False)[8:].replace(b"@@@", b"\\ud83d")
    path.write_bytes(len(raw).to_bytes(8, "little") + raw)
    (found,) = run(tmp_path / "d", ["inspect", "--json", str(path)]).json()
    assert found["metadata"] == {"odd": "\ud83d"}
    assert not found["header"]["accepted"]


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a file name be any bytes")
def test_file_names_of_any_bytes_can_be_given_and_are_told_apart(tmp_path: Path) -> None:
    names = [b"new\nline", b"esc\x1b[31m", "漢字".encode(), b"bad\xff\xfe", b"[bold]", b"-n"]
    paths = [os.fsencode(tmp_path) + b"/" + name + b".safetensors" for name in names]
    for number, path in enumerate(paths):
        os.replace(kohya_lora(tmp_path / "x.safetensors", modules=6, seed=number), path)  # noqa: PTH105 - bytes
    found = run(tmp_path / "d", ["inspect", "--json", "--no-hash", *paths]).json()
    assert [os.fsencode(each["path"]) for each in found] == paths
    shown = run(tmp_path / "d", ["hash", *paths])
    assert shown.code == 0
    headings = [line for line in shown.out.splitlines() if not line.startswith("  ")]
    assert len(headings) == len(paths)
    assert "bad\\xff\\xfe" in headings[3]
    assert "\x1b" not in shown.out


def test_hash_prints_what_the_bytes_hash_to(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "any.name", modules=6)
    (found,) = run(tmp_path / "d", ["hash", "--json", str(path)]).json()
    expected = naive_hashes(path.read_bytes())
    assert found["hashes"] == {name: getattr(expected, name) for name in HASHES}
    text = run(tmp_path / "d", ["hash", str(path)]).out
    assert expected.sha256 in text


def test_hash_fails_for_what_is_no_file(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=6)
    done = run(tmp_path / "d", ["hash", str(tmp_path / "none"), str(path)])
    assert done.code == 8
    assert "a.safetensors" in done.out
    assert "none" in done.err


@pytest.mark.data
def test_real_and_malformed_files_are_all_described(tmp_path: Path, data_dir: Path) -> None:
    paths = sorted((data_dir / "files").glob("*.safetensors"))
    paths += sorted((data_dir / "malformed").glob("*.safetensors"))
    found = run(tmp_path / "d", ["inspect", "--json", *map(str, paths)]).json()
    assert [each["path"] for each in found] == list(map(str, paths))
    assert all(list(each) == list(KEYS) for each in found)
    cases = json.loads((data_dir / "malformed" / "manifest.json").read_text("utf-8"))["cases"]
    accepted = {case["file"]: case["measured_safetensors_py"].startswith("ok") for case in cases}
    verdicts = {
        each["path"].rpartition(os.sep)[2]: (each["header"]["accepted"], not each["problems"])
        for each in found
    }
    for name, good in accepted.items():
        assert verdicts[name] == (good, good), name
    assert run(tmp_path / "d", ["inspect", *map(str, paths)]).code == 0
