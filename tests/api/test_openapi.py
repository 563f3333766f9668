"""The OpenAPI document, and whether real answers are what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.views import Note
from tests.support.schemas import violations

if TYPE_CHECKING:
    from tests.support.catalogs import Builder
    from tests.support.serving import Service

PROBLEM = "application/problem+json"


@pytest.fixture
def document(service: Service) -> dict[str, Any]:
    made: dict[str, Any] = service.get("/openapi.json")
    return made


@pytest.fixture
def filled(builder: Builder) -> int:
    """A catalog in which every list has something to show."""
    root = builder.root("/models/lora")
    builder.file(root, "one.safetensors")
    builder.file(root, "two.safetensors")
    builder.file(root, "bad.safetensors", cause="truncated-data")
    builder.write()
    builder.hash("one", "a" * 64, "b" * 64, [Note("odd", "something is odd")])
    builder.hash("two", "a" * 64, "b" * 64)
    return root


def schema_of(document: dict[str, Any], method: str, path: str, status: int) -> dict[str, Any]:
    operation = document["paths"][path][method]
    content = operation["responses"].get(str(status), operation["responses"]["default"])["content"]
    (schema,) = (kind["schema"] for kind in content.values())
    return dict(schema)


@pytest.mark.parametrize(
    ("declared", "asked"),
    [
        ("/api/v1/loras", "/api/v1/loras"),
        ("/api/v1/loras/{ref}", "/api/v1/loras/one"),
        ("/api/v1/loras/by-hash/{hash}", "/api/v1/loras/by-hash/bbbbbbbbbb"),
        ("/api/v1/duplicates", "/api/v1/duplicates"),
        ("/api/v1/problems", "/api/v1/problems"),
        ("/api/v1/roots", "/api/v1/roots"),
        ("/api/v1/jobs", "/api/v1/jobs"),
        ("/api/v1/status", "/api/v1/status"),
        ("/healthz", "/healthz"),
        ("/sdapi/v1/loras", "/sdapi/v1/loras"),
    ],
)
def test_answers_are_what_the_document_declares(
    service: Service, document: dict[str, Any], filled: int, declared: str, asked: str
) -> None:
    answer = service.get(asked)
    assert violations(answer, schema_of(document, "get", declared, 200), document) == []
    items = answer["items"] if isinstance(answer, dict) and "items" in answer else [answer]
    assert items or asked.endswith("jobs")


def test_answers_to_posts_are_what_the_document_declares(
    service: Service, document: dict[str, Any], filled: int
) -> None:
    for path, body, status in [
        ("/api/v1/loras/by-hash", {"hashes": ["b" * 64, "c" * 64]}, 200),
        ("/api/v1/scan", {}, 202),
        ("/api/v1/roots", {"path": "/models/more", "label": "more"}, 201),
    ]:
        answer = service.ask("POST", path, json=body)
        assert answer.status_code == status
        assert violations(answer.json(), schema_of(document, "post", path, status), document) == []


def test_problems_are_what_the_document_declares(
    service: Service, document: dict[str, Any], filled: int
) -> None:
    ambiguous = service.ask("GET", "/api/v1/loras/by-hash/zz")
    unknown = service.ask("GET", "/api/v1/loras/nobody")
    for answer in (ambiguous, unknown):
        assert answer.headers["content-type"] == PROBLEM
        assert (
            violations(answer.json(), schema_of(document, "get", "/api/v1/loras/{ref}", 404), document) == []
        )


def test_the_checker_finds_what_is_wrong(document: dict[str, Any]) -> None:
    schema = schema_of(document, "get", "/healthz", 200)
    assert violations({"status": "ok"}, schema, document) == []
    assert violations({"status": 5}, schema, document)
    assert violations({}, schema, document)
    assert violations({"status": "ok", "more": 1}, schema, document)


def test_every_operation_declares_its_problems_and_nothing_loads_scripts(
    service: Service, document: dict[str, Any]
) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            kinds = set(operation["responses"]["default"].get("content", ()))
            # Some tools tell what is wrong in shapes of their own, which are not described.
            assert kinds in (
                [{"application/json"}, set()] if "dialects" in operation["tags"] else [{PROBLEM}]
            )
            assert "422" not in operation["responses"]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "basic"}
    for page in ("/docs", "/redoc"):
        assert service.ask("GET", page).status_code == 404
