"""Reading pictures beside models, from real folders."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from registry.errors import BadPicture, NotARegularFile, UnreadableFile
from registry.pictures.reading import read_picture

if TYPE_CHECKING:
    from pathlib import Path

links = pytest.mark.skipif(sys.platform == "win32", reason="there only administrators make links")


def test_a_file_is_read_as_a_whole_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(100))
    assert read_picture(str(path), 100) == bytes(100)
    with pytest.raises(BadPicture, match="more than 99 bytes"):
        read_picture(str(path), 99)


@links
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "folder.png"):
        with pytest.raises(NotARegularFile):
            read_picture(str(tmp_path / name), 100)


def test_a_file_that_is_gone_is_unreadable(tmp_path: Path) -> None:
    for name in ("a.png", "a\0.png"):
        with pytest.raises(UnreadableFile):
            read_picture(str(tmp_path / name), 100)


@links
def test_links_are_followed_within_the_roots_only(tmp_path: Path) -> None:
    root, other, outside = (tmp_path / name for name in ("root", "other", "root of somebody"))
    for folder in (root, other, outside):
        folder.mkdir()
        (folder / "a.png").write_bytes(folder.name.encode())
    (root / "to other.png").symlink_to(other / "a.png")
    (root / "to outside.png").symlink_to(outside / "a.png")
    within = (str(root), str(other))

    assert read_picture(str(root / "a.png"), 100, within) == b"root"
    assert read_picture(str(root / "to other.png"), 100, within) == b"other"
    with pytest.raises(UnreadableFile, match="a link to outside"):
        read_picture(str(root / "to outside.png"), 100, within)
    assert read_picture(str(root / "to outside.png"), 100) == b"root of somebody"
