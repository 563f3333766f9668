"""Which of the versions that a service names really have a file: pure, by the hashes in their details."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.asked import AMBIGUOUS, FOUND, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.told import RemoteVersion

SHA256: Final = "sha256"
AUTOV3: Final = "autov3"
BLAKE3: Final = "blake3"
SINGLES: Final = (AUTOV3, BLAKE3)
"""What is asked one by one where the SHA-256 is not known there, the likeliest first."""
_AUTOV3_DIGITS: Final = 12


def asked_as(kind: str, digests: Mapping[str, str]) -> str | None:
    """Return the hash of a kind as a service names it, from the digests of a file, `None` without one."""
    if kind == AUTOV3:
        data = digests.get("data_sha256")
        return None if data is None else data[:_AUTOV3_DIGITS]
    return digests.get(kind)


def believed(versions: Iterable[RemoteVersion], kind: str, digest: str) -> list[int]:
    """Return the ids of the versions with a file that has this hash, the one that appeared first in front."""
    found = {
        told.id: told
        for told in versions
        if told.id is not None and any(file.hashes.get(kind) == digest for file in told.files)
    }
    return sorted(found, key=lambda key: (_appeared(found[key]), key))


def outcome(sha256: str, kind: str, versions: Iterable[int]) -> Outcome | None:
    """Return what it comes to that these versions have a file; `None` for none."""
    ids = tuple(versions)
    if not ids:
        return None
    return Outcome(sha256, FOUND if len(ids) == 1 else AMBIGUOUS, kind, ids)


def _appeared(told: RemoteVersion) -> int:
    moment = told.published_at or told.created_at
    return 1 << 62 if moment is None else moment
