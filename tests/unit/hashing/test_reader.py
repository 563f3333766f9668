"""Heads, quick keys, and how a pass over a file is steered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from registry.errors import Cancelled, FileChanged, NotARegularFile, UnreadableFile
from registry.formats.safetensors import header_span, parse
from registry.hashing.reader import HEAD_SIZE, TAIL_SIZE, hash_file, read_head, read_quick
from tests.support.files import kohya_lora, write_safetensors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.files import TensorSpec

BIG: dict[str, TensorSpec] = {"w": ("U8", (20 << 20,), None), "x": ("U8", (5,), 1)}


def test_a_head_holds_the_whole_header_and_the_state(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=30)
    head = read_head(path)
    found = path.stat()
    assert parse(head.data, head.stat.size).verdict.accepted
    assert (head.stat.size, head.stat.mtime_ns, head.stat.inode) == (
        found.st_size,
        found.st_mtime_ns,
        found.st_ino,
    )
    assert (head.stat.device, head.stat.nlink) == (found.st_dev, 1)


def test_a_header_longer_than_the_first_read_is_read_whole(tmp_path: Path) -> None:
    metadata = {"ss_tag_frequency": "x" * 3 * HEAD_SIZE}
    path = write_safetensors(tmp_path / "a.safetensors", BIG, metadata, sparse=True)
    head = read_head(path)
    assert len(head.data) == header_span(head.data, head.stat.size)
    assert parse(head.data, head.stat.size).metadata == metadata


def test_a_length_field_of_terabytes_reads_no_more_than_the_head(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes((1 << 42).to_bytes(8, "little") + bytes(300_000))
    assert len(read_head(path).data) == HEAD_SIZE


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000])
def test_a_tiny_file_is_read_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"\x05" * size)
    assert read_head(path).data == b"\x05" * size


def test_paths_may_be_bytes_text_or_path(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "长发.safetensors", modules=2)
    heads = {read_head(name).data for name in (path, str(path), os.fsencode(path))}
    assert len(heads) == 1


def test_the_quick_key_sees_size_header_and_tail_but_not_the_middle(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", BIG, {"a": "1"}, sparse=True)
    raw = path.read_bytes()
    key = read_quick(path).quick_key

    def changed(at: int) -> bytes:
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        return read_quick(path).quick_key

    assert len(key) == 32
    assert changed(len(raw) // 2) == key
    assert changed(len(raw) - TAIL_SIZE - 1) == key
    assert changed(len(raw) - TAIL_SIZE) != key
    assert changed(len(raw) - 1) != key
    assert changed(raw.index(b'"a"') + 1) != key
    path.write_bytes(raw)
    assert read_quick(path).quick_key == key


def test_the_quick_key_does_not_depend_on_name_or_time(tmp_path: Path) -> None:
    first = kohya_lora(tmp_path / "a.safetensors", modules=3)
    second = tmp_path / "b.safetensors"
    second.write_bytes(first.read_bytes())
    os.utime(second, ns=(1, 1))
    assert read_quick(first).quick_key == read_quick(second).quick_key


@pytest.mark.parametrize("size", [0, 5, TAIL_SIZE, HEAD_SIZE, HEAD_SIZE + 1, HEAD_SIZE + TAIL_SIZE])
def test_any_file_has_a_quick_key_of_its_own(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(bytes(size))
    other = tmp_path / "b.safetensors"
    other.write_bytes(bytes(size) + b"x")
    assert read_quick(path).quick_key != read_quick(other).quick_key


def test_progress_rises_to_the_size_and_the_limit_hears_of_every_byte(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", BIG, sparse=True)
    reached: list[int] = []
    lengths: list[int] = []
    hash_file(path, progress=reached.append, limit=lengths.append)
    assert reached == sorted(reached)
    assert reached[-1] == sum(lengths) == path.stat().st_size
    assert len(reached) > 10


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_change_nothing_but_the_time(tmp_path: Path, threads: int) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {**BIG, "y": ("F16", (2 << 20,), 4)}, sparse=True)
    assert hash_file(path, threads=threads).hashes == hash_file(path).hashes


@pytest.mark.parametrize("threads", [1, 2])
def test_cancelling_stops_at_the_next_block(tmp_path: Path, threads: int) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", BIG, sparse=True)
    reached: list[int] = []
    with pytest.raises(Cancelled):
        hash_file(path, progress=reached.append, cancelled=lambda: len(reached) == 3, threads=threads)
    assert len(reached) == 3


def test_cancelling_before_the_start_reads_nothing(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {})
    reached: list[int] = []
    with pytest.raises(Cancelled):
        hash_file(path, progress=reached.append, cancelled=lambda: True)
    assert not reached


def test_an_error_of_the_caller_is_not_taken_for_one_of_the_file(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", BIG, sparse=True)

    def closed_pipe(_: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        hash_file(path, progress=closed_pipe, threads=2)


def test_a_file_that_is_no_longer_as_expected_is_not_read(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", BIG, sparse=True)
    expected = read_head(path).stat
    assert hash_file(path, expected=expected).stat == expected
    assert hash_file(path, expected=expected._replace(inode=1, device=1, nlink=9)).stat == expected
    reached: list[int] = []
    for other in (expected._replace(size=1), expected._replace(mtime_ns=1)):
        with pytest.raises(FileChanged):
            hash_file(path, expected=other, progress=reached.append)
    assert not reached


@pytest.mark.parametrize("read", [read_head, read_quick, hash_file])
def test_what_cannot_be_opened_says_why(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(UnreadableFile, match=r"gone\.safetensors: No such file"):
        read(tmp_path / "gone.safetensors")
    with pytest.raises(UnreadableFile, match="null"):
        read(tmp_path / "a\0b")
    with pytest.raises(NotARegularFile):
        read(tmp_path)
