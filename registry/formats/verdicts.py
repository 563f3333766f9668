"""Whether what was written beside a file was written for it, told by the hashes that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

MATCH: Final = "match"
DIFFERS: Final = "differs"
UNCHECKED: Final = "unchecked"
UNSAID: Final = "unsaid"

# AutoV1 looks at 64 KiB of a file and CRC-32 has 32 bits: both are the same for files that differ.
_STRONG: Final = ("sha256", "blake3", "autov3", "autov2")
_SHORTEST: Final = 10
"""Digits of AutoV2; what is shorter begins too many digests."""


def verdict(claimed: Sequence[Mapping[str, str]], known: Collection[str], *, hashed: bool) -> str:
    """Return whether one of the files that a sidecar is about is the file beside it.

    `claimed` are the hashes of each of those files, as in `registry.told`; `known` all computed digests of
    the file, whole and in lower-case hex. `unsaid` if no hash is named that tells files apart; `match` if any
    such hash is one of the digests or the beginning of one, also if others differ, as the SHA-256 does once a
    tool rewrites the header; otherwise `unchecked` until the file is `hashed`, then `differs`.
    """
    named = (hashes.get(kind, "").lower() for hashes in claimed for kind in _STRONG)
    begins = tuple({name for name in named if len(name) >= _SHORTEST})
    if not begins:
        return UNSAID
    if any(digest.startswith(begins) for digest in known):
        return MATCH
    return DIFFERS if hashed else UNCHECKED
