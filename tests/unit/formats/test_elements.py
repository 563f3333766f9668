from __future__ import annotations

from itertools import islice, repeat

import pytest

from registry.formats.elements import count_elements
from registry.formats.header import MAX_U64


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((), 1),
        ((4, 2), 8),
        ((3, 0), 0),
        ((MAX_U64,), MAX_U64),
        ((MAX_U64, 1), MAX_U64),
        ((MAX_U64, 2), None),
        ((MAX_U64, 2, 0), None),
        ((0, MAX_U64, 2), 0),
        ((-1, 1, -1), None),
    ],
)
def test_elements_are_counted_in_order_and_within_64_bits(shape: tuple[int, ...], count: int | None) -> None:
    assert count_elements(shape) == count


def test_counting_ends_with_the_first_dimension_too_many() -> None:
    endless = repeat(MAX_U64)

    assert count_elements(endless) is None
    assert count_elements(islice(repeat(1), 100_000)) == 1
