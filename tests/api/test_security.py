"""Who gets in: tokens, addresses, proxies, host names, other web sites, large bodies."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.changes import CHANGE
from registry.catalog.tokens import list_tokens, revoke_token
from tests.support.serving import REMOTE

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Start = Callable[..., Service]

STATUS = "/api/v1/status"
SCAN = "/api/v1/scan"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - a setting, nothing listens here


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def basic(user: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


def test_this_machine_needs_no_token_and_may_do_everything(service: Service) -> None:
    assert service.ask("GET", STATUS).status_code == 200
    assert service.ask("POST", "/api/v1/roots", json={"path": "/models/x"}).status_code == 201


@pytest.mark.parametrize("settings", [{"require_token": True}, {"host": EVERYWHERE}])
def test_a_token_can_be_asked_of_this_machine_too(start: Start, settings: dict[str, Any]) -> None:
    service = start(**settings)
    assert service.ask("GET", STATUS).status_code == 401
    assert service.ask("GET", STATUS, headers=bearer(service.token("me", "read"))).status_code == 200


def test_this_machine_needs_a_token_as_soon_as_others_are_listened_to(start: Start) -> None:
    """What README.md and docs/api.md say."""
    assert start(host="localhost").ask("POST", SCAN).status_code == 202
    assert start(host="127.0.0.2").ask("POST", SCAN).status_code == 202
    assert start(host="192.0.2.1").ask("POST", SCAN).status_code == 401
    opened = start(host=EVERYWHERE, unsafe_open=True)
    assert opened.ask("POST", SCAN).status_code == 202
    assert opened.ask("POST", "/api/v1/roots", json={"path": "/"}).status_code == 403


def test_other_machines_need_a_token(service: Service) -> None:
    refused = service.ask("GET", STATUS, peer=REMOTE)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert 'Basic realm="' in refused.headers["www-authenticate"]
    secret = service.token("friend", "read")
    for headers in (bearer(secret), basic("", secret), basic("any one", secret)):
        assert service.ask("GET", STATUS, peer=REMOTE, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path", [f"{STATUS}?token={{}}", f"{STATUS}?access_token={{}}", f"{STATUS}?api_key={{}}"]
)
def test_a_token_in_the_query_string_is_not_read(service: Service, path: str) -> None:
    assert service.ask("GET", path.format(service.token("friend", "admin")), peer=REMOTE).status_code == 401


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic", "Basic !!!", "Basic YWJj", "Basic OmE=", "Digest x", "\xff"]
)
def test_credentials_that_are_none_are_refused_even_here(service: Service, value: str) -> None:
    answer = service.ask("GET", STATUS, headers={"Authorization": value.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 401


def test_a_revoked_token_is_refused_at_once(service: Service, builder: Builder) -> None:
    secret = service.token("friend", "read")
    assert service.ask("GET", STATUS, peer=REMOTE, headers=bearer(secret)).status_code == 200
    with builder.catalog.write() as unit:
        revoke_token(unit, "friend")
    assert service.ask("GET", STATUS, peer=REMOTE, headers=bearer(secret)).status_code == 401


def test_health_is_told_to_everybody(service: Service) -> None:
    assert service.ask("GET", "/healthz", peer=REMOTE).json() == {"status": "ok"}


def test_an_open_server_lets_strangers_change_but_not_choose_folders(start: Start) -> None:
    service = start(host=EVERYWHERE, unsafe_open=True)
    assert service.ask("POST", SCAN, peer=REMOTE).status_code == 202
    assert service.ask("POST", "/api/v1/roots", peer=REMOTE, json={"path": "/"}).status_code == 403


READS = {
    "/API/DescribeModel",
    "/API/GetModelHash",
    "/API/GetNewSession",
    "/API/ListModels",
    "/api/v1b/cn/artist",
    "/api/v1b/cn/opensource",
    "/api/v1b/get_token",
    "/api/v1b/models/base",
    "/api/v1b/models/lora",
    "/api/v1b/models/private",
    "/api/v1b/task_result",
    "/api/v1b/task_results",
    "/civitai/api/v1/model-versions/by-hash",
    "/civitai/api/v1/model-versions/by-hash/ids",
    "/api/v1/loras/by-hash",
    "/api/v1/loras/{ref}/link",
    "/api/v1/search",
    "/sdapi/v1/png-info",
}
WRITES = {
    SCAN,
    "/api/v1/edits/{batch}/undo",
    "/api/v1/export",
    "/api/v1/fingerprints",
    "/api/v1/hashing",
    "/api/v1/jobs",
    "/api/v1/jobs/{job_id}",
    "/api/v1/jobs/{job_id}/cancel",
    "/api/v1/jobs/{job_id}/retry",
    "/api/v1/loras/edit",
    "/api/v1/loras/{ref}",
    "/api/v1/loras/{ref}/copy-from",
    "/api/v1/loras/{ref}/pictures",
    "/api/v1/loras/{ref}/pictures/{key}",
    "/api/v1/loras/{ref}/undo",
    "/api/v1/renders",
    "/api/v1/saved-searches/{name}",
    "/api/v1/sync",
    "/api/v1b/task_submit",
    "/api/v1b/upload_img",
    "/api/v1b/upload_imgs",
    "/sdapi/v1/img2img",
    "/sdapi/v1/interrupt",
    "/sdapi/v1/refresh-loras",
    "/sdapi/v1/skip",
    "/sdapi/v1/txt2img",
    "/v2/model/civitai_version_id/{civitai_version_id}/sync",
}
# What takes a lora away for good needs more than what else is done to it.
ADMINS = {("delete", "/api/v1/loras/{ref}")}


def told(answer: httpx.Response) -> int:
    """Return the status of an answer, of Miaohua's failures that in their envelope."""
    failed = answer.status_code == 200 and answer.request.url.path.startswith("/api/v1b/")
    return int(answer.json().get("code", 0)) if failed else answer.status_code


