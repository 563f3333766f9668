"""The hash of a set of tensors tells apart whatever differs in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.hashing.reader import hash_file
from tests.support.files import write_safetensors

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.files import TensorSpec


def tensor_hash(folder: Path, tensors: dict[str, TensorSpec], **metadata: str) -> str | None:
    return hash_file(write_safetensors(folder / "one.safetensors", tensors, metadata)).hashes.tensor_hash


BASE: dict[str, TensorSpec] = {"a": ("F16", (2, 3), 1), "b": ("F16", (6,), 2)}


def test_metadata_do_not_matter(tmp_path: Path) -> None:
    assert tensor_hash(tmp_path, BASE) == tensor_hash(tmp_path, BASE, ss_a="1")


def test_shape_dtype_name_and_bytes_matter(tmp_path: Path) -> None:
    others: list[dict[str, TensorSpec]] = [
        BASE,
        {**BASE, "a": ("F16", (3, 2), 1)},
        {**BASE, "a": ("BF16", (2, 3), 1)},
        {**BASE, "a": ("F16", (2, 3), 3)},
        {"a": BASE["a"], "c": BASE["b"]},
        {"a": BASE["a"]},
        {**BASE, "empty": ("F16", (0,), b"")},
        {"b": ("F16", (2, 3), 1), "a": ("F16", (6,), 2)},
    ]
    assert len({tensor_hash(tmp_path, tensors) for tensors in others}) == len(others)


def test_names_sort_by_their_bytes_beyond_the_basic_plane(tmp_path: Path) -> None:
    tensors: dict[str, TensorSpec] = {"\uffee": ("U8", (1,), 1), "\U0001f600": ("U8", (1,), 2)}
    turned = dict(reversed(tensors.items()))
    assert tensor_hash(tmp_path, tensors) == tensor_hash(tmp_path, turned)


def test_a_tensor_over_several_blocks_is_hashed_whole(tmp_path: Path) -> None:
    big: dict[str, TensorSpec] = {"a": ("U8", (3_000_000,), 1), "b": ("U8", (700_000,), 2)}
    turned = dict(reversed(big.items()))
    assert tensor_hash(tmp_path, big) == tensor_hash(tmp_path, turned)
