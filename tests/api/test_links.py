"""Links to model files that work for a while without a token."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from starlette.requests import Request

from registry.api.context import context_of
from registry.api.links import signed_url
from registry.catalog.tokens import list_tokens, revoke_token
from tests.support.catalogs import MACHINE, Builder
from tests.support.fetching import Fetcher, sha256_of
from tests.support.schemas import violations
from tests.support.serving import REMOTE, Service
from tests.support.shelf import lora, open_shelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.shelf import Shelf

NOW = 1_800_000_000_000


class Clock:
    """A clock that only goes when it is told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shelf(tmp_path: Path, clock: Clock) -> Iterator[Shelf]:
    """A scanned folder with a hashed file `one` and a `new` one that is not hashed."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "machine-id").write_text(MACHINE)
    with open_shelf(tmp_path) as opened:
        lora(opened.folder / "style" / "one.safetensors", 1)
        opened.scan()
        opened.hash()
        lora(opened.folder / "new.safetensors", 2)
        opened.scan()
        opened.registry.catalog.clock = clock
        yield opened


@contextmanager
def serving(shelf: Shelf, **settings: Any) -> Iterator[Service]:
    place = shelf.folder.parent
    with Service(Builder(shelf.registry.catalog), place, lambda: 0.0, **settings).open() as service:
        yield service


@pytest.fixture
def service(shelf: Shelf) -> Iterator[Service]:
    with serving(shelf) as opened:
        yield opened


def link(service: Service, reference: str, **wish: Any) -> Any:
    answer = service.ask("POST", f"/api/v1/loras/{quote(reference)}/link", json=wish)
    assert answer.status_code == 200, answer.text
    return answer.json()


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def fetched(service: Service, url: str, method: str = "GET", **headers: str) -> httpx.Response:
    return service.ask(method, url, peer=REMOTE, headers=headers)


def test_a_link_lets_anybody_fetch_the_file_until_it_ends(
    shelf: Shelf, service: Service, clock: Clock
) -> None:
    made = link(service, "one", seconds=60)
    assert made["until"] == NOW + 60_000
    path = path_of(made["url"])
    whole = (shelf.folder / "style" / "one.safetensors").read_bytes()
    assert fetched(service, path).content == whole
    assert fetched(service, path, Range="bytes=0-9").content == whole[:10]
    assert fetched(service, path, "HEAD").headers["content-length"] == str(len(whole))
    clock.now += 59_999
    assert fetched(service, path).status_code == 200
    clock.now += 1
    late = fetched(service, path)
    assert (late.status_code, late.headers["content-type"]) == (403, "application/problem+json")
    assert "this link ended at 2027-01-15 08:01:00 UTC" in late.json()["detail"]
    assert late.json()["remedy"] == "ask for a new link"


def test_a_link_works_over_http_as_it_is_given(shelf: Shelf) -> None:
    service = Service(Builder(shelf.registry.catalog), shelf.folder.parent, lambda: 0.0, require_token=True)
    headers = {"Authorization": f"Bearer {service.token('friend', 'read')}"}
    with service.listening() as base:
        made = httpx.post(f"{base}/api/v1/loras/one/link", headers=headers, json={}).json()
        assert made["url"].startswith(f"{base}/api/v1/loras/hash:")
        assert httpx.get(made["url"].partition("?")[0]).status_code == 401
        fetcher = Fetcher(made["url"])
        fetcher.fetch(stop=50)
        fetcher.fetch()
        assert fetcher.verify() == (shelf.folder / "style" / "one.safetensors").read_bytes()


def test_a_link_leads_to_the_file_and_not_to_what_is_called_so_later(shelf: Shelf, service: Service) -> None:
    path = shelf.folder / "style" / "one.safetensors"
    by_hash = link(service, "one")["url"]
    assert sha256_of(path.read_bytes()) in by_hash
    by_id = link(service, "new")["url"]
    assert "/loras/id:" in by_id
    assert fetched(service, path_of(by_id)).content == (shelf.folder / "new.safetensors").read_bytes()
    path.unlink()
    lora(path, 9)
    shelf.scan()
    shelf.hash()
    assert fetched(service, path_of(by_hash)).status_code == 404


def test_a_link_is_for_one_path_and_for_reading(shelf: Shelf, service: Service) -> None:
    url = link(service, "one")["url"]
    query = urlsplit(url).query
    for other in ("/api/v1/loras/one/file", "/api/v1/status", "/api/v1/loras", "/openapi.json", "/healthz"):
        answer = fetched(service, f"{other}?{query}")
        assert answer.status_code == 403, other
        assert "not made here" in answer.json()["detail"]
    assert fetched(service, path_of(url), "POST").status_code == 401
    assert fetched(service, f"/api/v1/scan?{query}", "POST").status_code == 401


@pytest.mark.parametrize(
    "change", [("until=1", "until=2"), ("signature=", "signature=0"), ("hash:", "Hash:")]
)
def test_a_link_that_was_changed_is_refused_on_this_machine_too(
    shelf: Shelf, service: Service, change: tuple[str, str]
) -> None:
    path = path_of(link(service, "one")["url"])
    assert service.ask("GET", path).status_code == 200
    assert service.ask("GET", path.replace(*change)).status_code == 403
    assert fetched(service, path.replace(*change)).status_code == 403


def test_a_made_up_link_is_refused_before_any_was_made(shelf: Shelf, service: Service) -> None:
    made_up = f"/api/v1/loras/one/file?until=9999999999&signature={'0' * 64}"
    assert fetched(service, made_up).status_code == 403
    assert fetched(service, "/api/v1/loras/one/file?until=9999999999").status_code == 401


def test_links_of_all_servers_of_a_catalog_are_good_and_no_others(shelf: Shelf) -> None:
    with serving(shelf) as first:
        path = path_of(link(first, "one")["url"])
    with serving(shelf) as second:
        assert fetched(second, path).status_code == 200
        with shelf.registry.catalog.write() as unit:
            unit.conn.exec_driver_sql("DELETE FROM setting WHERE name = 'link_key'")
        assert fetched(second, path).status_code == 403
        link(second, "one")
        assert fetched(second, path).status_code == 403


def test_a_link_gives_no_more_than_its_file(shelf: Shelf, service: Service) -> None:
    path = path_of(link(service, "one")["url"])
    assert fetched(service, path, Host="evil.example").status_code == 421
    assert fetched(service, path, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_a_token_beside_a_link_decides_alone(shelf: Shelf, service: Service) -> None:
    path = path_of(link(service, "one")["url"])
    good = {"Authorization": f"Bearer {service.token('friend', 'read')}"}
    assert fetched(service, path.replace("until=1", "until=2"), **good).status_code == 200
    catalog = shelf.registry.catalog
    with catalog.read() as conn:
        assert list_tokens(conn)[0].used_at == NOW
    with catalog.write() as unit:
        revoke_token(unit, "friend")
    assert fetched(service, path, **good).status_code == 401
    assert fetched(service, path).status_code == 200


def test_who_may_look_may_make_links_and_strangers_may_not(shelf: Shelf, service: Service) -> None:
    route = "/api/v1/loras/one/link"
    assert service.ask("POST", route, peer=REMOTE, json={}).status_code == 401
    headers = {"Authorization": f"Bearer {service.token('friend', 'read')}"}
    assert service.ask("POST", route, peer=REMOTE, headers=headers, json={}).status_code == 200


@pytest.mark.parametrize(
    "wish", [{"seconds": 0}, {"seconds": -5}, {"seconds": 604_801}, {"seconds": "x"}, {"for": 5}, [], None]
)
def test_a_link_lasts_from_a_second_to_a_week(shelf: Shelf, service: Service, wish: object) -> None:
    assert service.ask("POST", "/api/v1/loras/one/link", json=wish).status_code == 400
    assert link(service, "one", seconds=604_800)["until"] == NOW + 604_800_000
    assert link(service, "one")["until"] == NOW + 3_600_000


def test_there_is_no_link_to_what_is_not_sent(shelf: Shelf, service: Service) -> None:
    (shelf.folder / "short.safetensors").write_bytes(b"\x00" * 50)
    shelf.scan()
    for reference, status in (("nobody", 404), ("short", 422), ("a%00b", 400)):
        assert service.ask("POST", f"/api/v1/loras/{reference}/link", json={}).status_code == status


def test_other_routes_give_links_to_the_host_that_was_asked(shelf: Shelf, service: Service) -> None:
    whole = (shelf.folder / "style" / "one.safetensors").read_bytes()
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/sdapi/v1/loras",
        "query_string": b"",
        "headers": [(b"host", b"loras.lan:8567")],
        "app": service.app,
    }
    request = Request(scope)
    url = signed_url(context_of(request), request, sha256_of(whole), 60)
    assert url.startswith(
        f"http://loras.lan:8567/api/v1/loras/{sha256_of(whole)}/file?until={NOW // 1000 + 60}&"
    )
    assert fetched(service, path_of(url)).content == whole


def test_a_link_is_what_the_document_declares(shelf: Shelf, service: Service) -> None:
    document = service.get("/openapi.json")
    declared = document["paths"]["/api/v1/loras/{ref}/link"]["post"]["responses"]["200"]["content"]
    assert violations(link(service, "one"), declared["application/json"]["schema"], document) == []
    sent = document["paths"]["/api/v1/loras/{ref}/file"]
    assert set(sent) == {"get"}
    assert {"200", "206", "304", "default"} <= set(sent["get"]["responses"])
