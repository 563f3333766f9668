"""Read the header of a safetensors file from its first bytes: a verdict equal to the library's, and salvage.

The format is that of huggingface/safetensors (README and safetensors/src/tensor.rs, 0.8): a little-endian u64
`n`, `n` bytes of JSON, then the data section. Nothing here opens a file.
"""

from __future__ import annotations

from itertools import chain, repeat
from math import prod
from operator import itemgetter, mul, sub
from typing import TYPE_CHECKING, Final

import orjson

from registry.formats.exact import read_exactly, shown
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
_METADATA: Final = "__metadata__"
_DTYPE: Final = itemgetter("dtype")
_SHAPE: Final = itemgetter("shape")
_OFFSETS: Final = itemgetter("data_offsets")
_PLAIN_ZERO: Final = b'"data_offsets":[0,'
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
    elements = 1
    for dimension in shape:
        elements *= dimension
        if elements > MAX_U64:
            return Problem("overflow", f"Tensor {name} has too many elements.")
    bits = elements * DTYPE_BITS[dtype]
    if bits > MAX_U64:
        return Problem("overflow", f"Tensor {name} has too many bits.")
    if bits != 8 * (end - start):
        return Problem("size-mismatch", f"Tensor {name} needs {bits / 8:g} bytes and has {end - start}.")
    return None


def _fast(raw: bytes, size: int, data_start: int) -> Header | None:
    """Read an ordinary, flawless header; `None` means that only the exact reader can tell.

    orjson reads what serde_json reads, but keeps only the last of repeated names, reads `-0` as an integer
    and nests deeper. An ordinary header nests no deeper than its entries; the other two are ruled out below.
    All loops run inside C functions, since a header may hold thousands of tensors.
    """
    if not _is_modest(raw):
        return None
    try:
        document = orjson.loads(raw)
        metadata = document.pop(_METADATA, None)
        entries = list(document.values())
        dtypes = list(map(_DTYPE, entries))
        shapes = list(map(_SHAPE, entries))
        offsets = list(map(_OFFSETS, entries))
        bits = list(map(DTYPE_BITS.__getitem__, dtypes))
        counts = list(map(prod, shapes))
        bounds = list(chain.from_iterable(offsets))
        kinds = set(map(type, chain(bounds, chain.from_iterable(shapes))))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, IndexError):
        return None
    is_ordinary = (
        kinds <= {int}
        and set(map(type, chain(entries, (document,)))) == {dict}
        and set(map(type, chain(shapes, offsets))) <= {list}
        and set(map(len, entries)) <= {3}
        and set(map(len, offsets)) <= {2}
        and 0 not in counts
        and (metadata is None or (type(metadata) is dict and set(map(type, metadata.values())) <= {str}))
    )
    if not is_ordinary or _hides_something(raw, document, metadata):
        return None
    names = list(document)
    if bounds != sorted(bounds):
        order = sorted(range(len(names)), key=offsets.__getitem__)
        names, dtypes, shapes, bits, counts, offsets = (
            [column[place] for place in order] for column in (names, dtypes, shapes, bits, counts, offsets)
        )
        bounds = list(chain.from_iterable(offsets))
    starts, ends = bounds[::2], bounds[1::2]
    needed = list(map(mul, counts, bits))
    is_flawless = [*starts, size - data_start] == [0, *ends] and needed == list(
        map(mul, map(sub, ends, starts), repeat(8))
    )
    if not is_flawless:
        return None
    rows = zip(dtypes, map(tuple, shapes), starts, ends, strict=True)
    # What `Tensor._make` does, without a Python call for each tensor.
    tensors = dict(zip(names, map(tuple.__new__, repeat(Tensor), rows), strict=True))
    return Header(size, data_start, _ACCEPTED, tensors, metadata or {})


def _hides_something(raw: bytes, tensors: Mapping[str, object], metadata: Mapping[str, str] | None) -> bool:
    """Tell whether a header that looks ordinary may hold repeated names or the number `-0`.

    Repeated names show in the number of quotation marks: ten for each tensor (its name, three field names,
    the dtype), four for each metadata entry, two for `__metadata__`, and those inside strings. The last are
    known unless one is written as an escaped code point.
    """
    if b"\\u0022" in raw:
        return True
    strings = tensors.keys() if metadata is None else [*tensors, *metadata, *metadata.values()]
    inside = "".join(strings).count('"')
    frame = 10 * len(tensors)
    if metadata is not None:
        frame += 4 * len(metadata) + 2
    elif b"__metadata__" in raw or b"\\u" in raw:
        return True
    if raw.count(b'"') != frame + inside:
        return True
    # No shape of an ordinary header holds a zero, and of its offsets only the first start is one.
    return bool(tensors) and _PLAIN_ZERO not in raw and _has_negative_zero(raw)


def _has_negative_zero(raw: bytes) -> bool:
    """Tell whether `-0` stands where JSON may have a number; within a string it may, too."""
    at = raw.find(b"-0")
    while at >= 0:
        if raw[at - 1] in b"[, \t\r\n:":
            return True
        at = raw.find(b"-0", at + 2)
    return False


def _is_modest(raw: bytes) -> bool:
    """Tell whether a header can be parsed without filling the memory."""
    if len(raw) < _SUSPICIOUS_SIZE:
        return True
    return raw.count(b"[") + raw.count(b"{") + raw.count(b",") < _MAX_VALUES
