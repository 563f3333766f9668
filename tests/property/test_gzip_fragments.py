"""Members put together from any pieces are what the pieces say."""

from __future__ import annotations

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from registry.wire import gzip_segments as segments

DATA = st.one_of(
    st.binary(max_size=300),
    st.tuples(st.binary(min_size=1, max_size=5), st.integers(0, 40_000)).map(lambda pair: pair[0] * pair[1]),
)


@given(st.lists(st.tuples(DATA, st.sampled_from(["raw", "stored", "0", "1", "6", "9"])), max_size=12))
def test_any_mixture_of_pieces_makes_one_valid_member(mixture: list[tuple[bytes, str]]) -> None:
    parts: list[segments.Fragment | bytes] = []
    for data, form in mixture:
        if form == "raw":
            parts.append(data)
        elif form == "stored":
            parts.append(segments.stored_fragment(data))
        else:
            parts.append(segments.compress_fragment(data, int(form)))
    whole = b"".join(data for data, _ in mixture)
    member = b"".join(segments.gzip_member(parts))
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert inflater.decompress(member) == whole
    assert inflater.eof
    assert inflater.unused_data == b""
    assert gzip.decompress(member) == whole


@given(st.binary(max_size=200), DATA)
def test_crcs_combine(first: bytes, second: bytes) -> None:
    combined = segments.combine_crc(zlib.crc32(first), zlib.crc32(second), len(second))
    assert combined == zlib.crc32(first + second)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**40), st.integers(0, 2**40))
def test_combining_by_steps_equals_combining_at_once(first: int, second: int, size: int, more: int) -> None:
    at_once = segments.combine_crc(first, second, size + more)
    by_steps = segments.combine_crc(segments.combine_crc(first, 0, size), second, more)
    assert at_once == by_steps
