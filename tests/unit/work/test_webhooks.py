"""Telling the webhooks of jobs that these have ended, to a real server on loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.engine import Catalog
from registry.catalog.jobs import JOB, finish_job, lines_of
from registry.catalog.migrate import ensure_schema
from registry.catalog.pieces import NewJob, NewPiece, queue_job, retry_job, stop_job
from registry.net import Door
from registry.work.webhooks import BACK_OFF, Messenger
from tests.support.outside import Answer, outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Row

    from tests.support.outside import Outside

    Made = Callable[..., Messenger]

SECRET = "of nobody else's business"  # noqa: S105 - of a test
START = 1_800_000_000_000


class Clock:
    """The time in milliseconds, which passes when a test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def catalog(tmp_path: Path, clock: Clock) -> Iterator[Catalog]:
    catalog = Catalog(f"sqlite:///{(tmp_path / 'catalog.sqlite3').as_posix()}", clock=clock)
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    yield catalog
    catalog.close()


@pytest.fixture
def server() -> Iterator[Outside]:
    with outside() as found:
        found.otherwise = lambda _said: Answer(204)
        yield found


@pytest.fixture
def messenger(catalog: Catalog) -> Iterator[Made]:
    """Makes one who tells; `own` are the hosts that may have private addresses."""
    doors: list[Door] = []

    def made(*, own: Sequence[str] = ("127.0.0.1",), **told: Any) -> Messenger:
        doors.append(Door(own_hosts=own, seconds=5.0, **told))
        return Messenger(catalog, doors[-1], SECRET)

    yield made
    for door in doors:
        door.close()


def job_with(catalog: Catalog, url: str | None, *, ends: bool = True) -> int:
    new = NewJob("double", "k", [NewPiece("a", "a", 1)], "two numbers", webhook=url)
    with catalog.write() as unit:
        job_id = queue_job(unit, new)
        if ends:
            finish_job(unit, job_id, "done", result={"done": 1})
    return job_id


def row(catalog: Catalog, job_id: int) -> Row[Any]:
    with catalog.read() as conn:
        return conn.execute(JOB.select().where(JOB.c.id == job_id)).one()


def lines(catalog: Catalog, job_id: int) -> list[str]:
    with catalog.read() as conn:
        return [line.text for line in lines_of(conn, job_id)]


def test_the_end_of_a_job_is_told_once_and_signed(messenger: Made, catalog: Catalog, server: Outside) -> None:
    job_id = job_with(catalog, f"{server.url}/hook?id=7")
    telling = messenger()
    assert [telling.send_due(), telling.send_due()] == [1, 0]
    (said,) = server.asked
    assert (said.method, said.path, said.headers["content-type"]) == (
        "POST",
        "/hook?id=7",
        "application/json",
    )
    assert json.loads(said.body) == {
        "job": {
            "id": job_id,
            "kind": "double",
            "state": "done",
            "called": "two numbers",
            "done": 0,
            "total": 1,
            "created_at": START,
            "finished_at": START,
            "slug": None,
            "error": None,
            "result": {"done": 1},
        },
        "sent_at": START,
    }
    timestamp = said.headers["x-loras-timestamp"]
    assert timestamp == str(START // 1000)
    expected = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + said.body, hashlib.sha256).hexdigest()
    assert said.headers["x-loras-signature"] == f"sha256={expected}"
    assert said.headers["idempotency-key"] == f"job-{job_id}-done-0"


def test_nobody_is_told_of_jobs_that_go_on_and_of_those_without_a_webhook(
    messenger: Made, catalog: Catalog, server: Outside
) -> None:
    job_with(catalog, f"{server.url}/hook", ends=False)
    job_with(catalog, None)
    assert messenger().send_due() == 0
    assert not server.asked


def test_a_failure_is_tried_again_later_as_the_same_message(
    messenger: Made, catalog: Catalog, server: Outside, clock: Clock
) -> None:
    job_id = job_with(catalog, f"{server.url}/hook")
    server.answers.extend([Answer(503), Answer(500)])
    telling = messenger()
    assert telling.send_due() == 1
    assert telling.send_due() == 0
    assert row(catalog, job_id).webhook_error == "127.0.0.1 answered 503"
    for seconds in BACK_OFF[:2]:
        clock.pass_seconds(seconds - 1)
        assert telling.send_due() == 0
        clock.pass_seconds(1)
        assert telling.send_due() == 1
    assert len({said.headers["idempotency-key"] for said in server.asked}) == 1
    assert len({said.headers["x-loras-signature"] for said in server.asked}) == 3
    found = row(catalog, job_id)
    assert (found.webhook_at, found.webhook_tries, found.webhook_error) == (None, 0, None)
    assert not lines(catalog, job_id)


