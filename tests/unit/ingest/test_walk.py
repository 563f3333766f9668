"""Walks over real trees: order, links, odd files, folders that go away."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from registry.errors import Cancelled
from registry.ingest.entries import Entry, Files, Folder, Item, Link, RootGone, Scope, Trouble
from registry.ingest.walk import links, walk

posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def files(scope: Scope, under: bytes = b"") -> list[Entry]:
    runs = [item for item in walk(scope, under=under) if isinstance(item, Files)]
    return [entry for run in runs for entry in run.entries]


def names(item: Item) -> list[bytes]:
    return [entry.rel for entry in item.entries] if isinstance(item, Files) else []


def listed(scope: Scope, under: bytes = b"") -> list[bytes]:
    return [entry.rel for entry in files(scope, under)]


def troubles(scope: Scope) -> list[tuple[str, bytes]]:
    return [(item.slug, item.rel) for item in walk(scope) if isinstance(item, Trouble)]


def test_files_come_in_byte_order_of_their_paths_across_folders(tmp_path: Path) -> None:
    put(tmp_path, "a/z.sft", "a.b/y.sft", "a.safetensors", "a0.sft", "B.sft", "a/b/c.sft", "a-1/x.sft")
    found = listed(Scope(str(tmp_path)))
    assert len(found) == 7
    assert found == sorted(found)


def test_an_entry_tells_size_time_and_inode_of_its_file(tmp_path: Path) -> None:
    put(tmp_path, "x/lora.SafeTensors")
    (entry,) = files(Scope(str(tmp_path)))
    real = (tmp_path / "x" / "lora.SafeTensors").stat()
    where = (real.st_ino, real.st_dev, real.st_nlink)
    assert entry[:6] == (b"x/lora.SafeTensors", real.st_size, real.st_mtime_ns, *where)
    assert not entry.symlink
    assert not entry.placeholder


def test_other_extensions_come_only_where_a_scope_asks_for_them(tmp_path: Path) -> None:
    put(tmp_path, "a.pt", "b.ckpt", "c.safetensors", "d.png")
    assert listed(Scope(str(tmp_path))) == [b"c.safetensors"]
    assert listed(Scope(str(tmp_path), extensions=(".safetensors", ".pt"))) == [b"a.pt", b"c.safetensors"]


def test_hidden_temporary_and_system_files_and_folders_are_left_out(tmp_path: Path) -> None:
    put(
        tmp_path,
        ".x.sft",
        ".git/x.sft",
        "@eaDir/x.sft",
        "$RECYCLE.BIN/x.sft",
        "a.sft.part",
        "dl.tmp/x.sft",
        "~$a.sft",
    )
    assert listed(Scope(str(tmp_path))) == []


def test_roots_inside_the_root_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a/b/x.sft", "a/b2/x.sft", "a/x.sft")
    scope = Scope(str(tmp_path), skip=frozenset({b"a/b"}))
    assert listed(scope) == [b"a/b2/x.sft", b"a/x.sft"]
    assert listed(scope, b"a/b") == []


def test_each_folder_comes_first_with_the_names_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "a.sft", "a.png", "a.doc", "sub/b.json", ".a.png")
    found = list(walk(Scope(str(tmp_path)), beside=lambda name: not name.endswith("doc")))
    assert [type(item) for item in found] == [Folder, Files, Folder]
    assert found[0] == Folder(b"", ("a.png",), ("a.sft",))
    assert found[2] == Folder(b"sub", ("b.json",), ())


def test_a_walk_of_one_folder_lists_what_the_whole_walk_lists_there(tmp_path: Path) -> None:
    put(tmp_path, "a/x.sft", "a/b/y.sft", "ab/z.sft")
    scope = Scope(str(tmp_path))
    assert listed(scope, b"a") == [b"a/b/y.sft", b"a/x.sft"]
    assert listed(scope, b"missing/folder") == []
    assert listed(scope, b"a/x.sft") == []
    assert listed(scope, b"a/.hidden") == []


@posix
def test_names_that_are_no_text_or_in_either_normal_form_are_kept_byte_for_byte(tmp_path: Path) -> None:
    names = [b"\xff\x80.sft", "é.sft".encode(), "é.sft".encode(), b"n" * 240 + b".sft", b"new\nline.sft"]
    try:
        for name in names:
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    except OSError:
        pytest.skip("this file system does not take every name")
    if len(os.listdir(tmp_path)) != len(set(names)):  # noqa: PTH208 - names alone
        pytest.skip("this file system normalises names")
    assert listed(Scope(str(tmp_path))) == sorted(set(names))


@posix
def test_pipes_sockets_and_folders_named_like_models_are_troubles(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    put(tmp_path, "folder.safetensors/inside.sft")
    with tempfile.TemporaryDirectory(dir="/tmp") as short, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{short}/s.safetensors")
        assert troubles(Scope(short)) == [("not-a-regular-file", b"s.safetensors")]
    assert troubles(Scope(str(tmp_path))) == [
        ("not-a-regular-file", b"folder.safetensors"),
        ("not-a-regular-file", b"pipe.safetensors"),
    ]
    assert listed(Scope(str(tmp_path))) == [b"folder.safetensors/inside.sft"]


@posix
def test_broken_and_circular_symlinks_are_troubles(tmp_path: Path) -> None:
    (tmp_path / "broken.sft").symlink_to(tmp_path / "nowhere.sft")
    (tmp_path / "loop.sft").symlink_to(tmp_path / "loop.sft")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert troubles(Scope(str(tmp_path))) == [
        ("broken-symlink", b"broken.sft"),
        ("broken-symlink", b"loop.sft"),
    ]


@posix
def test_a_symlink_out_of_all_roots_is_followed_only_where_allowed(tmp_path: Path) -> None:
    root, outside, other = tmp_path / "root", tmp_path / "outside", tmp_path / "other"
    put(outside, "x.sft")
    put(other, "y.sft")
    root.mkdir()
    (root / "dir").symlink_to(outside)
    (root / "file.sft").symlink_to(outside / "x.sft")
    (root / "friend").symlink_to(other)
    scope = Scope(str(root), all_roots=(str(root), str(other)))
    assert listed(scope) == [b"friend/y.sft"]
    assert troubles(scope) == [("symlink-outside", b"dir"), ("symlink-outside", b"file.sft")]
    allowed = Scope(str(root), all_roots=(str(root), str(other)), follow_out=True)
    assert listed(allowed) == [b"dir/x.sft", b"file.sft", b"friend/y.sft"]
    assert troubles(allowed) == []
    assert links(allowed) == [Link(b"dir", str(outside)), Link(b"friend", str(other))]


@posix
def test_a_symlink_back_into_the_root_is_left_out_because_the_real_folder_is_listed(tmp_path: Path) -> None:
    put(tmp_path, "real/x.sft", ".store/y.sft")
    (tmp_path / "again").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "shown").symlink_to(tmp_path / ".store")
    assert listed(Scope(str(tmp_path))) == [b"real/x.sft", b"shown/y.sft"]
    assert listed(Scope(str(tmp_path)), b"again") == []
    assert listed(Scope(str(tmp_path)), b"shown") == [b"shown/y.sft"]
    assert [link.rel for link in links(Scope(str(tmp_path)), b"shown")] == [b"shown"]
    assert links(Scope(str(tmp_path)), b"again") == []


@posix
def test_a_folder_outside_that_two_links_reach_is_listed_at_the_first(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    put(outside, "deep/x.sft", "y.sft")
    put(root, "c/z.sft")
    (outside / "deep" / "loop").symlink_to(outside)
    (outside / "home").symlink_to(root)
    (root / "a").symlink_to(outside / "deep")
    (root / "b").symlink_to(outside)
    scope = Scope(str(root), follow_out=True)
    whole = listed(scope)
    assert sorted(rel.rpartition(b"/")[2] for rel in whole) == [b"x.sft", b"y.sft", b"z.sft"]
    assert whole == sorted(whole)
    for folder in (b"a", b"b", b"b/deep", b"c"):
        assert listed(scope, folder) == [rel for rel in whole if rel.startswith(folder + b"/")]


@posix
def test_a_root_that_is_a_symlink_is_walked(tmp_path: Path) -> None:
    put(tmp_path / "real", "a/x.sft")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    scope = Scope(str(tmp_path / "link"))
    assert listed(scope) == [b"a/x.sft"]
    assert listed(scope, b"a") == [b"a/x.sft"]


@posix
def test_a_tree_too_deep_to_list_is_a_trouble_and_not_a_crash(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(300):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    (found,) = troubles(Scope(str(tmp_path)))
    assert found[0] == "unreadable-folder"
    put(tmp_path, "x.sft")
    assert listed(Scope(str(tmp_path))) == [b"x.sft"]


@posix
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_a_trouble(tmp_path: Path) -> None:
    put(tmp_path, "a/x.sft", "b/y.sft")
    (tmp_path / "a").chmod(0)
    try:
        assert troubles(Scope(str(tmp_path))) == [("unreadable-folder", b"a")]
        assert listed(Scope(str(tmp_path))) == [b"b/y.sft"]
    finally:
        (tmp_path / "a").chmod(0o700)


@posix
def test_a_folder_the_system_refuses_is_a_trouble_for_every_user(tmp_path: Path) -> None:
    # Each part may be listed, but the whole path is longer than the system takes.
    put(tmp_path, "x.sft")
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(25):
            os.mkdir("n" * 200, dir_fd=here)
            below = os.open("n" * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    assert [slug for slug, _ in troubles(Scope(str(tmp_path)))] == ["unreadable-folder"]
    assert listed(Scope(str(tmp_path))) == [b"x.sft"]


def test_a_root_that_is_missing_or_no_folder_is_said_to_be_gone_at_once(tmp_path: Path) -> None:
    put(tmp_path, "file")
    for name in ("missing", "file"):
        with pytest.raises(RootGone):
            walk(Scope(str(tmp_path / name)))


def test_a_root_that_goes_away_during_the_walk_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(root, "a/x.sft", "b/y.sft")
    items = walk(Scope(str(root)))
    next(items)
    shutil.rmtree(root)
    with pytest.raises(RootGone):
        list(items)


def test_files_and_folders_that_vanish_during_the_walk_are_simply_not_there(tmp_path: Path) -> None:
    put(tmp_path, "a.sft", "b/b.sft", "c/d.sft", "e.sft")
    items = walk(Scope(str(tmp_path)))
    assert names(next(items)) == [b"a.sft"]
    (tmp_path / "b" / "b.sft").unlink()
    shutil.rmtree(tmp_path / "c")
    assert [name for item in items for name in names(item)] == [b"e.sft"]


def test_a_walk_can_be_stopped(tmp_path: Path) -> None:
    put(tmp_path, "a/x.sft", "b/y.sft")
    asked: list[int] = []
    items = walk(Scope(str(tmp_path)), cancelled=lambda: len(asked) > 0)
    next(items)
    asked.append(1)
    with pytest.raises(Cancelled):
        list(items)
