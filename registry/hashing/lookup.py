"""Hashes as people type them, and which of them say nothing."""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import TYPE_CHECKING

from blake3 import blake3

if TYPE_CHECKING:
    from registry.formats.safetensors import Header
    from registry.views import Hashes

SHORTEST = 8  # hex digits that a query or a claim needs to mean anything
NOTHING = (
    hashlib.sha256(usedforsecurity=False).hexdigest(),
    blake3().hexdigest(),
    f"{zlib.crc32(b''):08x}",
)
"""What the algorithms of `registry.hashing.digests` make of no bytes, in full; other digests begin so."""
_QUERY = re.compile(r"(?:0x|blake3:|sha256:)?([0-9a-f]{8,64})", re.IGNORECASE | re.ASCII)


def parse_hash_query(text: str) -> str | None:
    """Return the lower-case hex digits of a hash or of a prefix of one, `None` if `text` is neither.

    Takes 8 to 64 hex digits in any case, with or without `0x`, `blake3:` or `sha256:` before them.
    """
    found = _QUERY.fullmatch(text.strip())
    return found.group(1).lower() if found else None


def is_hash_of_nothing(digest: str) -> bool:
    """Tell whether lower-case hex `digest` is that of no bytes at all, or 8 or more digits of it.

    Files without data, and the legacy hashes of all files under 1 MiB, share it: it identifies nothing. Eight
    zeros are the CRC-32 of nothing; more of them may begin another hash.
    """
    return len(digest) >= SHORTEST and any(nothing.startswith(digest) for nothing in NOTHING)


def identity(header: Header | None, hashes: Hashes) -> str:
    """Return what names the weights: `data:<sha256>` of the data section, else `file:<sha256>`.

    The data section counts if the safetensors library accepts the file and there is at least one byte.
    """
    start = header.data_start if header is not None and header.verdict.accepted else None
    if start is not None and start < hashes.size and hashes.data_sha256:
        return f"data:{hashes.data_sha256}"
    return f"file:{hashes.sha256}"
