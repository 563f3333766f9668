"""Roots that other processes of this machine add, change, move and remove while the catalog is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.served import served
from tests.support.shelf import lora

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "loras"
    made.mkdir()
    return made


def test_what_other_processes_do_to_the_roots_is_noticed(
    database_url: str, tmp_path: Path, folder: Path
) -> None:
    with served(tmp_path / "data", LORAS_DATABASE_URL=database_url) as server:
        lora(folder / "early.safetensors", 1)
        server.loras("roots", "add", str(folder))
        server.lists("early")
        lora(folder / "late.safetensors", 2)
        server.lists("early", "late")

        (folder / "old.pt").write_bytes(b"pickled")
        server.loras("roots", "add", str(folder), "--pickles", "--poll", "always")
        server.lists("early", "late", "old")
        server.watches(root_1="polling")
        server.loras("roots", "add", str(folder), "--no-pickles", "--poll", "never")
        server.lists("early", "late")
        server.watches(root_1="watching")

        moved = folder.rename(tmp_path / "moved")
        server.lists()
        server.loras("roots", "relocate", "1", str(moved))
        server.lists("early", "late")
        lora(moved / "later.safetensors", 3)
        server.lists("early", "late", "later")

        server.loras("roots", "remove", "1")
        server.watches()
        assert server.names() == []
        server.loras("scan", str(moved))
        server.lists("early", "late", "later")
        lora(moved / "latest.safetensors", 4)
        server.lists("early", "late", "later", "latest")


def test_roots_inside_others_are_taken_over_in_both_directions(
    database_url: str, tmp_path: Path, folder: Path
) -> None:
    inner = lora(folder / "inner" / "b.safetensors", 2).parent
    lora(folder / "a.safetensors", 1)
    with served(tmp_path / "data", str(folder), LORAS_DATABASE_URL=database_url) as server:

        def root_of(name: str) -> list[str]:
            return list(server.get(f"/loras/{name}")["lora"]["roots"])

        server.lists("a", "b")
        server.loras("roots", "add", str(inner), "--label", "within")
        server.watches(root_1="watching", root_2="watching")
        lora(inner / "c.safetensors", 3)
        server.lists("a", "b", "c")
        assert root_of("c") == ["within"]

        server.loras("roots", "remove", "2")
        server.lists("a", "b", "c")
        assert root_of("c") == ["loras"]
        lora(inner / "d.safetensors", 4)
        server.lists("a", "b", "c", "d")
