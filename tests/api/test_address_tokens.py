"""Tokens in addresses, for clients that can send nothing, and the other ways to bring one."""

from __future__ import annotations

import base64
import http.client
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
from fastapi import Request  # noqa: TC002 - FastAPI reads the annotations

from registry.api.tokens import principal_of_secret
from registry.catalog.tokens import list_tokens, revoke_token
from tests.support.serving import LOCAL, REMOTE
from tests.support.telling import ask, bearer, opener, status, token, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Start = Callable[..., Service]

SCAN = "/api/v1/scan"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - a setting, nothing listens here
OPEN = {"host": EVERYWHERE, "unsafe_open": True}


@pytest.fixture
def opened(builder: Builder, start: Start) -> Start:
    return opener(builder, start)


@pytest.mark.parametrize("peer", [REMOTE, LOCAL])
@pytest.mark.parametrize("settings", [{}, {"require_token": True}, OPEN])
def test_a_token_in_the_address_reads_wherever_it_comes_from(
    opened: Start, peer: tuple[str, int], settings: dict[str, Any]
) -> None:
    service = opened(**settings)
    secret = token(service, role="admin")
    for path in (f"/k/{secret}/told", f"/k/{secret}/t/comfy/told", f"/t/comfy/k/{secret}/told"):
        answer = ask(service, path, peer=peer)
        assert answer["who"] == ["friend", "read"]
        assert answer["tool"] == ("comfy" if "/t/" in path else "")
        assert secret not in str(answer)
    assert status(service, f"/k/{secret}/told", "HEAD", peer=peer) == 405  # as without it
    search = service.ask("POST", f"/k/{secret}/api/v1/loras/by-hash", peer=peer, json={"hashes": ["ab" * 32]})
    assert search.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", SCAN),
        ("POST", "/api/v1/roots"),
        ("POST", "/sdapi/v1/refresh-loras"),
        ("PUT", "/api/v1/hashing"),
        ("PUT", "/api/v1/saved-searches/x"),
        ("PATCH", "/api/v1/roots/1"),
        ("DELETE", "/api/v1/roots/1"),
        ("DELETE", "/told"),
        ("PROPFIND", "/told"),
    ],
)
def test_a_token_in_the_address_changes_nothing(opened: Start, method: str, path: str) -> None:
    service = opened()
    secret = token(service, role="admin")
    answer = service.ask(method, f"/k/{secret}{path}", json={"paused": True, "query": "x", "path": "/x"})
    assert (answer.status_code, secret in answer.text) == (403, False)
    assert service.actions.asked == []
    assert len(service.builder.roots()) == 2


@pytest.mark.parametrize("settings", [{}, {"require_token": True}, OPEN])
@pytest.mark.parametrize("secret", ["lrt_wrong", "", "..", "told", "x" * 50_000, "%00", "%FF", "a%2Fb"])
def test_a_wrong_token_in_the_address_is_refused_even_where_none_is_needed(
    opened: Start, settings: dict[str, Any], secret: str
) -> None:
    service = opened(**settings)
    path = f"/k/{quote(secret, safe='%').replace('..', '%2E%2E')}/told"
    for peer in (LOCAL, REMOTE):
        answer = service.ask("GET", path, peer=peer)
        assert answer.status_code == 401
        assert len(answer.text) < 300
        assert "lrt_wrong" not in answer.text


