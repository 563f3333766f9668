"""Hash queries as people paste them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from registry.hashing.lookup import identity, is_hash_of_nothing, parse_hash_query
from registry.hashing.reader import hash_file
from tests.support.files import write_safetensors

if TYPE_CHECKING:
    from pathlib import Path

FULL = hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("DEADBEEF", "deadbeef"),
        (" deadbeef12\n", "deadbeef12"),
        ("0xdeadbeef", "deadbeef"),
        ("0XDEADBEEF", "deadbeef"),
        ("blake3:deadbeef", "deadbeef"),
        ("SHA256:deadbeef", "deadbeef"),
        ("12345678", "12345678"),
        (FULL.upper(), FULL),
    ],
)
def test_these_are_hashes(text: str, digits: str) -> None:
    assert parse_hash_query(text) == digits


@pytest.mark.parametrize(
    "text",
    ["", "deadbee", "deadbeeg", "0x", "md5:deadbeef", FULL + "0", "dead beef", "٠١٢٣٤٥٦٧", "0x0xdeadbeef"],
)
def test_these_are_not(text: str) -> None:
    assert parse_hash_query(text) is None


@pytest.mark.parametrize("length", [8, 10, 12, 64])
def test_the_hash_of_nothing_is_known_at_any_length(length: int) -> None:
    assert is_hash_of_nothing(hashlib.sha256().hexdigest()[:length])
    assert not is_hash_of_nothing(FULL[:length])


def test_all_hashes_of_an_empty_file_are_hashes_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"")
    without_data = write_safetensors(tmp_path / "b.safetensors", {})
    empty = hash_file(tmp_path / "a.safetensors").hashes
    small = hash_file(without_data).hashes

    assert all(map(is_hash_of_nothing, (empty.sha256, empty.autov1, empty.autov2, empty.blake3, empty.crc32)))
    of_data = (small.autov1, small.data_sha256, small.autov3, small.sshs_legacy_hash, small.tensor_hash)
    assert all(is_hash_of_nothing(digest or "") for digest in of_data)
    assert not any(map(is_hash_of_nothing, (small.sha256, small.blake3, small.crc32)))


def test_more_zeros_than_a_crc_has_may_begin_another_hash() -> None:
    assert is_hash_of_nothing("00000000")
    assert not is_hash_of_nothing("000000000")
    assert not is_hash_of_nothing("00000000ab")
    assert not is_hash_of_nothing("0" * 64)


def test_a_few_digits_are_not_the_hash_of_nothing() -> None:
    assert not is_hash_of_nothing("e3b0")
    assert not is_hash_of_nothing("")


def test_files_with_the_same_weights_have_one_identity(tmp_path: Path) -> None:
    first = hash_file(write_safetensors(tmp_path / "a.safetensors", {"w": ("U8", (4,), 1)}, {"a": "b"}))
    second = hash_file(write_safetensors(tmp_path / "b.safetensors", {"w": ("U8", (4,), 1)}))
    assert identity(first.header, first.hashes) == f"data:{first.hashes.data_sha256}"
    assert identity(second.header, second.hashes) == identity(first.header, first.hashes)


def test_files_without_data_never_share_an_identity(tmp_path: Path) -> None:
    first = hash_file(write_safetensors(tmp_path / "a.safetensors", {}, {"a": "b"}))
    second = hash_file(write_safetensors(tmp_path / "b.safetensors", {"w": ("F32", (0,), b"")}))
    assert identity(first.header, first.hashes) == f"file:{first.hashes.sha256}"
    assert identity(second.header, second.hashes) == f"file:{second.hashes.sha256}"


def test_broken_files_are_known_by_all_their_bytes(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"w": ("U8", (4,), 1)})
    path.write_bytes(path.read_bytes() + b"!")
    broken = hash_file(path)
    assert identity(broken.header, broken.hashes) == f"file:{broken.hashes.sha256}"
    assert identity(None, broken.hashes) == f"file:{broken.hashes.sha256}"
