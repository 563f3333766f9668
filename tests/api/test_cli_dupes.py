"""Duplicates of real files with links among them."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.files import kohya_lora
from tests.support.program import run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="symlinks need a privilege there")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "library"
    kohya_lora(made / "real.safetensors", modules=6)
    return made


def dupes(tmp_path: Path, *folders: Path) -> dict[str, Any]:
    assert run(tmp_path / "d", ["scan", *map(str, folders)]).code == 0
    found: dict[str, Any] = run(tmp_path / "d", ["dupes", "--json"]).json()
    return found


def test_a_symlink_or_hard_link_and_its_file_are_no_duplicates(tmp_path: Path, folder: Path) -> None:
    (folder / "a symlink.safetensors").symlink_to("real.safetensors")
    (folder / "b hard link.safetensors").hardlink_to(folder / "real.safetensors")
    found = dupes(tmp_path, folder)
    assert all(each == {"groups": [], "reclaimable": 0} for each in found.values())
    shown = run(tmp_path / "d", ["dupes"])
    assert shown.out == "No file is there twice.\n"


def test_links_beside_a_copy_are_shown_as_links(tmp_path: Path, folder: Path) -> None:
    (folder / "a symlink.safetensors").symlink_to("real.safetensors")
    (folder / "z hard link.safetensors").hardlink_to(folder / "real.safetensors")
    shutil.copyfile(folder / "real.safetensors", folder / "b copy.safetensors")
    (group,) = dupes(tmp_path, folder)["same_bytes"]["groups"]
    paths = {file["id"]: file["name"] for file in group["files"]}
    first = group["files"][0]
    assert paths[first["id"]] in {"real", "z hard link"}
    assert list(paths.values())[3] == "b copy"
    assert {paths[link["id"]]: (paths[link["file_id"]], link["symlink"]) for link in group["links"]} == {
        "a symlink": (first["name"], True),
        ({"real", "z hard link"} - {first["name"]}).pop(): (first["name"], False),
    }
    assert group["reclaimable"] == first["size"]
    shown = run(tmp_path / "d", ["dupes"])
    assert f"symlink to {first['id']}" in shown.out
    assert f"same file as {first['id']}" in shown.out
    assert "all but one" not in shown.out
    assert "no copy" in shown.err


def test_a_symlink_of_another_root_is_no_copy_either(tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "a webui"
    other.mkdir()
    (other / "a.safetensors").symlink_to(folder / "real.safetensors")
    found = dupes(tmp_path, other, folder)
    assert found["same_bytes"]["groups"] == []


def test_other_headers_of_a_file_that_is_linked_too_are_told_from_its_links(
    tmp_path: Path, folder: Path
) -> None:
    (folder / "a symlink.safetensors").symlink_to("real.safetensors")
    kohya_lora(folder / "other.safetensors", modules=6, metadata={"note": "other"})
    found = dupes(tmp_path, folder)
    assert found["same_bytes"]["groups"] == []
    (group,) = found["same_weights"]["groups"]
    symlinks = [link["id"] for link in group["links"]]
    assert [file["name"] for file in group["files"] if file["id"] in symlinks] == ["a symlink"]
    assert group["files"][0]["name"] == "real"
