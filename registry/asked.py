"""What asking a service for a file came to, by the SHA-256 of the file."""

from __future__ import annotations

from typing import Final, NamedTuple

FOUND: Final = "found"
AMBIGUOUS: Final = "ambiguous"
"""Several versions have this very file."""
NOT_FOUND: Final = "not_found"
GONE: Final = "gone"
"""It was found once and is no longer; what was known then is kept."""
FAILED: Final = "failed"
MATCHED: Final = "matched"
"""Versions are known by id; their details were not fetched yet."""
UNMATCHED: Final = "unmatched"
"""Its SHA-256 is not known there; its other hashes wait for their turn."""
STATES: Final = (FOUND, AMBIGUOUS, NOT_FOUND, GONE, FAILED, MATCHED, UNMATCHED)
KNOWN: Final = frozenset({FOUND, AMBIGUOUS, GONE})
"""States in which there is something to show."""
BEGUN: Final = frozenset({MATCHED, UNMATCHED})
"""States in which the next run goes on where this one stopped."""


ARCHIVE: Final = "civarchive"
"""Stands for the kind of hash where only the second source knew a file, by its SHA-256."""


class Asked(NamedTuple):
    """What is known of asking for one file: its state, when (ms since the epoch), how often in a row.

    `by` is the kind of hash that found it, or ARCHIVE, `published_at` when the newest of its versions
    appeared.
    """

    state: str
    asked_at: int
    tries: int = 1
    by: str | None = None
    published_at: int | None = None

    @property
    def archived(self) -> bool:
        """Whether it is known from the second source only: the first does not know it."""
        return self.state == FOUND and self.by == ARCHIVE


class Outcome(NamedTuple):
    """What asking for one file came to just now: `versions` are those that have it, believed or not yet."""

    sha256: str
    state: str
    by: str | None = None
    versions: tuple[int, ...] = ()
    error: str | None = None
