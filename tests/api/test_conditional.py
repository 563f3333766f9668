"""ETags and compression of our own answers."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import orjson
import pytest
import zstandard

from registry.catalog.counting import CHANGE

if TYPE_CHECKING:
    from tests.support.catalogs import Builder
    from tests.support.serving import Service

LISTS = ["/api/v1/loras", "/api/v1/duplicates", "/api/v1/problems", "/api/v1/roots", "/api/v1/loras/one"]


@pytest.fixture
def root(builder: Builder) -> int:
    root_id = builder.root("/models/lora")
    builder.file(root_id, "one.safetensors")
    builder.write()
    return root_id


@pytest.mark.parametrize("path", LISTS)
def test_what_a_client_has_is_not_sent_again(service: Service, root: int, path: str) -> None:
    first = service.ask("GET", path)
    etag = first.headers["etag"]
    assert not etag.startswith("W/")
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = service.ask("GET", path, headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert service.ask("GET", path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_list_is_sent_again_after_a_change_and_names_the_generation(
    service: Service, builder: Builder, root: int
) -> None:
    first = service.ask("GET", "/api/v1/loras")
    assert first.headers["etag"].startswith(f'"g{first.json()["generation"]}-')
    builder.file(root, "two.safetensors")
    builder.write()
    again = service.ask("GET", "/api/v1/loras", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.json()["total"]) == (200, 2)


def test_other_questions_and_codings_have_other_etags(service: Service, root: int) -> None:
    asked = [
        service.ask("GET", path, headers={"Accept-Encoding": coding}).headers["etag"]
        for path in ("/api/v1/loras", "/api/v1/loras?limit=5", "/api/v1/loras?order=desc")
        for coding in ("identity", "gzip", "zstd")
    ]
    assert len(set(asked)) == len(asked)


def test_a_generation_of_another_time_does_not_pass_for_this_one(
    service: Service, builder: Builder, root: int
) -> None:
    """A restored backup grows to the same generation with other changes in it."""
    before = service.ask("GET", "/api/v1/loras")
    with builder.catalog.write() as unit:
        unit.conn.execute(CHANGE.update().values(at=CHANGE.c.at + 1))
    after = service.ask("GET", "/api/v1/loras", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.json()["generation"] == before.json()["generation"]


def inflated(coding: str | None, body: bytes) -> bytes:
    if coding == "gzip":
        return zlib.decompress(body, zlib.MAX_WBITS | 16)
    return zstandard.ZstdDecompressor().decompress(body) if coding == "zstd" else body


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("GZIP", "gzip"),
        ("*", "zstd"),
        ("*, zstd;q=0", "gzip"),
        ("br", None),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("identity", None),
        ("", None),
    ],
)
def test_a_body_is_compressed_as_the_client_likes_it(
    builder: Builder, service: Service, root: int, accepted: str, coding: str | None
) -> None:
    for index in range(20):
        builder.file(root, f"more{index}.safetensors")
    builder.write()
    answer = service.raw("/api/v1/loras", {"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == coding
    assert "Accept-Encoding" in answer.headers["vary"]
    assert orjson.loads(inflated(coding, answer.content))["total"] == 21


def test_small_bodies_are_left_as_they_are(service: Service) -> None:
    answer = service.raw("/healthz", {"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.content == b'{"status":"ok"}'
