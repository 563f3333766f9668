"""Asking Civitai over real HTTP: a server on loopback answers as the service does, and fails as it does."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.civitai.asking import ATTEMPTS, Waiting
from registry.civitai.client import Client
from registry.civitai.pace import (
    FIRST_SECONDS,
    LEAST_SECONDS,
    LONGEST_WAIT,
    MOST_SECONDS,
    Pace,
    asked_to_wait,
)
from registry.errors import AnswerTooLarge, Cancelled, OutboundError
from registry.net import Door
from tests.support.outside import Answer, outside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.outside import Outside

ONE, TWO, THREE = "a" * 64, "b" * 64, "c" * 64
BEARER = "of-nobody"
TODAY = dt.datetime(2026, 11, 26, 12, 0, tzinfo=dt.UTC)
CHALLENGE = Answer(403, b"<html>Just a moment...</html>", {"Content-Type": "text/html; charset=UTF-8"})


class Time:
    """Time that goes by only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)

    def waiting(self) -> Waiting:
        return Waiting(lambda: self.now, self.sleep, lambda: TODAY, lambda: 0.5)


def said(value: object, status: int = 200, **headers: str) -> Answer:
    return Answer(
        status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=utf-8", **headers}
    )


def a_version(number: int, digest: str) -> dict[str, Any]:
    files = [{"id": number, "name": "x.safetensors", "type": "Model", "hashes": {"SHA256": digest.upper()}}]
    return {"id": number, "modelId": 7, "name": f"v{number}", "files": files, "images": []}


@pytest.fixture
def there() -> Iterator[Outside]:
    with outside() as running:
        yield running


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def client(there: Outside, clock: Time) -> Iterator[Client]:
    door = Door(own_hosts={"127.0.0.1"}, seconds=5.0)
    yield Client(door, there.url + "/", token=BEARER, waiting=clock.waiting())
    door.close()


def test_many_hashes_are_asked_for_at_once(there: Outside, client: Client) -> None:
    there.answers.append(
        said(
            [
                {"modelVersionId": 12, "modelId": 7, "hash": ONE.upper()},
                {"modelVersionId": 13, "hash": TWO.upper()},
                {"modelVersionId": 14, "modelId": 7, "hash": "d" * 64},
                {"modelVersionId": True, "hash": ONE},
                {"hash": ONE},
                None,
                "odd",
            ]
        )
    )

    found = client.ids_of([ONE, TWO, THREE])

    assert found == [(ONE, 12, 7), (TWO, 13, None)]
    (asked,) = there.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/model-versions/by-hash/ids")
    assert json.loads(asked.body) == [ONE.upper(), TWO.upper(), THREE.upper()]
    assert asked.headers["authorization"] == f"Bearer {BEARER}"
    assert asked.headers["content-type"] == "application/json"


def test_versions_come_in_any_order_with_gaps_and_twice(there: Outside, client: Client) -> None:
    there.answers.append(
        said([a_version(2, TWO), None, a_version(1, ONE), a_version(2, TWO), {"error": "x"}])
    )

    found = client.versions_of([ONE, TWO, THREE])

    assert found is not None
    assert [version.told.id for version in found] == [2, 1]
    assert json.loads(found[0].raw)["files"][0]["hashes"] == {"SHA256": TWO.upper()}


def test_one_hash_a_version_and_a_model_are_asked_for_by_their_addresses(
    there: Outside, client: Client
) -> None:
    there.answers += [
        said(a_version(1, ONE)),
        said(a_version(5, ONE)),
        said({"id": 7, "name": "m", "modelVersions": []}),
    ]

    by_hash, version, model = client.version_of("0123abcdef12"), client.version(5), client.model(7)

    assert by_hash is not None
    assert version is not None
    assert model is not None
    assert (by_hash.told.id, version.told.id, model.told.name) == (1, 5, "m")
    assert [(asked.method, asked.path.removeprefix("/api/v1")) for asked in there.asked] == [
        ("GET", "/model-versions/by-hash/0123ABCDEF12"),
        ("GET", "/model-versions/5"),
        ("GET", "/models/7"),
    ]


def test_what_is_not_there_is_none_and_asked_for_once(there: Outside, client: Client) -> None:
    there.otherwise = lambda _said: said({"error": "Model not found"}, 404)

    assert [client.version_of(ONE), client.version(1), client.model(1)] == [None, None, None]
    assert client.requests == len(there.asked) == 3


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_bulk_route_that_does_not_exist_says_so(there: Outside, client: Client, status: int) -> None:
    there.otherwise = lambda _said: said({"error": "Method not allowed"}, status)

    assert client.ids_of([ONE]) is None
    assert client.versions_of([ONE]) is None
    assert client.requests == 2


