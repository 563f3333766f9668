"""One walk over the chunks of a PNG, for all who look into one."""

from __future__ import annotations

import itertools
import struct

from hypothesis import given
from hypothesis import strategies as st

from registry.formats.png_chunks import MAX_CHUNKS, SIGNATURE, chunks
from tests.support.pictures import plain


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + b"\0\0\0\0"


def test_chunks_cover_a_picture_from_its_signature_to_its_end() -> None:
    data = plain()
    found = list(chunks(data + b"what comes after the end"))
    assert found[0].is_header
    assert (found[0].start, found[-1].kind, found[-1].end) == (len(SIGNATURE), b"IEND", len(data))
    assert all(before.end == after.start for before, after in itertools.pairwise(found))
    assert [len(each.data(data)) for each in found] == [each.end - each.start - 12 for each in found]
    assert found[0].data(data, 4) == found[0].data(data)[:4]


def test_only_a_header_of_its_length_is_one() -> None:
    found = list(chunks(SIGNATURE + chunk(b"IHDR", bytes(12)) + chunk(b"IDAT", bytes(13))))
    assert [each.is_header for each in found] == [False, False]


def test_a_walk_ends_before_what_is_cut_and_after_so_many_chunks() -> None:
    whole = SIGNATURE + chunk(b"aaAa", b"one") + chunk(b"bbBb", b"two")
    assert [each.kind for each in chunks(whole[:-1])] == [b"aaAa"]
    assert sum(1 for _ in chunks(SIGNATURE + chunk(b"aaAa") * (MAX_CHUNKS + 1))) == MAX_CHUNKS


@given(st.binary(max_size=60), st.booleans())
def test_whatever_a_stranger_sends_is_walked(data: bytes, begins: bool) -> None:  # noqa: FBT001 - drawn
    sent = SIGNATURE + data if begins else data
    assert all(len(SIGNATURE) <= each.start < each.end <= len(sent) for each in chunks(sent))
