from __future__ import annotations

import numpy as np
import pytest

from registry.errors import UnsupportedKind
from registry.lora.numbers import decode


def test_every_16_bit_number_is_widened_as_numpy_does() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    with np.errstate(invalid="ignore"):
        expected = bits.view(np.float16).astype(np.float32)
    finite = np.isfinite(expected)
    # Once without and once with numbers for which the quick way will not do.
    some = decode("F16", bits[finite].tobytes(), (int(finite.sum()),))
    np.testing.assert_array_equal(some, expected[finite])
    np.testing.assert_array_equal(decode("F16", bits.tobytes(), (1 << 16,)), expected)


def test_bfloat16_is_the_upper_half_of_a_float() -> None:
    floats = np.array([1.0, -2.5, 3e38, 1e-40, np.inf, 0.0], np.float32)
    bits = (floats.view(np.uint32) >> 16).astype("<u2")
    found = decode("BF16", bits.tobytes(), (2, 3))
    np.testing.assert_array_equal(found.view(np.uint32).ravel() >> 16, bits)


@pytest.mark.parametrize(
    ("dtype", "code", "number"),
    [
        ("F8_E4M3", 0x7E, 448.0),
        ("F8_E4M3", 0x01, 2.0**-9),
        ("F8_E4M3", 0xB8, -1.0),
        ("F8_E5M2", 0x7B, 57344.0),
        ("F8_E5M2", 0x01, 2.0**-16),
        ("F8_E5M2", 0xFC, -np.inf),
        ("F8_E4M3FNUZ", 0x7F, 240.0),
        ("F8_E5M2FNUZ", 0x7F, 57344.0),
    ],
)
def test_eight_bits_are_read_by_the_published_tables(dtype: str, code: int, number: float) -> None:
    assert decode(dtype, bytes([code]), (1,))[0] == number


@pytest.mark.parametrize(("dtype", "code"), [("F8_E4M3", 0x7F), ("F8_E5M2", 0x7D), ("F8_E4M3FNUZ", 0x80)])
def test_what_is_no_number_stays_none(dtype: str, code: int) -> None:
    assert np.isnan(decode(dtype, bytes([code]), ())[()])


def test_whole_numbers_and_doubles_are_read() -> None:
    assert decode("I64", np.array([-3], "<i8").tobytes(), (1,)).tolist() == [-3.0]
    assert decode("F64", np.array([0.5], "<f8").tobytes(), ()).shape == ()
    assert decode("F16", b"", (0, 4)).shape == (0, 4)


def test_half_bytes_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedKind, match="F4"):
        decode("F4", b"\0", (2,))
