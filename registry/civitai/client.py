"""The REST v1 of Civitai: what it knows of a hash, of many, of a version, of a model.

Sources: civitai/civitai src/pages/api/v1, and its developer pages on errors and authentication. What answers
mean is decoded in `registry.formats.civitai`; here is how they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeGuard
from urllib.parse import urlsplit

from registry.civitai.asking import ATTEMPTS, Asker, Refused, Service, word
from registry.errors import OutboundError
from registry.formats.civitai import model_of, version_of
from registry.formats.packing import pack_json
from registry.net import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from registry.civitai.asking import Waiting
    from registry.civitai.pace import Pace
    from registry.net import Door
    from registry.told import RemoteModel, RemoteVersion

URL: Final = "https://civitai.com"
IDS_AT_ONCE: Final = 10_000
VERSIONS_AT_ONCE: Final = 100
_BATCH: Final = "/model-versions/by-hash"
_IDS: Final = f"{_BATCH}/ids"


class Match(NamedTuple):
    """A version that has a file with a hash; older servers do not tell its model."""

    sha256: str
    version_id: int
    model_id: int | None


class Version(NamedTuple):
    """A version as it was sent and as it is understood."""

    raw: bytes
    told: RemoteVersion


class Model(NamedTuple):
    """A model as it was sent and as it is understood."""

    raw: bytes
    told: RemoteModel


def purpose(url: str) -> Purpose:
    """Return the purpose of asking the service at an address."""
    host = urlsplit(url).hostname or ""
    return Purpose("the sync with Civitai", "names, versions and previews of your files", frozenset({host}))


class Client:
    """Asks one service; `requests` counts what was sent, repetitions too. May be used by several threads.

    Every method raises OutboundError when there is no answer after several attempts, and Cancelled.
    """

    def __init__(  # noqa: PLR0913 - all of it is how it asks, by name
        self,
        door: Door,
        url: str = URL,
        *,
        token: str | None = None,
        waiting: Waiting | None = None,
        attempts: int = ATTEMPTS,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        service = Service(
            "Civitai",
            f"{url.rstrip('/')}/api/v1",
            purpose(url),
            "look at LORAS_CIVITAI_URL in the settings",
            "look at the token in LORAS_CIVITAI_TOKEN",
        )
        self._asker = Asker(
            door, service, bearer=token, waiting=waiting, attempts=attempts, cancelled=cancelled
        )
        self._ask = self._asker.ask
        self._absent: set[str] = set()

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self._asker.requests

    @property
    def pace(self) -> Pace:
        """The time between two requests."""
        return self._asker.pace

    def ids_of(self, sha256s: Sequence[str]) -> list[Match] | None:
        """Return which versions have files with these hashes, 10,000 at most; `None` without such a route."""
        try:
            found = self._post(_IDS, _upper(sha256s))
        except Refused as refused:
            if refused.answered != 400:
                raise
            # Servers from before the route took so many refuse them all.
            self._absent.add(_IDS)
            return None
        if found is None:
            return None
        items = _items(found)
        matches = [match for item in items if (match := _match(item))]
        if items and not matches and not all(_is_made_up(item, "modelVersionId") for item in items):
            # Older servers tell ids without saying for which hash.
            self._absent.add(_IDS)
            return None
        asked = set(map(str.lower, sha256s))
        return [match for match in matches if match.sha256 in asked]

    def versions_of(self, sha256s: Sequence[str]) -> list[Version] | None:
        """Return the versions that have files with these hashes, 100 at most; `None` without such a route.

        In no order, none for a hash that is not known, and perhaps several times the same.
        """
        found = self._post(_BATCH, _upper(sha256s))
        if found is None:
            return None
        versions: dict[int | None, Version] = {}
        for item in _items(found):
            told = version_of(item)
            if told is not None:
                versions.setdefault(told.id, Version(pack_json(item), told))
        return list(versions.values())

    def version_of(self, digest: str) -> Version | None:
        """Return the version that has a file with a hash of any kind, `None` if none has."""
        return _version(self._ask("GET", f"{_BATCH}/{word(digest).upper()}"))

    def version(self, version_id: int) -> Version | None:
        """Return a version, `None` for one that is not (any longer) there."""
        return _version(self._ask("GET", f"/model-versions/{version_id:d}"))

    def model(self, model_id: int) -> Model | None:
        """Return a model with its versions, `None` for one that is not (any longer) there."""
        found = self._ask("GET", f"/models/{model_id:d}")
        if found is None:
            return None
        told = model_of(found)
        if told is None or told.id is None:
            raise OutboundError("it answers with something that is no model")
        return Model(pack_json(found), told)

    def _post(self, path: str, body: object) -> object | None:
        """Return the JSON of an answer, `None` where there is no such route; that is asked for once only."""
        if path in self._absent:
            return None
        found = self._ask("POST", path, body)
        if found is None:
            self._absent.add(path)
        return found


def _match(item: object) -> Match | None:
    if not isinstance(item, dict):
        return None
    digest, version_id, model_id = (item.get(name) for name in ("hash", "modelVersionId", "modelId"))
    if not isinstance(digest, str) or not _is_id(version_id):
        return None
    return Match(digest.lower(), version_id, model_id if _is_id(model_id) else None)


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 63


def _is_made_up(item: object, name: str) -> bool:
    """Whether a number is that of a mirror, which tells of files that the service itself never knew."""
    number = item.get(name) if isinstance(item, dict) else None
    return isinstance(number, int) and number < 0


def _version(found: object) -> Version | None:
    """Return the version of an answer; what is something else is no word that there is none."""
    if found is None or _is_made_up(found, "id"):
        return None
    told = version_of(found)
    if told is None or told.id is None:
        raise OutboundError("it answers with something that is no version")
    return Version(pack_json(found), told)


def _items(found: object) -> list[object]:
    if not isinstance(found, list):
        raise OutboundError("it answers with something that is no list")
    return found


def _upper(digests: Iterable[str]) -> list[str]:
    return [word(digest).upper() for digest in digests]
