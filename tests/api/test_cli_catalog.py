from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.files import kohya_lora
from tests.support.naive_hashes import naive_hashes
from tests.support.program import run

if TYPE_CHECKING:
    from pathlib import Path

SCAN_KEYS = ["roots", "files", "new", "changed", "unchanged", "missing", "problems", "seconds"]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Three loras, one of them twice under one name and once under another header, and a broken file."""
    folder = tmp_path / "library"
    ink = kohya_lora(folder / "ink.safetensors", modules=6, seed=1)
    kohya_lora(folder / "styles" / "ink.safetensors", modules=6, seed=2)
    kohya_lora(folder / "wash.safetensors", modules=6, seed=3)
    shutil.copyfile(ink, folder / "copy.safetensors")
    kohya_lora(folder / "renamed.safetensors", modules=6, seed=3, metadata={"note": "other"})
    (folder / "broken.safetensors").write_bytes(b"<html>")
    return folder


@pytest.fixture
def catalog(tmp_path: Path, library: Path) -> Path:
    data = tmp_path / "d"
    assert run(data, ["scan", str(library)]).code == 0
    return data


def test_a_scan_counts_and_a_second_one_finds_nothing_new(tmp_path: Path, library: Path) -> None:
    first = run(tmp_path / "d", ["scan", "--json", str(library)]).json()
    assert list(first) == SCAN_KEYS
    assert first | {"seconds": 0.0} == dict(
        zip(SCAN_KEYS, [1, 6, 6, 0, 0, 0, first["problems"], 0.0], strict=True)
    )
    assert first["problems"] >= 1
    assert isinstance(first["seconds"], float)
    (library / "wash.safetensors").unlink()
    again = run(tmp_path / "d", ["scan", "--json"]).json()
    counted = [again[name] for name in ("roots", "files", "new", "changed", "unchanged", "missing")]
    assert counted == [1, 5, 0, 0, 5, 1]


def test_a_scan_without_hashing_lists_everything(tmp_path: Path, library: Path) -> None:
    done = run(tmp_path / "d", ["scan", "--no-hash", str(library), str(library)])
    assert done.code == 0, done.err
    listed = run(tmp_path / "d", ["list", "--json"]).json()
    assert listed["total"] == len(listed["items"]) == 6
    assert not any(item["verified"] for item in listed["items"])


def test_scanning_nothing_or_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert run(tmp_path / "d", ["scan"]).code == 2
    assert run(tmp_path / "d", ["scan", str(tmp_path / "none")]).code == 3


def test_list_can_be_limited_sorted_and_filtered(catalog: Path) -> None:
    everything = run(catalog, ["list", "--json"]).json()
    assert everything["total"] == 4
    assert run(catalog, ["list", "--json", "--limit", "1"]).json()["items"] == everything["items"][:1]
    ids = [item["id"] for item in run(catalog, ["list", "--json", "--sort", "id", "--desc"]).json()["items"]]
    assert ids == sorted(ids, reverse=True)
    loras = run(catalog, ["list", "--json", "--kind", "lora"]).json()
    assert {item["architecture"] for item in loras["items"]} == {"sd15"}
    assert run(catalog, ["list", "--json", "--architecture", "sdxl"]).json() == {"items": [], "total": 0}
    text = run(catalog, ["list", "--kind", "lora"])
    assert len(text.out.splitlines()) == 1 + loras["total"]
    assert run(catalog, ["list", "--sort", "zzz"]).code == 2
    assert run(catalog, ["list", "--state", "zzz"]).code == 2
    for option, there_is in (("--kind", "checkpoint"), ("--architecture", "flux1")):
        done = run(catalog, ["list", option, "foo"])
        assert done.code == 2
        assert "foo" in done.err
        assert there_is in done.err


def test_a_lora_is_found_by_id_hash_path_and_name(catalog: Path, library: Path) -> None:
    expected = naive_hashes((library / "wash.safetensors").read_bytes())
    references = [
        "wash",
        "wash.safetensors",
        "WASH",
        str(library / "wash.safetensors"),
        f"hash:{expected.sha256[:10]}",
        f"0x{expected.sha256.upper()}",
    ]
    found = [run(catalog, ["show", "--json", reference]).json() for reference in references]
    ids = {each["lora"]["id"] for each in found}
    assert len(ids) == 1
    again = run(catalog, ["show", f"id:{ids.pop()}"])
    assert again.code == 0
    assert expected.sha256 in again.out
    assert expected.data_sha256 is not None
    assert expected.data_sha256 in again.out


@pytest.mark.parametrize(
    ("folder", "reference"),
    [
        (".", "library/styles/ink.safetensors"),
        (".", "./library/../library/styles/ink.safetensors"),
        ("library/styles", "./ink.safetensors"),
        ("library", "styles/../styles/ink.safetensors"),
        ("elsewhere", "../linked/styles/ink.safetensors"),
        ("elsewhere", "to/styles/ink.safetensors"),
    ],
)
def test_a_path_from_the_current_folder_is_a_reference(
    catalog: Path, library: Path, folder: str, reference: str
) -> None:
    (library.parent / "linked").symlink_to(library)
    (library.parent / "elsewhere").mkdir()
    (library.parent / "elsewhere" / "to").symlink_to(library)
    found = run(catalog, ["show", "--json", reference], folder=library.parent / folder).json()
    assert [file["path"] for file in found["lora"]["files"]] == ["styles/ink.safetensors"]


def test_a_root_that_is_a_link_is_found_from_the_folder_behind_it(tmp_path: Path, library: Path) -> None:
    (tmp_path / "linked").symlink_to(library)
    assert run(tmp_path / "d", ["scan", "--no-hash", str(tmp_path / "linked")]).code == 0
    found = run(tmp_path / "d", ["show", "--json", "library/wash.safetensors"]).json()
    assert found["lora"]["name"] == "wash"


def test_a_file_that_is_in_no_catalog_is_still_not_found(catalog: Path, library: Path) -> None:
    kohya_lora(library / "later.safetensors", modules=6, seed=9)
    done = run(catalog, ["show", "library/later.safetensors"])
    assert done.code == 3
    assert "library/later.safetensors" in done.err


def test_an_ambiguous_reference_lists_what_it_may_mean(catalog: Path) -> None:
    done = run(catalog, ["show", "ink"])
    assert done.code == 4
    assert done.out == ""
    assert "styles/ink.safetensors" in done.err
    told = run(catalog, ["show", "--json", "ink"])
    assert told.code == 4
    body = json.loads(told.err)
    assert body["error"] == "ambiguous"
    assert len(body["candidates"]) == 2
    assert run(catalog, ["show", "styles/ink.safetensors"]).code == 0


def test_a_reference_to_nothing_is_not_found(catalog: Path) -> None:
    assert run(catalog, ["show", "nothing"]).code == 3
    assert run(catalog, ["show", "999999"]).code == 3
    assert run(catalog, ["show", "hash:zz"]).code == 2


def test_duplicates_are_told_apart_by_what_is_the_same(catalog: Path, library: Path) -> None:
    found = run(catalog, ["dupes", "--json"]).json()
    (equal,) = found["same_bytes"]["groups"]
    assert {file["path"] for file in equal["files"]} == {"ink.safetensors", "copy.safetensors"}
    assert found["same_bytes"]["reclaimable"] == (library / "ink.safetensors").stat().st_size
    (weights,) = found["same_weights"]["groups"]
    assert {file["path"] for file in weights["files"]} == {"wash.safetensors", "renamed.safetensors"}
    assert "copy.safetensors" in run(catalog, ["dupes"]).out


def test_the_doctor_shows_problems_and_the_state_of_the_database(catalog: Path) -> None:
    found = run(catalog, ["doctor", "--json"]).json()
    assert found["ok"]
    assert found["database"]["kind"] == "sqlite"
    assert found["database"]["integrity"] == "ok"
    assert found["problems"]["by_slug"]["html-page"] == 1
    assert any(item["path"] == "broken.safetensors" for item in found["problems"]["items"])
    assert [root["reachable"] for root in found["roots"]] == [True]
    assert "broken.safetensors" in run(catalog, ["doctor"]).out


def test_the_doctor_says_that_a_database_is_broken(tmp_path: Path) -> None:
    data = tmp_path / "d"
    data.mkdir()
    (data / "catalog.sqlite3").write_bytes(b"this is no database at all" * 100)
    done = run(data, ["doctor", "--json"])
    assert done.code == 7
    assert not json.loads(done.out)["ok"]
    assert json.loads(done.err)["error"] == "catalog-error"


def test_roots_are_added_changed_moved_and_removed(tmp_path: Path, library: Path) -> None:
    data = tmp_path / "d"
    root = run(data, ["roots", "add", str(library), "--label", "Bilder", "--private", "--json"]).json()
    assert (root["label"], root["private"], root["writable"]) == ("Bilder", True, False)
    changed = run(
        data, ["roots", "add", str(library), "--no-private", "--hash-readers", "2", "--json"]
    ).json()
    assert (changed["id"], changed["private"], changed["hash_readers"]) == (root["id"], False, 2)
    moved = library.rename(tmp_path / "moved")
    assert run(data, ["roots", "relocate", "Bilder", str(moved)]).code == 0
    (listed,) = run(data, ["roots", "list", "--json"]).json()["items"]
    assert listed["path"] == str(moved)
    assert run(data, ["roots", "remove", str(moved)]).code == 0
    assert run(data, ["roots", "list", "--json"]).json() == {"items": []}
    assert run(data, ["roots", "remove", "Bilder"]).code == 3
    assert run(data, ["roots", "add", str(moved), "--poll", "sometimes"]).code == 2


def test_a_token_is_shown_once(tmp_path: Path) -> None:
    data = tmp_path / "d"
    made = run(data, ["token", "create", "laptop", "--role", "write", "--json"]).json()
    assert run(data, ["token", "create", "laptop"]).code == 5
    listed = run(data, ["token", "list", "--json"])
    assert made["token"] not in listed.out
    assert [(each["name"], each["role"]) for each in listed.json()["items"]] == [("laptop", "write")]
    assert run(data, ["token", "revoke", "laptop"]).code == 0
    assert run(data, ["token", "revoke", "laptop"]).code == 3
    assert run(data, ["token", "create", "laptop"]).code == 0
    names = [each["name"] for each in run(data, ["token", "list", "--json"]).json()["items"]]
    assert names == ["laptop (revoked 1)", "laptop"]


def test_the_database_can_be_found_backed_up_and_upgraded(catalog: Path) -> None:
    assert run(catalog, ["db", "path"]).out.strip() == str(catalog / "catalog.sqlite3")
    made = run(catalog, ["db", "backup", "--json"]).json()
    assert os.path.getsize(made["backup"]) == made["size"] > 0  # noqa: PTH202 - a string came back
    assert run(catalog, ["db", "upgrade", "--json"]).json()["revision"] is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a file name be any bytes")
def test_odd_names_of_files_are_one_plain_line_each(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    names = [b"new\nline", b"esc\x1b[31m", "漢字".encode(), b"bad\xff\xfe", b"[bold]m", "rtl\u202ex".encode()]
    for number, name in enumerate(names):
        made = kohya_lora(folder / "x.safetensors", modules=6, seed=number)
        os.replace(made, os.fsencode(folder) + b"/" + name + b".safetensors")  # noqa: PTH105 - bytes
    data = tmp_path / "d"
    assert run(data, ["scan", str(folder)]).code == 0
    listed = run(data, ["list"])
    assert len(listed.out.splitlines()) == 1 + len(names)
    assert "漢字" in listed.out
    assert "esc\\x1b[31m" in listed.out
    assert "\x1b" not in listed.out
    assert "\u202e" not in listed.out
    assert len(run(data, ["list", "--json"]).json()["items"]) == len(names)
    assert run(data, ["show", os.fsencode(folder) + b"/bad\xff\xfe.safetensors"]).code == 0
    assert run(data, ["list"], {"PYTHONIOENCODING": "cp1252"}).code == 0
    assert run(data, ["list"], {"PYTHONIOENCODING": "ascii"}).out.isascii()