def test_wrong_tokens_in_addresses_bodies_and_headers_are_slowed_together(opened: Start) -> None:
    now = [0.0]
    service = opened(clock=lambda: now[0])
    good = token(service)

    def body(request: Request) -> list[str | None]:
        who = principal_of_secret(request, "lrt_wrong_3")
        return [who.name, who.role]

    service.app.add_api_route("/body", body, methods=["POST"])
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/k/lrt_wrong/told", {}),
        ("GET", "/told", {"headers": bearer("lrt_wrong_2")}),
        ("POST", "/body", {}),
        ("GET", "/t/comfy/k/lrt_wrong_4/told", {}),
    ]
    assert [status(service, path, method, **more) for method, path, more in ways] == [401] * 4
    for method, path, more in ways:
        answer = service.ask(method, path, **more)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert status(service, "/k/lrt_wrong/told", peer=REMOTE) == 401
    now[0] += 1.0
    assert status(service, "/k/lrt_wrong/told") == 401
    assert status(service, "/k/lrt_wrong/told") == 429
    assert status(service, f"/k/{good}/told") == 200
    assert status(service, "/k/lrt_wrong/told") == 401


def test_a_revoked_token_in_the_address_is_refused_at_once(opened: Start) -> None:
    service = opened()
    path = f"/k/{token(service)}/told"
    assert status(service, path, peer=REMOTE) == 200
    with service.builder.catalog.write() as unit:
        revoke_token(unit, "friend")
    assert status(service, path, peer=REMOTE) == 401


def test_the_use_of_a_token_in_the_address_is_noted(opened: Start) -> None:
    service = opened()
    ask(service, f"/k/{token(service)}/told")
    with service.builder.catalog.read() as conn:
        assert list_tokens(conn)[0].used_at is not None


def test_the_token_in_the_address_counts_and_no_header_beside_it(opened: Start) -> None:
    service = opened()
    secret, other = token(service), token(service, "other", "admin")
    for header in (bearer(other), bearer("whatever"), {"Authorization": ""}):
        assert ask(service, f"/k/{secret}/told", headers=header)["who"] == ["friend", "read"]
    assert status(service, "/k/wrong/told", headers=bearer(other)) == 401
    assert status(service, f"/k/{secret}/told?signature=0&until=1", peer=REMOTE) == 200


def test_rules_about_hosts_and_other_sites_hold_behind_a_token_too(opened: Start) -> None:
    service = opened()
    path = f"/k/{token(service)}/told"
    assert status(service, path, headers={"Host": "evil.example"}) == 421
    assert status(service, path, headers={"Sec-Fetch-Site": "cross-site"}) == 403
    assert status(service, path, headers={"X-Forwarded-For": "192.0.2.1"}) == 200
    assert service.ask("GET", path).headers["referrer-policy"] == "no-referrer"


def test_a_prefix_that_stands_there_twice_leads_nowhere(opened: Start) -> None:
    service = opened()
    secret = token(service)
    for path in (
        f"/k/{secret}/k/{secret}/told",
        "/t/comfy/t/comfy/told",
        f"/t/comfy/k/{secret}/t/webui/told",
    ):
        answer = service.ask("GET", path)
        assert (answer.status_code, secret in answer.text) == (404, False)


def test_a_link_made_behind_a_tool_works_and_has_no_token(opened: Start, builder: Builder) -> None:
    service = opened()
    builder.file(1, "one.safetensors")
    builder.write()
    secret = token(service)
    answer = service.ask("POST", f"/k/{secret}/t/comfy/api/v1/loras/one/link", peer=REMOTE, json={})
    url = answer.json()["url"]
    assert secret not in url
    assert url.startswith("http://127.0.0.1:8567/t/comfy/api/v1/loras/")
    path = url.removeprefix("http://127.0.0.1:8567")
    # There is no such file on the disk; but whoever asks was let in.
    assert status(service, path, peer=REMOTE) != 403
    assert status(service, path.replace("/t/comfy", ""), peer=REMOTE) != 403
    assert status(service, path.replace("signature=", "signature=0"), peer=REMOTE) == 403


def test_the_document_names_the_address_it_was_read_at(opened: Start) -> None:
    service = opened()
    secret = token(service)
    service.app.openapi_schema = {"openapi": "3.1.0"}  # what is in it is not looked at here
    assert ask(service, f"/k/{secret}/t/comfy/openapi.json")["servers"] == [{"url": "/t/comfy"}]
    assert "servers" not in ask(service, f"/k/{secret}/openapi.json")


