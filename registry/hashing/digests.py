"""Every digest of a file as a row: which bytes, which algorithm, how many hex digits are kept.

Rows that share bytes and algorithm share one computation, and all computations share one read.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

from blake3 import blake3

from registry.hashing.legacy import ANCHOR, LENGTH, Span, legacy_spans
from registry.hashing.tensors import TensorStream, in_name_order
from registry.views import Hashes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from registry.formats.safetensors import Header


class Layout(NamedTuple):
    """A file as the digests see it; `header` only where the safetensors library would accept the file.

    `legacy` are the two spans of `registry.hashing.legacy`, where there are such.
    """

    size: int
    header: Header | None
    legacy: tuple[Span, Span] | None


class Stream(Protocol):
    """A digest in the making."""

    def update(self, block: memoryview, /) -> object:
        """Take the next bytes."""

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far in lower-case hex."""


class Digest(NamedTuple):
    """One row: `span` and `algorithm` are keys of `SPANS` and `ALGORITHMS`, `digits` counts hex digits."""

    name: str
    span: str
    algorithm: str
    digits: int


class Algorithm(NamedTuple):
    """How a digest starts, and its `cost`: seconds per byte relative to SHA-256, to share out threads."""

    start: Callable[[Layout], Stream]
    cost: float


class Crc32:
    """CRC-32 as in zip files."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, block: memoryview) -> None:
        """Take the next bytes."""
        self._value = zlib.crc32(block, self._value)

    def hexdigest(self) -> str:
        """Return eight hex digits."""
        return f"{self._value:08x}"


def _tensors(layout: Layout) -> TensorStream:
    return TensorStream(layout.header.tensors if layout.header else {})


def _whole(layout: Layout) -> Span:
    return Span(0, layout.size)


def _old(layout: Layout) -> Span:
    return Span(min(ANCHOR, layout.size), min(ANCHOR + LENGTH, layout.size))


def _data(layout: Layout) -> Span | None:
    if layout.header is None or layout.header.data_start is None:
        return None
    return Span(layout.header.data_start, layout.size)


def _name_order(layout: Layout) -> Span | None:
    return _data(layout) if layout.header and in_name_order(layout.header.tensors) else None


SPANS: Mapping[str, Callable[[Layout], Span | None]] = {
    "file": _whole,
    "64 KiB at 1 MiB": _old,
    "data": _data,
    "data, if in name order": _name_order,
    "64 KiB at 1 MiB of the likely virtual file": lambda layout: layout.legacy[0] if layout.legacy else None,
    "64 KiB at 1 MiB of the other virtual file": lambda layout: layout.legacy[1] if layout.legacy else None,
}

ALGORITHMS: Mapping[str, Algorithm] = {
    "sha256": Algorithm(lambda _: hashlib.sha256(usedforsecurity=False), 1.0),
    "blake3": Algorithm(lambda _: blake3(), 0.35),
    "tensors": Algorithm(_tensors, 0.4),
    "crc32": Algorithm(lambda _: Crc32(), 0.5),
}

DIGESTS = (
    Digest("sha256", "file", "sha256", 64),
    Digest("autov1", "64 KiB at 1 MiB", "sha256", 8),
    Digest("autov2", "file", "sha256", 10),
    Digest("blake3", "file", "blake3", 64),
    Digest("crc32", "file", "crc32", 8),
    Digest("data_sha256", "data", "sha256", 64),
    Digest("autov3", "data", "sha256", 12),
    Digest("sshs_legacy_hash", "64 KiB at 1 MiB of the likely virtual file", "sha256", 8),
    Digest("sshs_legacy_other", "64 KiB at 1 MiB of the other virtual file", "sha256", 8),
    Digest("tensor_hash", "data", "tensors", 64),
    Digest("name_order_sha256", "data, if in name order", "sha256", 64),
)


class Computation:
    """One digest over one span, fed with blocks of the whole file."""

    def __init__(self, span: Span, algorithm: Algorithm, layout: Layout) -> None:
        self.start, self.end = span
        self.stream = algorithm.start(layout)
        self.cost = algorithm.cost * (self.end - self.start)

    def feed(self, at: int, block: memoryview) -> None:
        """Take what belongs to the span from `block`, which lies at offset `at` of the file."""
        first, last = max(self.start - at, 0), min(self.end - at, len(block))
        if first < last:
            self.stream.update(block[first:last])


class AllDigests:
    """All rows of `DIGESTS` for one file, to be fed with its bytes in order.

    Digests that need the header are left out unless the safetensors library would accept the file.
    """

    def __init__(self, size: int, header: Header | None) -> None:
        accepted = header if header is not None and header.verdict.accepted else None
        layout = Layout(size, accepted, legacy_spans(accepted, size) if accepted else None)
        self._size = size
        self._computations: dict[tuple[Span, str], Computation] = {}
        self._rows: dict[str, tuple[Computation, int]] = {}
        spans = {name: find(layout) for name, find in SPANS.items()}
        for row in DIGESTS:
            if (span := spans[row.span]) is None:
                continue
            key = (span, row.algorithm)
            if key not in self._computations:
                self._computations[key] = Computation(span, ALGORITHMS[row.algorithm], layout)
            self._rows[row.name] = (self._computations[key], row.digits)

    def lanes(self, count: int) -> Sequence[Sequence[Computation]]:
        """Return the computations in at most `count` groups of about equal cost, one for each thread."""
        lanes: list[list[Computation]] = [[] for _ in range(max(count, 1))]
        costs = [0.0] * len(lanes)
        for computation in sorted(self._computations.values(), key=lambda one: one.cost, reverse=True):
            cheapest = costs.index(min(costs))
            lanes[cheapest].append(computation)
            costs[cheapest] += computation.cost
        return [lane for lane in lanes if lane]

    def hashes(self) -> Hashes:
        """Return the result once all bytes were fed."""
        values = {name: one.stream.hexdigest()[:digits] for name, (one, digits) in self._rows.items()}
        return Hashes(size=self._size, **values)