def test_every_operation_that_changes_something_needs_its_role(service: Service) -> None:
    reader, writer = (bearer(service.token(role, role)) for role in ("read", "write"))
    tried = set()
    for path, operations in service.get("/openapi.json")["paths"].items():
        for method in operations.keys() - {"get"}:
            url = path.replace("{root_id}", "1").replace("{job_id}", "1")
            read, written = (
                told(service.ask(method.upper(), url, peer=REMOTE, headers=headers, json={}))
                for headers in (reader, writer)
            )
            assert (read == 403) == (path not in READS), path
            allowed = path in READS | WRITES and (method, path) not in ADMINS
            assert (written == 403) == (not allowed), (method, path)
            tried.add(path)
    assert tried >= READS | WRITES


def test_a_change_is_logged_under_the_name_of_the_token(service: Service, builder: Builder) -> None:
    root = builder.root("/models/lora")
    headers = bearer(service.token("anna", "admin"))
    assert (
        service.ask("PATCH", f"/api/v1/roots/{root}", headers=headers, json={"label": "new"}).status_code
        == 200
    )
    assert service.ask("POST", SCAN, headers=headers, json={"roots": [root]}).json() == {"jobs": [7]}
    assert service.actions.asked == [("scan", [root], "anna")]
    with builder.catalog.read() as conn:
        row = conn.execute(CHANGE.select().order_by(CHANGE.c.seq.desc())).first()
    assert row is not None
    assert (row.entity, row.kind, row.actor) == ("root", "changed", "anna")


def test_the_last_use_of_a_token_is_noted_once_a_minute(service: Service, builder: Builder) -> None:
    now = [1_800_000_000_000]
    builder.catalog.clock = lambda: now[0]
    headers = bearer(service.token("friend", "read"))

    def used() -> int | None:
        with builder.catalog.read() as conn:
            return list_tokens(conn)[0].used_at

    assert used() is None
    seen = []
    for seconds in (0, 59, 61):
        now[0] = 1_800_000_000_000 + seconds * 1000
        service.ask("GET", STATUS, headers=headers)
        seen.append(used())
    assert seen == [1_800_000_000_000, 1_800_000_000_000, 1_800_000_061_000]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"X-Forwarded-Anything": ""},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
    ],
)
def test_a_forwarded_request_is_never_local(service: Service, headers: dict[str, str]) -> None:
    assert service.ask("GET", STATUS, headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("127.0.0.1", 200),
        ("192.0.2.7", 401),
        ("127.0.0.1, 192.0.2.7", 401),
        ("192.0.2.7, 127.0.0.1", 200),
        ("192.0.2.7, 10.0.0.9", 401),
        ("127.0.0.1, 10.0.0.9", 200),
        ("nobody", 401),
        ("", 401),
        ("[::1]:4711", 200),
        ("127.0.0.1:4711", 200),
    ],
)
def test_a_trusted_proxy_is_believed_about_the_last_hop_only(start: Start, told: str, status: int) -> None:
    service = start(trusted_proxies=("10.0.0.0/8",))
    answer = service.ask("GET", STATUS, peer=("10.0.0.2", 1), headers={"X-Forwarded-For": told})
    assert answer.status_code == status