@pytest.mark.parametrize("value", ["{}", "  {}  ", "Bearer {}", "bEARER   {}", "Basic {}"])
def test_a_token_may_be_the_whole_header(opened: Start, value: str) -> None:
    service = opened()
    secret = token(service)
    if "Basic" in value:
        secret = base64.b64encode(f":{secret}".encode()).decode()
    assert status(service, "/told", peer=REMOTE, headers={"Authorization": value.format(secret)}) == 200


@pytest.mark.parametrize("value", ["Token {}", "{} x", "x {}", "{},{}", "Bearer", "Basic"])
def test_other_headers_are_no_tokens(opened: Start, value: str) -> None:
    service = opened()
    headers = {"Authorization": value.replace("{}", token(service))}
    assert status(service, "/told", headers=headers) == 401


@contextmanager
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let the server write its log of requests too, which `loras serve` does not have."""
    access = logging.getLogger("uvicorn.access")
    kept = access.level
    access.addHandler(caplog.handler)
    access.setLevel(logging.DEBUG)
    try:
        with caplog.at_level(logging.DEBUG):
            yield
    finally:
        access.removeHandler(caplog.handler)
        access.setLevel(kept)


def fetch(url: str, path: str) -> tuple[int, str]:
    """Send a path as it stands, and return the status with headers and body."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.putrequest("GET", path)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, f"{answer.msg}{answer.read().decode('utf-8', 'replace')}"
    finally:
        connection.close()


def test_no_log_and_no_answer_has_the_token(opened: Start, caplog: pytest.LogCaptureFixture) -> None:
    service = opened()

    def broken() -> None:
        raise RuntimeError("broken on purpose")

    service.app.add_api_route("/broken", broken)
    secret = token(service)
    wrong = "lrt_" + "w" * 43
    paths = {
        f"/k/{secret}/told": 200,
        f"/k/{secret}/t/comfy/api/v1/status": 200,
        f"/t/comfy/k/{secret}/api/v1/loras/nobody": 404,
        f"/k/{secret}/nowhere": 404,
        f"/k/{secret}/t/{secret}/told": 404,
        f"/t/{secret}/told": 404,
        f"/k/{secret}/k/{secret}/told": 404,
        f"//k/{secret}//told": 404,
        f"/k%2F{secret}%2Ftold": 200,
        f"/%6B/{secret}/told": 200,
        f"/k/{secret}/api/v1/loras?limit=x": 400,
        f"/k/{secret}/sdapi/v1/loras?limit=x": 400,
        f"/k/{secret}/broken": 500,
        f"/k/{secret}": 403,  # no link of a page would keep the token
        f"/k/{wrong}/told": 401,
        f"/t/../k/{secret}/told": 404,
        "/t/comfy%2F..%2F..%2Ftold": 404,
        f"/k/{secret}/%2e%2e/%2e%2e/told": 404,
        "/t//told": 404,
        "/k//told": 401,
    }
    with service.listening() as url, everything_logged(caplog):
        for path, expected in paths.items():
            code, answer = fetch(url, path)
            assert code == expected, path
            assert secret not in answer, path
            assert wrong not in answer, path
    assert "/told" in caplog.text
    assert "broken on purpose" in caplog.text
    assert secret not in caplog.text
    assert wrong not in caplog.text


def test_a_token_from_a_body_says_who_asks_from_then_on(opened: Start) -> None:
    service = opened()
    secret = token(service, tool="webui", nsfw_pictures=1)

    def body(request: Request) -> dict[str, Any]:
        assert principal_of_secret(request, secret).name == "friend"
        return told(request)

    service.app.add_api_route("/body", body, methods=["POST"])
    answer = service.ask("POST", "/body").json()
    assert (answer["who"], answer["tool"], answer["pictures"]) == (["friend", "read"], "webui", 1)
    with service.builder.catalog.read() as conn:
        assert list_tokens(conn)[0].used_at is not None
