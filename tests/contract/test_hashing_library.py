"""Files written by the safetensors library, with hashes computed as trainers compute them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file

from registry.hashing.claims import check_claims
from registry.hashing.reader import hash_file
from tests.support.files import kohya_metadata, write_safetensors
from tests.support.naive_hashes import naive_hashes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Tensors = dict[str, NDArray[np.generic]]


def weights(count: int) -> Tensors:
    rng = np.random.default_rng(7)
    tensors: Tensors = {
        f"unet.{number}.weight": rng.normal(size=(64, 320)).astype(np.float16) for number in range(count)
    }
    tensors["mask"] = np.array([True, False])
    tensors["alpha"] = np.array(4.0, dtype=np.float32)
    return tensors


def precalculated(tensors: Tensors, metadata: dict[str, str]) -> tuple[str, str]:
    """Compute both hashes as `precalculate_safetensors_hashes` of sd-scripts does."""
    kept = {key: value for key, value in metadata.items() if key.startswith("ss_")}
    raw = save(tensors, kept)
    start = 8 + int.from_bytes(raw[:8], "little")
    legacy = hashlib.sha256(raw[0x100000:0x110000]).hexdigest()[:8]
    return hashlib.sha256(raw[start:]).hexdigest(), legacy


@pytest.mark.parametrize("count", [2, 24, 27, 60])
@pytest.mark.parametrize("has_training_entries", [True, False])
def test_hashes_of_the_producer_are_reproduced(
    tmp_path: Path, count: int, *, has_training_entries: bool
) -> None:
    tensors = weights(count)
    metadata = {"modelspec.title": '标题 " \\ \n \x7f', "modelspec.date": "2024"}
    if has_training_entries:
        metadata |= kohya_metadata(seed=count) | {"ss_training_comment": "\u2028 \t \x01 é 长发 \U0001f600"}
    model_hash, legacy_hash = precalculated(tensors, metadata)
    metadata |= {"sshs_model_hash": model_hash, "sshs_legacy_hash": legacy_hash}
    save_file(tensors, tmp_path / "a.safetensors", metadata)
    hashed = hash_file(tmp_path / "a.safetensors")
    assert (hashed.hashes.data_sha256, hashed.hashes.sshs_legacy_hash) == (model_hash, legacy_hash)
    claims = check_claims(hashed.header.metadata, hashed.hashes, hashed.header, None)
    small = count < 25
    assert [claim.verdict for claim in claims] == ["match", "hash_of_nothing" if small else "match"]


def test_a_file_of_the_library_has_the_digests_of_the_obvious_computation(tmp_path: Path) -> None:
    save_file(weights(30), tmp_path / "a.safetensors", {"ss_a": "b"})
    assert hash_file(tmp_path / "a.safetensors").hashes == naive_hashes(
        (tmp_path / "a.safetensors").read_bytes()
    )


def test_a_file_saved_by_an_old_library_and_saved_again_keeps_its_tensor_hash(tmp_path: Path) -> None:
    mixed = {"a": ("F16", (5,), 1), "b": ("F32", (5,), 2), "c": ("I64", (5,), 3)}
    old = write_safetensors(tmp_path / "old.safetensors", mixed, order="name", pad=False)
    save_file(load_file(old), tmp_path / "new.safetensors")
    first, second = hash_file(old).hashes, hash_file(tmp_path / "new.safetensors").hashes
    assert first.tensor_hash == second.tensor_hash
    assert first.data_sha256 != second.data_sha256
