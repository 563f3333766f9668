"""A second source: CivArchive, or what answers as it does, for files that Civitai does not know any more.

What answers mean is decoded in `registry.formats.civarchive`; here is how they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from registry.civitai.asking import Asker, Service, word
from registry.civitai.matching import SHA256, believed
from registry.formats.civarchive import model_of, places_of, version_of
from registry.formats.packing import pack_json
from registry.net import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.civitai.asking import Waiting
    from registry.net import Door
    from registry.told import RemoteModel, RemoteVersion

ATTEMPTS: Final = 3
"""Fewer than of Civitai: what comes second is not waited for so long."""


class Archived(NamedTuple):
    """A version and, where it tells of that, its model: as they were sent and as they are understood."""

    raw: bytes
    told: RemoteVersion
    model: RemoteModel | None


def purpose(url: str) -> Purpose:
    """Return the purpose of asking the archive at an address."""
    host = urlsplit(url).hostname or ""
    return Purpose("the second source", "what Civitai no longer has of your files", frozenset({host}))


class Archive:
    """Asks one archive; may be used by several threads.

    Every method raises OutboundError when there is no answer after several attempts, and Cancelled.
    """

    def __init__(
        self,
        door: Door,
        url: str,
        *,
        waiting: Waiting | None = None,
        attempts: int = ATTEMPTS,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        remedy = "look at LORAS_ARCHIVE_URL in the settings"
        # Its clients look at the status only, and nothing says what its 404 look like.
        service = Service("archive", url.rstrip("/"), purpose(url), remedy, remedy, explains=False)
        self._asker = Asker(door, service, waiting=waiting, attempts=attempts, cancelled=cancelled)

    @property
    def requests(self) -> int:
        """How many requests were sent, repetitions too."""
        return self._asker.requests

    def version_of(self, sha256: str) -> Archived | None:
        """Return the version that has a file with this SHA-256 by its own details, `None` if none has.

        It sometimes tells no more than where a file is; then it is asked for that.
        """
        digest = word(sha256).lower()
        answer = self._asker.ask("GET", f"/sha256/{digest}")
        found = _archived(answer, digest)
        if found is not None:
            return found
        for model_id, version_id in places_of(answer):
            answer = self._asker.ask("GET", f"/models/{model_id:d}?modelVersionId={version_id:d}")
            found = _archived(answer, digest)
            if found is not None:
                return found
        return None


def _archived(answer: object, sha256: str) -> Archived | None:
    told = version_of(answer)
    if told is None or not believed([told], SHA256, sha256):
        return None
    return Archived(pack_json(answer), told, model_of(answer))