@pytest.mark.parametrize(
    "failure",
    [
        said({"error": "x"}, 500),
        said({"error": "Server busy"}, 503),
        Answer(503, b"<html>", {"Content-Type": "text/html"}),
        Answer(522, b"error code: 522", {"Content-Type": "text/plain"}),
        CHALLENGE,
        Answer(200, b"<html>", {"Content-Type": "text/html"}),
        Answer(404, b"<html>", {"Content-Type": "text/html"}),
        Answer(200, b'{"id": 1, "modelId"', {"Content-Type": "application/json"}),
        Answer(200, b'{"id": 1', {"Content-Type": "application/json"}, length=500),
        Answer(200, b"", {"Content-Type": "application/json"}),
    ],
)
def test_what_passes_is_asked_again(there: Outside, client: Client, clock: Time, failure: Answer) -> None:
    there.answers += [failure, failure, said(a_version(1, ONE))]

    found = client.version_of(ONE)

    assert found is not None
    assert client.requests == 3
    assert sum(clock.slept) >= 0.75 + 1.5


def test_what_does_not_pass_is_an_error_in_the_end(there: Outside, client: Client) -> None:
    there.otherwise = lambda _said: CHALLENGE

    with pytest.raises(
        OutboundError, match=f"failed {ATTEMPTS} times; at last it answered 403 with text/html"
    ):
        client.model(7)
    assert client.requests == ATTEMPTS


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7.0), ("Thu, 26 Nov 2026 12:00:09 GMT", 9.0), ("0", 0.5), ("soon", 0.5), ("99999", LONGEST_WAIT)],
)
def test_a_service_that_says_when_is_asked_then(
    there: Outside, client: Client, clock: Time, retry_after: str, seconds: float
) -> None:
    headers = {"Retry-After": retry_after}
    there.answers += [said({"error": "too fast"}, 429, **headers), said(a_version(1, ONE))]
    begun = clock.now

    client.version_of(ONE)

    assert clock.now - begun >= seconds
    assert clock.now - begun < seconds + 2
    assert client.pace.seconds > FIRST_SECONDS


def test_questions_keep_their_pace_and_get_faster_while_all_goes_well(
    there: Outside, client: Client, clock: Time
) -> None:
    there.otherwise = lambda _said: said({"error": "Model not found"}, 404)
    begun = clock.now
    for number in range(1, 11):
        client.version(number)

    assert 9 * 0.1 <= clock.now - begun <= 9 * FIRST_SECONDS
    assert client.pace.seconds < FIRST_SECONDS


@pytest.mark.parametrize("status", [400, 401, 403, 410, 422])
def test_what_asking_again_would_not_change_is_an_error_at_once(
    there: Outside, client: Client, status: int
) -> None:
    there.otherwise = lambda _said: said({"error": "Invalid hash"}, status)

    with pytest.raises(OutboundError, match=str(status)):
        client.version_of(ONE)
    assert client.requests == 1


def test_an_answer_without_end_is_an_error_at_once(there: Outside, client: Client) -> None:
    there.otherwise = lambda _said: Answer(
        200, b"[" + b" " * (65 << 20), {"Content-Type": "application/json"}, length=2 << 30
    )

    with pytest.raises(AnswerTooLarge):
        client.versions_of([ONE])
    assert client.requests == 1


def test_nobody_waits_for_what_nobody_wants_any_more(there: Outside, clock: Time) -> None:
    there.otherwise = lambda _said: said({"error": "too fast"}, 429, **{"Retry-After": "200"})
    door = Door(own_hosts={"127.0.0.1"}, seconds=5.0)
    client = Client(door, there.url, waiting=clock.waiting(), cancelled=lambda: len(clock.slept) >= 3)

    with pytest.raises(Cancelled):
        client.version(1)
    assert sum(clock.slept) < 10
    door.close()


@pytest.mark.parametrize("digest", ["../models/1", "a b", "a/b", "é", ""])
def test_only_hashes_stand_in_addresses(there: Outside, client: Client, digest: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        client.version_of(digest)
    assert there.asked == []


def test_no_token_is_sent_where_there_is_none(there: Outside, clock: Time) -> None:
    there.otherwise = lambda _said: said({"error": "Model not found"}, 404)
    door = Door(own_hosts={"127.0.0.1"}, seconds=5.0)
    Client(door, there.url, waiting=clock.waiting()).version(1)
    door.close()

    assert "authorization" not in there.asked[0].headers


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("-1", None),
        (" 5 ", 5.0),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0.0),
        ("9" * 400, 300.0),
    ],
)
def test_a_wish_to_wait_is_read_as_rfc_9110_says(text: str | None, seconds: float | None) -> None:
    assert asked_to_wait(text, TODAY) == seconds


def test_a_pace_halves_when_it_is_too_fast_and_has_a_floor(clock: Time) -> None:
    pace = Pace(lambda: clock.now, clock.sleep)
    for _ in range(20):
        pace.too_fast()
    assert pace.seconds == MOST_SECONDS
    for _ in range(200):
        pace.went_well()
    assert pace.seconds == LEAST_SECONDS
