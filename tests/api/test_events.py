"""The feed of changes, followed over a real connection."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from registry.api.events import MAX_STREAMS
from registry.api.feed import Feed
from registry.catalog.changes import DAY_MS, prune
from registry.catalog.engine import Catalog
from registry.catalog.roots import add_root
from registry.catalog.tokens import create_token, revoke_token
from tests.support.catalogs import MACHINE
from tests.support.serving import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.catalogs import Builder

EVENTS = "/api/v1/events"


@pytest.fixture
def service(builder: Builder, tmp_path: Path) -> Service:
    return Service(builder, tmp_path, lambda: 0.0)


@contextmanager
def following(url: str, **headers: str) -> Iterator[Iterator[dict[str, str]]]:
    with httpx.stream("GET", url, headers=headers, timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        yield blocks(answer.iter_lines())


def blocks(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Give the fields of each block of the stream, comments left out."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if not line and fields:
            yield fields
            fields = {}
        elif name:
            fields[name] = value.strip()


def data(event: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event["data"])
    return found


def generation(service: Service) -> int:
    with service.open():
        return int(service.get("/api/v1/status")["generation"])


def test_changes_arrive_as_they_happen_with_their_seq_as_id(service: Service, builder: Builder) -> None:
    builder.root("/earlier")
    with service.listening() as url, following(url + EVENTS) as events:
        begun = next(events)
        assert "data" not in begun
        root = builder.root("/models/lora")
        event = next(events)
    assert event["event"] == "change"
    assert int(event["id"]) == int(begun["id"]) + 1 == data(event)["seq"]
    assert {"entity": "root", "entity_id": root, "kind": "added"}.items() <= data(event).items()


@pytest.mark.parametrize("way", ["header", "query"])
def test_a_client_that_comes_back_gets_what_it_missed(service: Service, builder: Builder, way: str) -> None:
    first = builder.root("/a")
    roots = [builder.root(f"/{name}") for name in "bc"]
    query = "?since=1" if way == "query" else ""
    headers = {"Last-Event-ID": "1"} if way == "header" else {}
    with service.listening() as url, following(url + EVENTS + query, **headers) as events:
        next(events)
        missed = [data(next(events))["entity_id"] for _ in roots]
    assert missed == roots
    assert first not in missed


@pytest.mark.parametrize("last", ["nonsense", "999999", "9" * 30, "-5"])
def test_a_point_that_we_do_not_know_leads_to_a_resync(service: Service, builder: Builder, last: str) -> None:
    builder.root("/a")
    with service.listening() as url, following(url + EVENTS, **{"Last-Event-ID": last}) as events:
        event = next(each for each in events if "event" in each)
        assert (event["event"], data(event)) == ("resync", {"generation": 1})
        builder.root("/b")
        assert data(next(events))["seq"] == int(event["id"]) + 1


def test_a_point_that_was_forgotten_leads_to_a_resync(service: Service, builder: Builder) -> None:
    for name in "abc":
        builder.root(f"/{name}")
    now = builder.catalog.clock()
    builder.catalog.clock = lambda: now + 40 * DAY_MS
    with builder.catalog.write() as unit:
        assert prune(unit, 30) == 3
    with service.listening() as url, following(f"{url}{EVENTS}?since=1") as events:
        event = next(each for each in events if "event" in each)
    assert (event["event"], data(event)) == ("resync", {"generation": 3})


def test_more_changes_than_one_batch_arrive_in_order(service: Service, builder: Builder) -> None:
    root = builder.root("/a")
    for index in range(700):
        builder.file(root, f"{index}.safetensors", {}, modules=1)
    builder.write()
    with service.listening() as url, following(f"{url}{EVENTS}?since=0") as events:
        next(events)
        seqs = [data(next(events))["seq"] for _ in range(701)]
    assert seqs == list(range(1, 702))


def test_commits_of_another_process_arrive_too(service: Service, builder: Builder) -> None:
    other = Catalog(builder.catalog.url.render_as_string(hide_password=False))
    with service.listening() as url, following(url + EVENTS) as events:
        next(events)
        with other.write() as unit:
            root, _ = add_root(unit, MACHINE, "/elsewhere")
        assert data(next(events))["entity_id"] == root
    other.close()


def test_open_streams_end_when_the_server_stops(service: Service) -> None:
    with service.listening() as url:
        stream = httpx.stream("GET", url + EVENTS, timeout=10)
        answer = stream.__enter__()
        lines = answer.iter_lines()
        next(lines)
    # Leaving `listening` has waited for the server; the stream was ended, not cut.
    assert [line for line in lines if line] != []
    stream.__exit__(None, None, None)


def test_a_stream_ends_when_its_token_is_revoked_and_tells_nothing_more(
    service: Service, builder: Builder
) -> None:
    headers = {"Authorization": f"Bearer {service.token('friend', 'read')}"}
    kept = {"Authorization": f"Bearer {service.token('other', 'read')}"}
    with (
        service.listening() as url,
        following(url + EVENTS, **headers) as events,
        following(url + EVENTS, **kept) as others,
    ):
        next(events)
        next(others)
        builder.root("/before")
        assert data(next(events))["kind"] == "added"
        with builder.catalog.write() as unit:
            revoke_token(unit, "friend")
            add_root(unit, MACHINE, "/after")
        assert list(events) == []
        assert [data(next(others))["kind"] for _ in range(2)] == ["added", "added"]


def test_a_token_that_another_process_revokes_ends_the_stream_too(service: Service, builder: Builder) -> None:
    other = Catalog(builder.catalog.url.render_as_string(hide_password=False))
    headers = {"Authorization": f"Bearer {service.token('friend', 'read')}"}
    with service.listening() as url, following(url + EVENTS, **headers) as events:
        next(events)
        with other.write() as unit:
            revoke_token(unit, "friend")
            create_token(unit, "friend", "read")
        with other.write() as unit:
            add_root(unit, MACHINE, "/after")
        assert list(events) == []
    other.close()


def test_of_too_many_streams_the_next_is_refused_until_one_ends(service: Service) -> None:
    with service.listening() as url, ExitStack() as stack, httpx.Client(timeout=20) as client:
        streams = [stack.enter_context(following(url + EVENTS)) for _ in range(MAX_STREAMS - 1)]
        assert all("id" in next(events) for events in streams)
        with client.stream("GET", url + EVENTS) as last:
            assert last.status_code == 200
            with client.stream("GET", url + EVENTS) as refused:
                refused.read()
        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["type"] == "urn:lora-registry:too-many-streams"
        assert client.get(url + "/healthz").status_code == 200
        # `last` has left; how soon the server sees that is up to the network.
        assert any(_opens(client, url) for _ in range(200))


def _opens(client: httpx.Client, url: str) -> bool:
    with client.stream("GET", url + EVENTS) as answer:
        return answer.status_code == 200


def test_a_bad_point_in_the_query_is_refused(service: Service) -> None:
    with service.open():
        assert service.ask("GET", EVENTS + "?since=-1").status_code == 400


def test_a_commit_between_looking_and_waiting_is_not_lost(builder: Builder) -> None:
    feed = Feed(builder.catalog)
    ticket = feed.ticket
    builder.root("/a")
    assert asyncio.run(feed.wait_beyond(ticket, 10)) is True
    assert asyncio.run(feed.wait_beyond(feed.ticket, 0.001)) is False
    feed.close()
    assert asyncio.run(feed.wait_beyond(feed.ticket, 10)) is True
