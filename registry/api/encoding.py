"""Which compression a client takes (RFC 9110, section 12.5.3), and compressing whole bodies."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

IDENTITY = "identity"
# Smaller bodies fit one packet anyway.
WORTH_IT = 1024
_GZIP_LEVEL = 5
_ZSTD_LEVEL = 3


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _gzip(body: bytes) -> bytes:
    compressor = _gzipper()
    return compressor.compress(body) + compressor.flush()


def _gzipper() -> _Compressor:
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)


def _zstder() -> _Compressor:
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)


# The first of those that a client likes equally is used.
CODINGS: Mapping[str, Callable[[bytes], bytes]] = {"zstd": _zstd, "gzip": _gzip}
_COMPRESSORS: Mapping[str, Callable[[], _Compressor]] = {"zstd": _zstder, "gzip": _gzipper}


def negotiate(accepted: str | None, offered: Sequence[str] = tuple(CODINGS)) -> str:
    """Return the coding to use out of `offered`, or `identity`; without a header nothing was asked for."""
    if not accepted:
        return IDENTITY
    weights: dict[str, float] = {}
    for part in accepted.split(",")[:50]:
        name, _, parameters = part.partition(";")
        weights[name.strip().lower().removeprefix("x-")] = _weight(parameters)
    others = weights.get("*", 0.0)
    best = max(offered, key=lambda name: weights.get(name, others))
    return best if weights.get(best, others) > 0 else IDENTITY


def _weight(parameters: str) -> float:
    name, equals, value = parameters.partition("=")
    if not equals or name.strip().lower() != "q":
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def compress(body: bytes, coding: str) -> bytes:
    """Return the body in a coding that `negotiate` chose."""
    return body if coding == IDENTITY else CODINGS[coding](body)


def compress_pieces(pieces: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield a body that comes in pieces in a coding that `negotiate` chose."""
    if coding == IDENTITY:
        yield from pieces
        return
    compressor = _COMPRESSORS[coding]()
    for piece in pieces:
        if compressed := compressor.compress(piece):
            yield compressed
    yield compressor.flush()
