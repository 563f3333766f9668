"""Asking a service for JSON: at its pace, and again while that may help."""

from __future__ import annotations

import datetime as dt
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from registry.civitai.pace import Pace, asked_to_wait, backed_off
from registry.errors import AnswerTooLarge, Cancelled, Offline, OutboundError, RefusedAddress
from registry.formats.values import OddValueError, json_value
from registry.net import Asked, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.net import Door, Reply

ATTEMPTS: Final = 6
MAX_ANSWER: Final = 64 << 20
# Of a route that an older or other server does not have.
_NO_ROUTE: Final = frozenset({404, 405, 501})
# Statuses after which the same question may be answered: overload, and what stands before the server.
_PASSING: Final = frozenset({408, 425, 429, *range(500, 600)})


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where time comes from: a clock that only goes on, a pause, the time of day, and chance in [0, 1)."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    today: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    chance: Callable[[], float] = random.random


class Service(NamedTuple):
    """Who is asked: its name, the address below which its routes lie, and what for.

    `remedy_address` and `remedy_access` say what to do where it is not at that address or refuses. With
    `explains` it gives a reason in JSON in every 404 of its own: one without is of somebody else.
    """

    name: str
    url: str
    purpose: Purpose
    remedy_address: str
    remedy_access: str
    explains: bool = True


class Refused(OutboundError):
    """An answer that asking again would not change; `answered` is its status."""

    def __init__(self, status: int, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.answered = status


class Asker:
    """Asks one service; `requests` counts what was sent, repetitions too. May be used by several threads.

    `bearer` is sent to the host of the service and to no other.
    """

    def __init__(  # noqa: PLR0913 - all of it is how it asks, by name
        self,
        door: Door,
        service: Service,
        *,
        bearer: str | None = None,
        waiting: Waiting | None = None,
        attempts: int = ATTEMPTS,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._door = door
        self._service = service
        self._bearer = bearer
        self._waiting = waiting or Waiting()
        self._attempts = attempts
        self._cancelled = cancelled
        self.pace = Pace(self._waiting.clock, self._waiting.sleep)
        self.requests = 0

    def ask(self, method: str, path: str, body: object = None) -> object | None:
        """Return the JSON of an answer, `None` where there is no such thing.

        Raises OutboundError when there is no answer after several attempts, Refused for one that would not
        change, and Cancelled.
        """
        content = None if body is None else orjson.dumps(body)
        headers = {"accept": "application/json"} | (
            {} if body is None else {"content-type": "application/json"}
        )
        asked = Asked(method, f"{self._service.url}{path}", content, headers, self._bearer, MAX_ANSWER)
        return self.repeat(
            asked, lambda reply: _verdict(reply, method, self._service), f"{method} {path[:80]}"
        )

    def repeat(self, asked: Asked, judge: Callable[[Reply], Said | str], called: str) -> object | None:
        """Return what `judge` takes from an answer; ask again while it says in words what is wrong.

        `called` stands in errors, which are those of `ask`.
        """
        wait = 0.0
        for attempt in range(self._attempts):
            if wait:
                self._pause(wait)
            if not self._cancelled():
                self.pace.wait()
            if self._cancelled():
                raise Cancelled("the sync was stopped")
            self.requests += 1
            wait = backed_off(attempt, self._waiting.chance())
            try:
                reply = self._door.ask(self._service.purpose, asked)
            except (Offline, RefusedAddress, AnswerTooLarge):
                raise
            except OutboundError as error:
                failure = str(error)
                continue
            verdict = judge(reply)
            if not isinstance(verdict, str):
                self.pace.went_well()
                return verdict.value
            failure = verdict
            if reply.status in {429, 503}:
                self.pace.too_fast()
            wait = asked_to_wait(reply.headers.get("retry-after"), self._waiting.today()) or wait
        raise OutboundError(f"{called} failed {self._attempts} times; at last {failure}")

    def _pause(self, seconds: float) -> None:
        """Wait, and notice meanwhile when nobody wants the answer any more."""
        left = seconds
        while left > 0 and not self._cancelled():
            self._waiting.sleep(min(left, 1.0))
            left -= 1.0


def word(digest: str) -> str:
    """Return a hash that can stand in an address; raises ValueError for what is none."""
    if not digest.isascii() or not digest.isalnum():
        raise ValueError("a hash has letters and digits only")
    return digest


class Said(NamedTuple):
    """What an answer says."""

    value: object


def is_passing(status: int) -> bool:
    """Whether the same question may be answered a little later."""
    return status in _PASSING


def _verdict(reply: Reply, method: str, service: Service) -> Said | str:
    """Return what an answer says, or why the question is to be asked again.

    Pages of HTML are what a shield before the service sends, whatever their status. Raises Refused for what
    asking again would not change.
    """
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    if reply.status in _PASSING and not (reply.status == 501 and method == "POST"):
        return f"it answered {reply.status}"
    no_route = method == "POST" and reply.status in _NO_ROUTE
    if no_route or (reply.status == 404 and not service.explains):
        return Said(None)
    if not is_json:
        return f"it answered {reply.status} with {kind or 'something'} that is no JSON"
    reason = None if reply.status == 200 else _error(reply.body)
    if reply.status == 404 and reason is not None:
        return Said(None)
    if reply.status == 404:
        raise Refused(404, f"there is no {service.name} at that address", remedy=service.remedy_address)
    if reply.status in {401, 403}:
        raise Refused(reply.status, f"access was refused ({reply.status})", remedy=service.remedy_access)
    if reply.status != 200:
        raise Refused(reply.status, f"it answered {reply.status}: {reason or 'no reason was given'}")
    try:
        return Said(_parsed(reply.body))
    except OddValueError:
        return "its JSON is damaged"


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json_value(body.decode("utf-8", "replace"))


def _error(body: bytes) -> str | None:
    """Return the reason that an answer gives, in one line; `None` where it gives none."""
    try:
        found = _parsed(body)
    except OddValueError:
        return None
    said = found.get("error") or found.get("message") if isinstance(found, dict) else None
    return " ".join(said[:200].split()) if isinstance(said, str) else None
