"""Files that change while they are read, and things that only look like files."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from registry.errors import FileChanged, NotARegularFile, UnreadableFile
from registry.hashing.reader import hash_file, read_head, read_quick
from tests.support.files import write_safetensors
from tests.support.naive_hashes import naive_hashes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.files import TensorSpec

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file kinds")
TENSORS: dict[str, TensorSpec] = {"w": ("U8", (18 << 20,), None), "x": ("U8", (50,), 1)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_safetensors(tmp_path / "a.safetensors", TENSORS, sparse=True)


class Once:
    """A progress callback that does something to the file when it is half read, `times` readings long."""

    def __init__(self, act: Callable[[], object], times: int = 1) -> None:
        self.act = act
        self.times = times
        self.starts = 0
        self.reached = 0
        self.acted = 0

    def __call__(self, reached: int) -> None:
        if self.starts == 0 or reached < self.reached:
            self.starts += 1
        self.reached = reached
        if reached > 8 << 20 and self.acted < min(self.starts, self.times):
            self.acted += 1
            self.act()


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(3 << 20)


def rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-20, os.SEEK_END)
        file.write(b"0123456789")
    os.utime(path, ns=(5, 5))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("change", [append, shrink, rewrite])
def test_a_file_that_changes_once_is_read_again(
    path: Path, change: Callable[[Path], None], threads: int
) -> None:
    once = Once(lambda: change(path))
    hashed = hash_file(path, progress=once, threads=threads)
    assert once.starts == 2
    assert hashed.hashes.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert hashed.stat.size == path.stat().st_size


def test_a_file_that_keeps_changing_is_given_up(path: Path) -> None:
    once = Once(lambda: append(path), times=99)
    with pytest.raises(FileChanged, match="kept changing"):
        hash_file(path, progress=once, attempts=3)
    assert once.starts == 3


@posix_only
def test_a_file_that_is_replaced_by_one_with_another_header_is_read_again(path: Path) -> None:
    def swap() -> None:
        other = write_safetensors(path.with_suffix(".part"), TENSORS, {"a": "b"}, sparse=True)
        other.replace(path)

    once = Once(swap)
    assert hash_file(path, progress=once).hashes == naive_hashes(path.read_bytes())
    assert once.starts == 2


@posix_only
def test_a_new_inode_alone_is_no_change(path: Path) -> None:
    def copy() -> None:
        other = path.with_suffix(".part")
        found = path.stat()
        other.write_bytes(path.read_bytes())
        os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
        other.replace(path)

    once = Once(copy)
    assert hash_file(path, progress=once).hashes == naive_hashes(path.read_bytes())
    assert once.starts == 1


@posix_only
def test_a_file_that_is_removed_while_it_is_read_is_unreadable(path: Path) -> None:
    with pytest.raises(UnreadableFile, match="No such file"):
        hash_file(path, progress=Once(path.unlink))


@posix_only
@pytest.mark.parametrize("read", [read_head, read_quick, hash_file])
def test_a_pipe_nobody_writes_to_does_not_hang_us(tmp_path: Path, read: Callable[[Path], object]) -> None:
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(NotARegularFile):
        read(tmp_path / "pipe.safetensors")


@posix_only
@pytest.mark.parametrize("read", [read_head, read_quick, hash_file])
def test_a_socket_is_not_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    monkeypatch.chdir(tmp_path)  # the system limits the names of sockets to about a hundred bytes
    if sys.platform != "win32":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("s.safetensors")
            with pytest.raises(NotARegularFile):
                read(tmp_path / "s.safetensors")


@posix_only
@pytest.mark.parametrize("read", [read_head, read_quick, hash_file])
def test_a_device_is_not_a_file(read: Callable[[str], object]) -> None:
    with pytest.raises(NotARegularFile):
        read("/dev/zero")


@posix_only
def test_a_link_to_nowhere_and_a_link_to_itself_are_unreadable(tmp_path: Path) -> None:
    (tmp_path / "nowhere.safetensors").symlink_to("gone")
    (tmp_path / "loop.safetensors").symlink_to("loop.safetensors")
    for name in ("nowhere.safetensors", "loop.safetensors"):
        with pytest.raises(UnreadableFile, match=name):
            read_head(tmp_path / name)


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names there are always text")
def test_a_name_that_is_no_text_can_be_read(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.safetensors"
    path = write_safetensors(tmp_path / "a.safetensors", {"w": ("U8", (3,), 1)})
    os.rename(os.fsencode(path), name)  # noqa: PTH104 - the name is bytes
    assert hash_file(name).header.verdict.accepted
    with pytest.raises(UnreadableFile):
        hash_file(name + b".gone")
