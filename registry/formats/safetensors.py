"""Read the header of a safetensors file from its first bytes: a verdict equal to the library's, and salvage.

The format is that of huggingface/safetensors (README and safetensors/src/tensor.rs, 0.8): a little-endian u64
`n`, `n` bytes of JSON, then the data section. Nothing here opens a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.formats.elements import count_elements
from registry.formats.exact import read_exactly, shown
from registry.formats.flawless import read_flawless
from registry.formats.header import (
    CAUSES,
    DTYPE_BITS,
    LENGTH_FIELD,
    MAX_HEADER,
    MAX_U64,
    Header,
    Problem,
    Tensor,
    Verdict,
)
from registry.formats.lookalikes import SNIFFED, looks_like

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CAUSES", "DTYPE_BITS", "Header", "Tensor", "Verdict", "header_span", "parse"]

_ACCEPTED: Final = Verdict(accepted=True)
_SUSPICIOUS_SIZE: Final = 8_000_000
_MAX_VALUES: Final = 2_000_000


def header_span(first: bytes, size: int) -> int:
    """Return how many bytes from the file's start `parse` needs.

    `first` holds at least the first 8 bytes of the file, or all of a shorter one; `size` is the file's size.
    The answer never exceeds `size` nor 8 + 100,000,000.
    """
    if len(first) < LENGTH_FIELD or size <= LENGTH_FIELD:
        return min(size, LENGTH_FIELD)
    length = int.from_bytes(first[:LENGTH_FIELD], "little")
    if length == 0 or length > MAX_HEADER:
        return min(size, SNIFFED)
    return min(size, LENGTH_FIELD + length)


def parse(head: bytes, size: int) -> Header:
    """Judge a file of `size` bytes by its first bytes and read what its header says; never raises.

    `head` holds at least `header_span` bytes of the file's start and may be longer. What is missing of it is
    taken as missing from the file.
    """
    length = int.from_bytes(head[:LENGTH_FIELD], "little")
    if len(head) < LENGTH_FIELD or length > MAX_HEADER:
        return Header(size, None, looks_like(head, size).verdict())
    data_start = LENGTH_FIELD + length
    if min(size, len(head)) < data_start:
        problem = looks_like(head, size)
        salvaged = read_exactly(head[LENGTH_FIELD:]) if _is_modest(head) else None
        metadata = salvaged.metadata if salvaged else {}
        return Header(size, None, problem.verdict(), {}, metadata)
    raw = head[LENGTH_FIELD:data_start]
    if length == 0:
        problem = Problem("empty-header") if any(head[:SNIFFED]) else Problem("all-zeros")
        return Header(size, data_start, problem.verdict())
    return _fast(raw, size, data_start) or _exact(raw, size, data_start)


def _exact(raw: bytes, size: int, data_start: int) -> Header:
    hopeless = _hopeless(raw)
    if hopeless is not None:
        return Header(size, data_start, hopeless.verdict())
    reading = read_exactly(raw)
    in_order = dict(sorted(reading.tensors.items(), key=lambda item: item[1][2:]))
    problem = reading.problem or _layout_problem(in_order, size - data_start)
    verdict = problem.verdict() if problem else _ACCEPTED
    return Header(size, data_start, verdict, in_order, reading.metadata, reading.notes)


def _hopeless(raw: bytes) -> Problem | None:
    if not raw.strip(b"\0"):
        return Problem("all-zeros")
    return None if _is_modest(raw) else Problem("header-too-complex")


def _layout_problem(tensors: Mapping[str, Tensor], data_size: int) -> Problem | None:
    """Check tensors in data-offset order as `Metadata::validate` of the reference does."""
    reached = 0
    for name, tensor in tensors.items():
        problem = _tensor_problem(shown(name), tensor, reached)
        if problem is not None:
            return problem
        reached = tensor.end
    if reached > data_size:
        return Problem("truncated-data", f"{data_size} of {reached} bytes of data are there.")
    if reached < data_size:
        return Problem("trailing-data", f"The last {data_size - reached} bytes belong to no tensor.")
    return None


def _tensor_problem(name: str, tensor: Tensor, reached: int) -> Problem | None:
    dtype, shape, start, end = tensor
    if start != reached or end < start:
        return Problem("invalid-offsets", f"Tensor {name} lies at {start}..{end}, not at {reached}.")
    elements = count_elements(shape)
    if elements is None:
        return Problem("overflow", f"Tensor {name} has too many elements.")
    bits = elements * DTYPE_BITS[dtype]
    if bits > MAX_U64:
        return Problem("overflow", f"Tensor {name} has too many bits.")
    if bits != 8 * (end - start):
        return Problem("size-mismatch", f"Tensor {name} needs {bits / 8:g} bytes and has {end - start}.")
    return None


def _fast(raw: bytes, size: int, data_start: int) -> Header | None:
    """Read an ordinary, flawless header; `None` means that only the exact reader can tell."""
    found = read_flawless(raw, size - data_start) if _is_modest(raw) else None
    if found is None:
        return None
    tensors, metadata = found
    return Header(size, data_start, _ACCEPTED, tensors, metadata or {})


def _is_modest(raw: bytes) -> bool:
    """Tell whether a header can be parsed without filling the memory."""
    if len(raw) < _SUSPICIOUS_SIZE:
        return True
    return raw.count(b"[") + raw.count(b"{") + raw.count(b",") < _MAX_VALUES
