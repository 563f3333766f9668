"""One read feeds everything, however the bytes arrive."""

from __future__ import annotations

import io
import random

import pytest

from registry.formats.safetensors import parse
from registry.hashing.digests import AllDigests
from registry.hashing.onepass import BLOCK, Watcher, feed
from tests.support.files import data_bytes, header_bytes
from tests.support.naive_hashes import naive_hashes

TENSORS = {f"t{number}": ("U8", (number * 9_000,), number) for number in range(30)}
RAW = header_bytes(TENSORS) + data_bytes(TENSORS)


class Trickle:
    """A source that gives a random part of what is asked for, as network file systems may."""

    def __init__(self, raw: bytes) -> None:
        self.stream = io.BytesIO(raw)
        self.rng = random.Random(1)

    def __call__(self, buffer: memoryview) -> int:
        return self.stream.readinto(buffer[: self.rng.randint(1, 50_000)])


@pytest.mark.parametrize("lanes", [1, 2, 4])
@pytest.mark.parametrize("head", [0, 8, 5_000, 2 * BLOCK])
def test_short_reads_give_the_same_digests(lanes: int, head: int) -> None:
    digests = AllDigests(len(RAW), parse(RAW, len(RAW)))
    source = Trickle(RAW[head:])
    assert feed(RAW[:head], source, len(RAW), digests.lanes(lanes), Watcher()) == len(RAW)
    assert digests.hashes() == naive_hashes(RAW)


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_source_that_ends_early_is_told_by_the_count(lanes: int) -> None:
    digests = AllDigests(len(RAW), parse(RAW, len(RAW)))
    source = Trickle(RAW[100 : len(RAW) - 7])
    assert feed(RAW[:100], source, len(RAW), digests.lanes(lanes), Watcher()) == len(RAW) - 7


@pytest.mark.parametrize("lanes", [1, 2])
def test_what_comes_after_the_size_is_not_read(lanes: int) -> None:
    digests = AllDigests(len(RAW), parse(RAW, len(RAW)))
    source = Trickle(RAW + b"more")
    assert feed(b"", source, len(RAW), digests.lanes(lanes), Watcher()) == len(RAW)
    assert digests.hashes() == naive_hashes(RAW)
