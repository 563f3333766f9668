"""Hashes of real files, as measured by others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.hashing.claims import check_claims
from registry.hashing.lookup import is_hash_of_nothing
from registry.hashing.reader import hash_file
from tests.support.naive_hashes import naive_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.data


def facts(data_dir: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted((data_dir / "state_dicts").glob("*.json")):
        measured = json.loads(path.read_text("utf-8")).get("file")
        if measured and "file" in measured:
            yield data_dir / measured["file"], measured


def test_every_measured_file_has_the_hashes_that_were_measured(data_dir: Path) -> None:
    seen = list(facts(data_dir))
    assert len(seen) >= 6
    for path, measured in seen:
        hashes = hash_file(path).hashes
        computed = (hashes.size, hashes.sha256, hashes.data_sha256)
        assert computed == (measured["size"], measured["sha256"], measured["sha256_tensor_data"]), path.name
        assert hashes.autov1 == measured["a1111_legacy_hash8"], path.name


def test_every_real_file_has_the_digests_of_the_obvious_computation(data_dir: Path) -> None:
    for path in sorted((data_dir / "files").glob("*.safetensors")):
        assert hash_file(path).hashes == naive_hashes(path.read_bytes()), path.name


def test_both_claims_of_a_lycoris_file_match(data_dir: Path) -> None:
    hashed = hash_file(data_dir / "files" / "lycoris_smart_falcon_8_lokr.safetensors")
    claims = check_claims(hashed.header.metadata, hashed.hashes, hashed.header, None)
    assert [(claim.name, claim.verdict) for claim in claims] == [
        ("sshs_model_hash", "match"),
        ("sshs_legacy_hash", "match"),
    ]
    assert hashed.hashes.sshs_legacy_hash == "bb83ed73"


def test_malformed_files_are_hashed_like_any_other_bytes(data_dir: Path) -> None:
    for path in sorted((data_dir / "malformed").glob("*.safetensors")):
        hashed = hash_file(path)
        assert (hashed.hashes.data_sha256 is not None) == hashed.header.verdict.accepted, path.name


def test_a_real_model_hash_of_nothing_is_told(data_dir: Path) -> None:
    stored = json.loads(
        (data_dir / "state_dicts" / "leighwoods_flux_train_replicate.json").read_text("utf-8")
    )
    claimed = stored["metadata"]["sshs_model_hash"]
    assert is_hash_of_nothing(claimed)
    (claim,) = check_claims({"sshs_model_hash": claimed}, None, None, None)
    assert claim.verdict == "hash_of_nothing"
