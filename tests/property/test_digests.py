"""Any small file: one pass gives what the obvious computation gives."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.formats.safetensors import parse
from registry.hashing.digests import AllDigests
from registry.hashing.reader import hash_file
from tests.support.files import DTYPE_BITS, data_bytes, header_bytes, write_safetensors
from tests.support.naive_hashes import naive_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.files import TensorSpec

BYTE_SIZED = sorted(name for name, bits in DTYPE_BITS.items() if bits % 8 == 0)
names = st.text(st.characters(codec="utf-8"), max_size=12)
shapes = st.lists(st.integers(0, 9), max_size=3).map(tuple)
specs: st.SearchStrategy[TensorSpec] = st.tuples(st.sampled_from(BYTE_SIZED), shapes, st.integers(0, 2**32))
tensor_sets = st.dictionaries(names.filter(lambda name: name != "__metadata__"), specs, max_size=8)
metadata_sets = st.none() | st.dictionaries(
    st.sampled_from(["ss_tag", "ss_é", "sshs_model_hash", "x", "ss_"]) | names, names, max_size=5
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@given(tensors=tensor_sets, metadata=metadata_sets, pad=st.booleans())
def test_every_digest_equals_the_obvious_computation(
    folder: Path, tensors: dict[str, TensorSpec], metadata: dict[str, str] | None, *, pad: bool
) -> None:
    path = write_safetensors(folder / "any.safetensors", tensors, metadata, pad=pad)
    assert hash_file(path).hashes == naive_hashes(path.read_bytes())


@given(tensors=tensor_sets, cuts=st.lists(st.integers(0, 6000), max_size=12), lanes=st.integers(1, 4))
def test_the_result_does_not_depend_on_where_blocks_end(
    tensors: dict[str, TensorSpec], cuts: list[int], lanes: int
) -> None:
    raw = header_bytes(tensors) + data_bytes(tensors)
    digests = AllDigests(len(raw), parse(raw, len(raw)))
    edges = [0, *sorted({min(cut, len(raw)) for cut in cuts}), len(raw)]
    for lane in digests.lanes(lanes):
        for start, end in itertools.pairwise(edges):
            for computation in lane:
                computation.feed(start, memoryview(raw)[start:end])
    assert digests.hashes() == naive_hashes(raw)


@given(tensors=tensor_sets, data=st.data())
def test_the_tensor_hash_does_not_depend_on_the_order_of_tensors(
    folder: Path, tensors: dict[str, TensorSpec], data: st.DataObject
) -> None:
    names = data.draw(st.permutations(list(tensors)))
    first = hash_file(write_safetensors(folder / "a.safetensors", tensors)).hashes
    second = hash_file(write_safetensors(folder / "b.safetensors", {name: tensors[name] for name in names}))
    assert first.tensor_hash == second.hashes.tensor_hash


@settings(max_examples=40)
@given(extra=st.integers(-70_000, 70_000), keys=st.integers(0, 40), pad=st.booleans())
def test_regions_at_one_mebibyte_are_right_around_the_end_of_the_file(
    folder: Path, extra: int, keys: int, *, pad: bool
) -> None:
    tensors: dict[str, TensorSpec] = {"w": ("U8", ((1 << 20) + extra,), 7)}
    metadata = {f"{'ss' if number % 2 else 'x'}_{number}": "v" * number for number in range(keys)}
    path = write_safetensors(folder / "big.safetensors", tensors, metadata, pad=pad)
    assert hash_file(path).hashes == naive_hashes(path.read_bytes())


@given(raw=st.binary(max_size=300).filter(lambda raw: not parse(raw, len(raw)).verdict.accepted))
def test_bytes_that_are_no_safetensors_file_have_only_whole_file_digests(folder: Path, raw: bytes) -> None:
    path = folder / "junk.safetensors"
    path.write_bytes(raw)
    hashes = hash_file(path).hashes
    needing_a_header = (hashes.data_sha256, hashes.autov3, hashes.tensor_hash, hashes.sshs_legacy_hash)
    assert needing_a_header == (None, None, None, None)
    assert hashes.sha256 == hashlib.sha256(raw).hexdigest()