def test_a_proxy_that_only_says_forwarded_leaves_the_client_unknown(start: Start) -> None:
    service = start(trusted_proxies=("10.0.0.2",))
    answer = service.ask("GET", STATUS, peer=("10.0.0.2", 1), headers={"Forwarded": "for=127.0.0.1"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "host",
    ["localhost:8567", "127.0.0.1", "127.8.9.1:80", "[::1]:8567", "a.localhost", "LOCALHOST.", "loras.lan"],
)
def test_names_of_this_server_are_served(start: Start, host: str) -> None:
    assert start(allowed_hosts=("Loras.lan",)).ask("GET", STATUS, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "192.0.2.1", "[", "a b"]
)
def test_other_names_are_refused_against_dns_rebinding(service: Service, host: str) -> None:
    answer = service.ask("GET", STATUS, headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json()["type"] == "urn:lora-registry:unknown-host"


def test_a_server_on_all_addresses_may_be_called_by_any_address_but_no_foreign_name(start: Start) -> None:
    service = start(host=EVERYWHERE)
    headers = bearer(service.token("friend", "read"))
    assert (
        service.ask("GET", STATUS, peer=REMOTE, headers={**headers, "Host": "192.0.2.1:8567"}).status_code
        == 200
    )
    assert (
        service.ask("GET", STATUS, peer=REMOTE, headers={**headers, "Host": "evil.example"}).status_code
        == 421
    )


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1:7860",
        "file://127.0.0.1:8567",
        "http://127.0.0.1:8567.evil.example",
    ],
)
def test_pages_of_other_sites_change_nothing(service: Service, origin: str) -> None:
    assert service.ask("POST", SCAN, headers={"Origin": origin}).status_code == 403
    assert service.actions.asked == []


def test_our_own_pages_and_tools_without_origin_may_change_things(service: Service) -> None:
    assert service.ask("POST", SCAN, headers={"Origin": "http://127.0.0.1:8567"}).status_code == 202
    assert service.ask("POST", SCAN).status_code == 202


@pytest.mark.parametrize("path", [STATUS, "/healthz", "/sdapi/v1/loras", "/openapi.json", "/nowhere"])
def test_cross_site_requests_are_refused_on_every_route(service: Service, path: str) -> None:
    assert service.ask("GET", path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert service.ask("GET", path, headers={"Sec-Fetch-Site": "same-origin"}).status_code in {200, 404}


def test_without_a_list_of_origins_no_page_may_read(service: Service) -> None:
    answer = service.ask("GET", STATUS, headers={"Origin": "https://page.example"})
    assert "access-control-allow-origin" not in answer.headers
    preflight = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    assert service.ask("OPTIONS", SCAN, headers=preflight).status_code == 405


def test_pages_of_listed_origins_may_read_and_change(start: Start) -> None:
    service = start(cors_origins=("https://page.example",))
    headers = {"Origin": "https://page.example", "Sec-Fetch-Site": "cross-site"}
    answer = service.ask("GET", STATUS, headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (
        200,
        "https://page.example",
    )
    assert service.ask("POST", SCAN, headers=headers).status_code == 202
    preflight = {**headers, "Access-Control-Request-Method": "POST"}
    assert service.ask("OPTIONS", SCAN, headers=preflight).status_code == 200
    assert (
        service.ask("GET", STATUS, headers={**headers, "Origin": "https://other.example"}).status_code == 403
    )


def test_guessing_is_slowed_more_and_more_until_a_token_works(start: Start) -> None:
    now = [1000.0]
    service = start(clock=lambda: now[0])
    good, wrong = bearer(service.token("friend", "read")), bearer("lrt_wrong")

    def status(headers: dict[str, str]) -> int:
        return service.ask("GET", STATUS, peer=REMOTE, headers=headers).status_code

    assert [status(wrong) for _ in range(4)] == [401] * 4
    slowed = service.ask("GET", STATUS, peer=REMOTE, headers=wrong)
    assert (slowed.status_code, slowed.headers["retry-after"]) == (429, "1")
    now[0] += 1.0
    assert status(wrong) == 401
    now[0] += 1.0
    assert status(wrong) == 429
    assert service.ask("GET", STATUS, peer=("192.0.2.8", 1), headers=wrong).status_code == 401
    now[0] += 1.0
    assert status(wrong) == 401
    assert status(good) == 200
    assert status(wrong) == 401


@pytest.mark.parametrize("peer", [REMOTE, ("127.0.0.1", 1)])
def test_a_token_that_is_known_is_served_whatever_others_behind_the_same_proxy_try(
    start: Start, peer: tuple[str, int]
) -> None:
    service = start()
    good = bearer(service.token("friend", "read"))
    forwarded = {"X-Forwarded-For": "198.51.100.4"}

    def status(headers: dict[str, str]) -> int:
        return service.ask("GET", STATUS, peer=peer, headers={**forwarded, **headers}).status_code

    assert [status(bearer(f"lrt_wrong{number}")) for number in range(6)] == [401] * 4 + [429] * 2
    assert status(good) == 200


def test_a_body_that_is_too_large_is_refused_unread(service: Service) -> None:
    large = b"[" + b" " * (1 << 20) + b"]"
    answer = service.ask("POST", SCAN, content=large, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["title"]


def test_a_large_body_of_unknown_length_is_refused_too(service: Service) -> None:
    async def pieces() -> Any:
        for _ in range(40):
            yield b" " * 50_000

    answer = service.ask("POST", SCAN, content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize("path", [STATUS, "/nowhere", "/api/v1/loras/nobody", "/sdapi/v1/loras"])
def test_every_answer_tells_browsers_not_to_guess_or_load_anything(service: Service, path: str) -> None:
    for headers in ({}, {"Host": "evil.example"}):
        answer = service.ask("GET", path, headers=headers)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["referrer-policy"] == "no-referrer"
