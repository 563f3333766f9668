"""Searches that are saved under a name: who may do what, and what is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.support.schemas import violations
from tests.support.serving import REMOTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.serving import Service

ALL = "/api/v1/saved-searches"


def of(name: str) -> str:
    return f"{ALL}/{quote(name, safe='')}"


def put(service: Service, name: str, query: str = "q") -> Any:
    answer = service.ask("PUT", of(name), json={"query": query})
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


def test_a_search_is_saved_shown_replaced_and_forgotten(service: Service) -> None:
    made = service.ask("PUT", of("My Ponies"), json={"query": "tag:pony  (unclosed"})
    assert made.status_code == 201
    assert service.get(of("MY PONIES")) == made.json()
    assert (made.json()["name"], made.json()["query"], made.json()["actor"]) == (
        "My Ponies",
        "tag:pony  (unclosed",
        None,
    )
    again = service.ask("PUT", of("my ponies"), json={"query": ""})
    assert (again.status_code, again.json()["id"], again.json()["query"]) == (200, made.json()["id"], "")
    assert service.get(ALL) == {"items": [again.json()]}
    assert service.ask("DELETE", of("My ponies")).status_code == 204
    assert service.get(ALL) == {"items": []}


@pytest.mark.parametrize("name", ["a/b", "長髮 🎀", "?#%", "../x", "a b"])
def test_names_are_any_printable_text(service: Service, name: str) -> None:
    assert put(service, name)["name"] == name
    assert [one["name"] for one in service.get(ALL)["items"]] == [name]
    assert service.get(of(name))["name"] == name
    assert service.ask("DELETE", of(name)).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", of("nothing"), None, 404),
        ("DELETE", of("nothing"), None, 404),
        ("PUT", of("x" * 101), {"query": "q"}, 400),
        ("PUT", of("a\x00"), {"query": "q"}, 400),
        ("GET", of("a\x00"), None, 404),
        ("PUT", of(" "), {"query": "q"}, 400),
        ("PUT", of("x" * 2000), {"query": "q"}, 400),
        ("PUT", of("a"), {"query": "x" * 10_001}, 400),
        ("PUT", of("a"), {"query": 5}, 400),
        ("PUT", of("a"), {"query": None}, 400),
        ("PUT", of("a"), {}, 400),
        ("PUT", of("a"), {"query": "q", "more": 1}, 400),
        ("PUT", of("a"), ["q"], 400),
        ("POST", ALL, {"query": "q"}, 405),
    ],
)
def test_what_cannot_be_done_is_a_problem_and_changes_nothing(
    service: Service, method: str, path: str, body: object, status: int
) -> None:
    answer = service.ask(method, path, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert service.get(ALL) == {"items": []}


def test_those_who_may_look_may_not_save(service: Service) -> None:
    put(service, "mine", "one")
    roles = {role: {"Authorization": f"Bearer {service.token(role, role)}"} for role in ("read", "write")}

    def status(role: str, method: str, **body: Any) -> int:
        return service.ask(method, of("mine"), peer=REMOTE, headers=roles[role], **body).status_code

    assert [status("read", "GET"), status("read", "DELETE")] == [200, 403]
    assert status("read", "PUT", json={"query": "two"}) == 403
    assert service.get(of("mine"))["query"] == "one"
    assert status("write", "PUT", json={"query": "two"}) == 200
    assert service.get(of("mine"))["actor"] == "write"
    assert status("write", "DELETE") == 204
    assert service.ask("GET", ALL, peer=REMOTE).status_code == 401


def test_answers_stay_valid_until_a_search_is_saved(service: Service) -> None:
    put(service, "mine", "one")
    for path in (ALL, of("mine")):
        first = service.ask("GET", path)
        known = {"If-None-Match": first.headers["etag"]}
        assert service.ask("GET", path, headers=known).status_code == 304
        put(service, "mine", f"two {path}")
        assert service.ask("GET", path, headers=known).status_code == 200


def test_pages_of_listed_origins_may_save(start: Callable[..., Service]) -> None:
    service = start(cors_origins=("https://page.example",))
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "PUT"}
    assert service.ask("OPTIONS", of("mine"), headers=asked).status_code == 200


def test_answers_are_what_the_document_declares(service: Service) -> None:
    document = service.get("/openapi.json")

    def check(answer: Any, method: str, path: str, status: str) -> None:
        content = document["paths"][path][method]["responses"][status]["content"]
        assert violations(answer, content["application/json"]["schema"], document) == []

    one = f"{ALL}/{{name}}"
    check(put(service, "mine"), "put", one, "201")
    check(put(service, "mine", "other"), "put", one, "200")
    check(service.get(of("mine")), "get", one, "200")
    check(service.get(ALL), "get", ALL, "200")
