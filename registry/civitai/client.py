"""The REST v1 of Civitai: what it knows of a hash, of many, of a version, of a model.

Sources: civitai/civitai src/pages/api/v1, and its developer pages on errors and authentication. What answers
mean is decoded in `registry.formats.civitai`; here is how they are asked for.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeGuard
from urllib.parse import urlsplit

import orjson

from registry.civitai.pace import Pace, asked_to_wait, backed_off
from registry.errors import AnswerTooLarge, Cancelled, Offline, OutboundError, RefusedAddress
from registry.formats.civitai import model_of, version_of
from registry.formats.packing import pack_json
from registry.formats.values import OddValueError, json_value
from registry.net import Asked, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from registry.net import Door, Reply
    from registry.told import RemoteModel, RemoteVersion

log = logging.getLogger(__name__)
URL: Final = "https://civitai.com"
IDS_AT_ONCE: Final = 10_000
VERSIONS_AT_ONCE: Final = 100
MAX_ANSWER: Final = 64 << 20
ATTEMPTS: Final = 6
# Of a route that an older or other server does not have.
_NO_ROUTE: Final = frozenset({404, 405, 501})
# Statuses after which the same question may be answered: overload, and what stands before the server.
_PASSING: Final = frozenset({408, 425, 429, *range(500, 600)})


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where time comes from: a clock that only goes on, a pause, the time of day, and chance in [0, 1)."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    today: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    chance: Callable[[], float] = random.random


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
        self._door = door
        self._url = url.rstrip("/")
        self._purpose = purpose(url)
        self._token = token
        self._waiting = waiting or Waiting()
        self._attempts = attempts
        self._cancelled = cancelled
        self.pace = Pace(self._waiting.clock, self._waiting.sleep)
        self.requests = 0

    def ids_of(self, sha256s: Sequence[str]) -> list[Match] | None:
        """Return which versions have files with these hashes, 10,000 at most; `None` without such a route."""
        found = self._ask("POST", "/model-versions/by-hash/ids", _upper(sha256s))
        if found is None:
            return None
        asked = set(map(str.lower, sha256s))
        return [match for item in _items(found) if (match := _match(item)) and match.sha256 in asked]

    def versions_of(self, sha256s: Sequence[str]) -> list[Version] | None:
        """Return the versions that have files with these hashes, 100 at most; `None` without such a route.

        In no order, none for a hash that is not known, and perhaps several times the same.
        """
        found = self._ask("POST", "/model-versions/by-hash", _upper(sha256s))
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
        return _version(self._ask("GET", f"/model-versions/by-hash/{_word(digest).upper()}"))

    def version(self, version_id: int) -> Version | None:
        """Return a version, `None` for one that is not (any longer) there."""
        return _version(self._ask("GET", f"/model-versions/{version_id:d}"))

    def model(self, model_id: int) -> Model | None:
        """Return a model with its versions, `None` for one that is not (any longer) there."""
        found = self._ask("GET", f"/models/{model_id:d}")
        told = model_of(found)
        return None if told is None else Model(pack_json(found), told)

    def _ask(self, method: str, path: str, body: object = None) -> object | None:
        """Return the JSON of an answer, `None` where there is no such thing; ask again while it may help."""
        content = None if body is None else orjson.dumps(body)
        headers = {"accept": "application/json"} | (
            {} if body is None else {"content-type": "application/json"}
        )
        asked = Asked(method, f"{self._url}/api/v1{path}", content, headers, self._token, MAX_ANSWER)
        wait = 0.0
        for attempt in range(self._attempts):
            if wait:
                self._pause(wait)
            self.pace.wait()
            if self._cancelled():
                raise Cancelled("the sync was stopped")
            self.requests += 1
            wait = backed_off(attempt, self._waiting.chance())
            try:
                reply = self._door.ask(self._purpose, asked)
            except (Offline, RefusedAddress, AnswerTooLarge):
                raise
            except OutboundError as error:
                failure = str(error)
                continue
            verdict = _verdict(reply, method)
            if not isinstance(verdict, str):
                self.pace.went_well()
                return verdict.value
            failure = verdict
            if reply.status in {429, 503}:
                self.pace.too_fast()
            wait = asked_to_wait(reply.headers.get("retry-after"), self._waiting.today()) or wait
        raise OutboundError(f"{method} {path[:80]} failed {self._attempts} times; at last {failure}")

    def _pause(self, seconds: float) -> None:
        """Wait, and notice meanwhile when nobody wants the answer any more."""
        left = seconds
        while left > 0 and not self._cancelled():
            self._waiting.sleep(min(left, 1.0))
            left -= 1.0


class _Said(NamedTuple):
    value: object


def _verdict(reply: Reply, method: str) -> _Said | str:
    """Return what an answer says, or why the question is to be asked again.

    Pages of HTML are what a shield before the service sends, whatever their status. Raises OutboundError for
    what asking again would not change.
    """
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    if reply.status in _PASSING and not (reply.status == 501 and method == "POST"):
        return f"it answered {reply.status}"
    if method == "POST" and reply.status in _NO_ROUTE:
        return _Said(None)
    if not is_json:
        return f"it answered {reply.status} with {kind or 'something'} that is no JSON"
    if reply.status == 404:
        return _Said(None)
    if reply.status in {401, 403}:
        raise OutboundError(
            f"access was refused ({reply.status})", remedy="look at the token in LORAS_CIVITAI_TOKEN"
        )
    if reply.status != 200:
        raise OutboundError(f"it answered {reply.status}: {_error(reply.body)}")
    try:
        return _Said(_parsed(reply.body))
    except OddValueError:
        return "its JSON is damaged"


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json_value(body.decode("utf-8", "replace"))


def _error(body: bytes) -> str:
    try:
        found = _parsed(body)
    except OddValueError:
        return "no reason was given"
    said = found.get("error") or found.get("message") if isinstance(found, dict) else None
    return said[:200] if isinstance(said, str) else "no reason was given"


def _match(item: object) -> Match | None:
    if not isinstance(item, dict):
        return None
    digest, version_id, model_id = (item.get(name) for name in ("hash", "modelVersionId", "modelId"))
    if not isinstance(digest, str) or not _is_id(version_id):
        return None
    return Match(digest.lower(), version_id, model_id if _is_id(model_id) else None)


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 63


def _version(found: object) -> Version | None:
    told = version_of(found)
    return None if told is None else Version(pack_json(found), told)


def _items(found: object) -> Iterable[object]:
    return found if isinstance(found, list) else ()


def _upper(digests: Iterable[str]) -> list[str]:
    return [_word(digest).upper() for digest in digests]


def _word(digest: str) -> str:
    """Return a hash that can stand in an address; raises ValueError for what is none."""
    if not digest.isascii() or not digest.isalnum():
        raise ValueError("a hash has letters and digits only")
    return digest
