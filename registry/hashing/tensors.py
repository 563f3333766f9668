"""One hash for a set of tensors that does not depend on the order in which a file holds them.

`tensor_hash` is BLAKE3 over one record per tensor, in the order of the names' UTF-8 bytes. A record is::

    u64 length of the name    name (UTF-8)
    u64 length of the dtype   dtype (ASCII, as in the header)
    u64 number of dimensions  u64 each dimension
    32 bytes                  BLAKE3 of the tensor's bytes

All integers are little-endian, so that no two sets of tensors share one sequence of records.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.formats.safetensors import Tensor

_u64 = struct.Struct("<Q").pack


class TensorStream:
    """A digest that takes the data section from its first byte on, in pieces of any size."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end))
        self._ends = [tensor.end for _, tensor in self._tensors]
        self._digests: list[bytes] = []
        self._at = 0
        self._open: blake3 | None = None

    def update(self, block: memoryview) -> None:
        """Take the next bytes of the data section."""
        at, ends, digests = self._at, self._ends, self._digests
        stop, taken = at + len(block), 0
        while len(digests) < len(ends) and (end := ends[len(digests)]) <= stop:
            piece = block[taken : end - at]
            if self._open is None:
                digests.append(blake3(piece).digest())
            else:
                self._open.update(piece)
                digests.append(self._open.digest())
                self._open = None
            taken = end - at
        if taken < len(block):
            self._open = self._open or blake3()
            self._open.update(block[taken:])
        self._at = stop

    def hexdigest(self) -> str:
        """Return the hash of all tensors; those whose bytes did not come count as empty."""
        whole = blake3()
        missing = [blake3().digest()] * (len(self._ends) - len(self._digests))
        digests = self._digests + missing
        records = [
            (name.encode("utf-8", "surrogatepass"), tensor, digest)
            for (name, tensor), digest in zip(self._tensors, digests, strict=True)
        ]
        for name, tensor, digest in sorted(records, key=lambda record: record[0]):
            whole.update(_record(name, tensor, digest))
        return whole.hexdigest()


def _record(name: bytes, tensor: Tensor, digest: bytes) -> bytes:
    dtype = tensor.dtype.encode()
    shape = tensor.shape
    return b"".join(
        (_u64(len(name)), name, _u64(len(dtype)), dtype, _u64(len(shape)), *map(_u64, shape), digest)
    )


def in_name_order(tensors: Mapping[str, Tensor]) -> bool:
    """Tell whether the bytes of the tensors, concatenated by name, are the data section as it is."""
    starts = [tensor.start for _, tensor in sorted(tensors.items()) if tensor.end > tensor.start]
    return starts == sorted(starts)
