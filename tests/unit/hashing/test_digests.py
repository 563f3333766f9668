"""The table of digests: its invariants, and single facts about spans."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from registry.hashing.digests import ALGORITHMS, DIGESTS, SPANS, AllDigests
from registry.hashing.reader import hash_file
from tests.support.files import kohya_lora, write_safetensors
from tests.support.naive_hashes import naive_hashes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.files import TensorSpec

NOTHING = hashlib.sha256().hexdigest()


def test_every_row_names_a_known_span_and_algorithm() -> None:
    assert {row.span for row in DIGESTS} == set(SPANS)
    assert {row.algorithm for row in DIGESTS} == set(ALGORITHMS)


def test_no_two_rows_have_one_name() -> None:
    assert len({row.name for row in DIGESTS}) == len(DIGESTS)


def test_rows_over_the_same_bytes_share_one_computation(tmp_path: Path) -> None:
    header = hash_file(write_safetensors(tmp_path / "a.safetensors", {"w": ("U8", (9,), 1)})).header
    lanes = AllDigests(header.size, header).lanes(1)
    spans = [(one.start, one.end) for one in lanes[0]]
    assert spans.count((0, header.size)) == 3  # SHA-256, BLAKE3, CRC-32 of the file


def test_two_lanes_never_hold_both_sha256_of_a_big_file(tmp_path: Path) -> None:
    header = hash_file(kohya_lora(tmp_path / "a.safetensors", sparse=True)).header
    lanes = AllDigests(header.size, header).lanes(2)
    dearest = [max(lane, key=lambda one: one.cost) for lane in lanes]
    assert {one.start for one in dearest} == {0, header.data_start}


def test_a_real_layout_has_every_digest(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=80, rank=8, seed=3)
    assert hash_file(path).hashes == naive_hashes(path.read_bytes())


def test_autov1_of_a_file_under_one_mebibyte_is_that_of_nothing(tmp_path: Path) -> None:
    hashes = hash_file(write_safetensors(tmp_path / "a.safetensors", {"w": ("U8", (9,), 1)})).hashes
    assert hashes.autov1 == "e3b0c442"
    assert (hashes.sshs_legacy_hash, hashes.sshs_legacy_other) == ("e3b0c442", "e3b0c442")


def test_autov1_reads_short_at_the_end_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(bytes(0x100000) + b"tail")
    assert hash_file(path).hashes.autov1 == hashlib.sha256(b"tail").hexdigest()[:8]


def test_an_accepted_file_without_tensors_has_the_data_hash_of_nothing(tmp_path: Path) -> None:
    hashes = hash_file(write_safetensors(tmp_path / "a.safetensors", {}, {"a": "b"})).hashes
    assert hashes.data_sha256 == NOTHING
    assert hashes.autov3 == NOTHING[:12]


def test_an_empty_file_has_whole_file_digests(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.touch()
    hashes = hash_file(path).hashes
    assert (hashes.sha256, hashes.crc32, hashes.data_sha256) == (NOTHING, "00000000", None)


def test_the_other_metadata_do_not_move_the_legacy_hash(tmp_path: Path) -> None:
    tensors = {"w": ("U8", (1_200_000,), 5)}
    bare = hash_file(write_safetensors(tmp_path / "a.safetensors", tensors, {"ss_a": "1"})).hashes
    more = {"ss_a": "1", "modelspec.title": "t" * 999, "sshs_model_hash": "0" * 64}
    edited = hash_file(write_safetensors(tmp_path / "b.safetensors", tensors, more)).hashes
    assert edited.sshs_legacy_hash == bare.sshs_legacy_hash
    assert edited.autov1 != bare.autov1


def test_a_virtual_header_over_one_mebibyte_is_unverifiable(tmp_path: Path) -> None:
    tensors = {"w": ("U8", (1_200_000,), 5)}
    path = write_safetensors(tmp_path / "a.safetensors", tensors, {"ss_tag_frequency": "x" * (1 << 20)})
    hashes = hash_file(path).hashes
    assert (hashes.sshs_legacy_hash, hashes.sshs_legacy_other) == (None, None)
    assert hashes.data_sha256 is not None


def test_a_header_of_very_many_tensors_is_unverifiable(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {f"t{n}": ("U8", (), n) for n in range(24_000)})
    hashes = hash_file(path).hashes
    assert (hashes.sshs_legacy_hash, hashes.sshs_legacy_other) == (None, None)
    assert hashes.tensor_hash == naive_hashes(path.read_bytes()).tensor_hash


def test_an_unpadded_header_makes_the_unpadded_legacy_hash_the_first_candidate(tmp_path: Path) -> None:
    tensors = {"w": ("U8", (1_200_000,), 5)}
    path = write_safetensors(tmp_path / "a.safetensors", tensors, {"ss_a": "12"}, pad=False)
    padded = write_safetensors(tmp_path / "b.safetensors", tensors, {"ss_a": "12"}, pad=True)
    bare, other = hash_file(path).hashes, hash_file(padded).hashes
    assert bare.sshs_legacy_hash != bare.sshs_legacy_other
    assert (other.sshs_legacy_hash, other.sshs_legacy_other) == (
        bare.sshs_legacy_other,
        bare.sshs_legacy_hash,
    )
    assert bare.sshs_legacy_hash == bare.autov1  # nothing but ss_ entries: virtual and real are one


def test_tensors_out_of_name_order_have_no_name_order_hash(tmp_path: Path) -> None:
    tensors = {"a": ("U8", (9,), 1), "b": ("U8", (9,), 2)}
    turned = hash_file(write_safetensors(tmp_path / "a.safetensors", tensors, order="reversed")).hashes
    straight = hash_file(write_safetensors(tmp_path / "b.safetensors", tensors)).hashes
    assert turned.name_order_sha256 is None
    assert straight.name_order_sha256 == straight.data_sha256


def test_empty_tensors_do_not_break_the_name_order(tmp_path: Path) -> None:
    tensors: dict[str, TensorSpec] = {"b": ("U8", (0,), b""), "a": ("U8", (9,), 1), "c": ("U8", (3,), 2)}
    hashes = hash_file(write_safetensors(tmp_path / "a.safetensors", tensors)).hashes
    assert hashes.name_order_sha256 == hashes.data_sha256
