"""How many elements a shape has, counted as the safetensors library counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.formats.header import MAX_U64

if TYPE_CHECKING:
    from collections.abc import Iterable


def count_elements(shape: Iterable[int]) -> int | None:
    """Return the product of the dimensions, `None` as soon as it is negative or does not fit 64 bits.

    In their order, as the checked multiplication of `Metadata::validate` (safetensors, tensor.rs): a zero
    after an overflow does not mend it. The work is linear, also for 100,000 dimensions of 2**64 - 1.
    """
    elements = 1
    for dimension in shape:
        elements *= dimension
        if not 0 <= elements <= MAX_U64:
            return None
    return elements