def test_after_the_last_failure_it_is_given_up_and_noted(
    messenger: Made, catalog: Catalog, server: Outside, clock: Clock
) -> None:
    job_id = job_with(catalog, f"{server.url}/hook")
    server.otherwise = lambda _said: Answer(404)
    telling = messenger()
    telling.send_due()
    for seconds in (*BACK_OFF, 86_400.0):
        clock.pass_seconds(seconds)
        telling.send_due()
    assert len(server.asked) == 1 + len(BACK_OFF)
    found = row(catalog, job_id)
    assert (found.webhook_at, found.webhook_error) == (None, "127.0.0.1 answered 404")
    assert lines(catalog, job_id) == ["its webhook was given up: 127.0.0.1 answered 404"]


def test_who_does_not_answer_is_asked_again(messenger: Made, catalog: Catalog, clock: Clock) -> None:
    job_id = job_with(catalog, "http://127.0.0.1:1/hook")
    messenger().send_due()
    found = row(catalog, job_id)
    assert (found.webhook_at, found.webhook_tries) == (clock.now + 10_000, 1)
    assert "no answer from 127.0.0.1" in found.webhook_error


@pytest.mark.parametrize("url", ["http://127.0.0.1/hook", "http://inner.example/hook", "http://[::1]/hook"])
def test_private_addresses_are_refused_for_good(messenger: Made, catalog: Catalog, url: str) -> None:
    job_id = job_with(catalog, url)
    telling = messenger(own=["other.example"], resolve=lambda host, _: [host if ":" in host else "10.0.0.7"])
    assert [telling.send_due(), telling.send_due()] == [1, 0]
    found = row(catalog, job_id)
    assert found.webhook_at is None
    assert "private network" in found.webhook_error
    assert lines(catalog, job_id)[0].startswith("its webhook was given up")


def test_a_redirect_is_followed_to_the_same_host_only(
    messenger: Made, catalog: Catalog, server: Outside
) -> None:
    same, other = job_with(catalog, f"{server.url}/a"), job_with(catalog, f"{server.url}/b")
    server.answers.append(Answer(307, headers={"Location": "/moved"}))
    server.answers.append(Answer(204))
    server.answers.append(Answer(307, headers={"Location": "http://elsewhere.example/b"}))
    assert messenger().send_due() == 2
    assert [said.path for said in server.asked] == ["/a", "/moved", "/b"]
    assert row(catalog, same).webhook_error is None
    assert "elsewhere.example" in row(catalog, other).webhook_error


def test_without_a_network_messages_wait_and_nothing_is_counted(
    messenger: Made, catalog: Catalog, server: Outside
) -> None:
    job_id = job_with(catalog, f"{server.url}/hook")
    assert messenger(offline=True).send_due() == 0
    assert row(catalog, job_id).webhook_tries == 0
    assert messenger().send_due() == 1
    assert len(server.asked) == 1


def test_a_job_that_is_done_again_tells_its_next_end_too(
    messenger: Made, catalog: Catalog, server: Outside
) -> None:
    job_id = job_with(catalog, f"{server.url}/hook", ends=False)
    with catalog.write() as unit:
        stop_job(unit, job_id)
    telling = messenger()
    telling.send_due()
    with catalog.write() as unit:
        retry_job(unit, job_id)
    assert telling.send_due() == 0
    with catalog.write() as unit:
        finish_job(unit, job_id, "done")
    telling.send_due()
    keys = [said.headers["idempotency-key"] for said in server.asked]
    assert keys == [f"job-{job_id}-cancelled-0", f"job-{job_id}-done-1"]


def test_what_a_process_took_and_did_not_tell_is_told_later(
    messenger: Made, catalog: Catalog, server: Outside, clock: Clock
) -> None:
    job_with(catalog, f"{server.url}/hook")

    def ends(_host: str, _port: int) -> list[str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        messenger(resolve=ends).send_due()
    assert messenger().send_due() == 0
    clock.pass_seconds(3600)
    assert messenger().send_due() == 1
    assert len(server.asked) == 1
