"""Numbers of safetensors files as 32-bit ones, whatever they are stored in."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from registry.errors import UnsupportedKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_PLAIN: Final = {
    "F64": "<f8",
    "F32": "<f4",
    "I64": "<i8",
    "U64": "<u8",
    "I32": "<i4",
    "U32": "<u4",
    "I16": "<i2",
    "U16": "<u2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_F8: Final = {
    # bits of exponent and mantissa, bias, whether the highest exponent is infinity, codes of no number
    "F8_E4M3": (4, 3, 7, False, (0x7F, 0xFF)),
    "F8_E5M2": (5, 2, 15, True, ()),
    "F8_E4M3FNUZ": (4, 3, 8, False, (0x80,)),
    "F8_E5M2FNUZ": (5, 2, 16, False, (0x80,)),
}
_HALF_INFINITY: Final = 0x7C00
# All but the sign and the shifted exponent and mantissa.
_HALF_BITS: Final = np.int32(-0x7000_2000 & ~0x1FFF)
_HALF_BIAS: Final = np.float32(2.0**112)


def decode(dtype: str, raw: bytes | memoryview, shape: tuple[int, ...]) -> Floats:
    """Return the numbers of a tensor in an array of its own.

    `dtype` is that of the header; `raw` holds exactly the tensor, little-endian. Raises UnsupportedKind for
    numbers of less than eight bits and for exponents without numbers.
    """
    if dtype == "F16":
        flat = _halves(np.frombuffer(raw, "<i2"))
    elif dtype == "BF16":
        wide = np.frombuffer(raw, "<u2").astype(np.uint32)
        np.left_shift(wide, 16, out=wide)
        flat = wide.view(np.float32)
    elif dtype in _F8:
        flat = _eighths(dtype)[np.frombuffer(raw, np.uint8)]
    elif dtype in _PLAIN:
        flat = np.frombuffer(raw, _PLAIN[dtype]).astype(np.float32)
    else:
        raise UnsupportedKind(f"numbers of the type {dtype}")
    return flat.reshape(shape)


def _halves(bits: NDArray[np.int16]) -> Floats:
    """Widen 16-bit floats; numpy's own way takes twice as long, and is left the infinite ones."""
    if bits.size and int((bits & 0x7FFF).max()) >= _HALF_INFINITY:
        return bits.view(np.float16).astype(np.float32)
    wide = bits.astype(np.int32)
    np.left_shift(wide, 13, out=wide)
    np.bitwise_and(wide, _HALF_BITS, out=wide)
    floats = wide.view(np.float32)
    # Numbers below the normal ones come out right as well.
    np.multiply(floats, _HALF_BIAS, out=floats)
    return floats


@cache
def _eighths(dtype: str) -> Floats:
    """Return the 256 numbers of an 8-bit type (arXiv 2209.05433 and 2206.02915)."""
    exponent_bits, mantissa_bits, bias, infinite, none = _F8[dtype]
    numbers: list[float] = []
    for code in range(256):
        exponent = (code >> mantissa_bits) & ((1 << exponent_bits) - 1)
        mantissa = code & ((1 << mantissa_bits) - 1)
        if code in none:
            numbers.append(float("nan"))
            continue
        if infinite and exponent == (1 << exponent_bits) - 1:
            number = float("nan") if mantissa else float("inf")
        elif exponent == 0:
            number = mantissa * 2.0 ** (1 - bias - mantissa_bits)
        else:
            number = (1 + mantissa * 2.0**-mantissa_bits) * 2.0 ** (exponent - bias)
        numbers.append(-number if code & 0x80 else number)
    return np.array(numbers, np.float32)
