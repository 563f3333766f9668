"""Listing loras page by page and showing one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from registry.catalog.hashing import next_to_hash
from tests.support.catalogs import MACHINE

if TYPE_CHECKING:
    from tests.support.catalogs import Builder
    from tests.support.serving import Service

A, B, C = ("a" * 63, "b" * 63, "c" * 63)


@pytest.fixture
def root(builder: Builder) -> int:
    root_id = builder.root("/models/lora")
    for path in (
        "style/b10.safetensors",
        "style/b9.safetensors",
        "Alpha.safetensors",
        "style/zebra.safetensors",
    ):
        builder.file(root_id, path)
    builder.write()
    return root_id


def walk(service: Service, query: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = service.get(f"/api/v1/loras?{query}{cursor}")
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.parametrize("sort", ["name", "size", "date", "added", "id"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_of_two_join_to_the_whole_list_in_order(
    service: Service, root: int, sort: str, order: str
) -> None:
    paged = walk(service, f"limit=2&sort={sort}&order={order}")
    whole = service.get(f"/api/v1/loras?sort={sort}&order={order}&limit=1000")
    assert paged == whole["items"]
    assert whole["total"] == len(paged) == 4
    key = {"added": "first_seen"}.get(sort, sort)
    values = [str(item[key]).lower() if sort == "name" else item[key] for item in paged]
    assert values == sorted(values, reverse=order == "desc")


def test_a_page_tells_the_generation_and_a_primary_file(service: Service, root: int) -> None:
    page = service.get("/api/v1/loras")
    assert page["generation"] == service.get("/api/v1/status")["generation"]
    assert [item["name"] for item in page["items"]] == ["Alpha", "b10", "b9", "zebra"]
    first = page["items"][1]
    assert first["files"][0]["location"] == "/models/lora/style/b10.safetensors"
    assert first["folders"] == ["style"]


def test_filters_narrow_the_list(service: Service, builder: Builder, root: int) -> None:
    other = builder.root("/models/more")
    builder.file(other, "x.safetensors")
    builder.write()
    assert service.get(f"/api/v1/loras?root={other}")["total"] == 1
    assert service.get("/api/v1/loras?kind=lora")["total"] == 5
    assert service.get("/api/v1/loras?architecture=flux1")["total"] == 0
    assert service.get("/api/v1/loras?state=missing")["total"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "sort=path",
        "order=up",
        "state=gone",
        "root=-1",
        "root=99999999999999999999",
        "kind=%00",
        "cursor=nonsense",
        "cursor=WzEsMiwzXQ",
    ],
)
def test_a_bad_query_is_refused_as_a_bad_request(service: Service, query: str) -> None:
    answer = service.ask("GET", f"/api/v1/loras?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:lora-registry:bad-request"


@pytest.mark.parametrize("query", ["colour=red", "kind=lora&colour=red", "limit=5&Kind=lora"])
def test_a_parameter_that_does_not_exist_is_refused_by_its_name(service: Service, query: str) -> None:
    answer = service.ask("GET", f"/api/v1/loras?{query}")
    assert answer.status_code == 400
    assert query.rpartition("&")[2].partition("=")[0] in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "there_is"), [("kind", "checkpoint"), ("architecture", "flux1"), ("adapter", "locon")]
)
def test_a_name_that_no_table_has_is_refused_with_those_that_there_are(
    service: Service, name: str, there_is: str
) -> None:
    answer = service.ask("GET", f"/api/v1/loras?{name}=foo")
    assert answer.status_code == 400
    assert "'foo'" in answer.json()["detail"]
    assert there_is in answer.json()["remedy"]
    assert service.get(f"/api/v1/loras?{name}={there_is}")["total"] == 0
    assert service.get("/api/v1/loras?base_model=foo&trainer=foo")["total"] == 0


def test_every_name_that_a_list_shows_can_be_asked_for(service: Service, builder: Builder, root: int) -> None:
    builder.file(root, "damaged.safetensors", cause="truncated-data", opened=False)
    builder.write()
    for item in service.get("/api/v1/loras")["items"]:
        for name in ("kind", "architecture", "adapter"):
            assert service.ask("GET", f"/api/v1/loras?{name}={item[name]}").status_code == 200


def test_a_cursor_of_another_sort_is_refused(service: Service, root: int) -> None:
    cursor = service.get("/api/v1/loras?limit=1&sort=name")["next_cursor"]
    assert service.ask("GET", f"/api/v1/loras?sort=size&cursor={cursor}").status_code == 400
    assert service.ask("GET", f"/api/v1/loras?order=desc&cursor={cursor}").status_code == 400


@pytest.mark.parametrize(
    "reference", ["{id}", "id:{id}", "b9", "B9", "style/b9.safetensors", "/models/lora/style/b9.safetensors"]
)
def test_one_lora_is_found_by_every_kind_of_reference(service: Service, root: int, reference: str) -> None:
    lora_id = next(item["id"] for item in service.get("/api/v1/loras")["items"] if item["name"] == "b9")
    detail = service.get("/api/v1/loras/" + quote(reference.format(id=lora_id)))
    assert detail["lora"]["id"] == lora_id
    assert detail["metadata"]["ss_output_name"] == "b9"
    assert detail["identification"]["architecture"] == detail["lora"]["architecture"]
    assert len(detail["tags"]) == 5


def test_a_lora_is_found_by_the_beginning_of_a_hash(service: Service, builder: Builder, root: int) -> None:
    builder.hash("b9", A + "1", B + "1")
    assert service.get("/api/v1/loras/hash:" + B[:10].upper())["lora"]["name"] == "b9"
    assert service.get("/api/v1/loras/" + A[:8])["lora"]["name"] == "b9"


def test_a_name_of_two_loras_is_a_conflict_that_lists_both(
    service: Service, builder: Builder, root: int
) -> None:
    builder.file(root, "other/b9.safetensors")
    builder.write()
    answer = service.ask("GET", "/api/v1/loras/b9")
    assert answer.status_code == 409
    assert sorted(one["path"] for one in answer.json()["candidates"]) == [
        "other/b9.safetensors",
        "style/b9.safetensors",
    ]
    assert answer.json()["remedy"]


def test_an_id_that_was_merged_away_shows_what_it_became(
    service: Service, builder: Builder, root: int
) -> None:
    ids = {item["name"]: item["id"] for item in service.get("/api/v1/loras")["items"]}
    builder.hash("b9", A + "1", B + "1")
    builder.hash("b10", A + "2", B + "1")
    assert service.get(f"/api/v1/loras/{ids['b10']}")["lora"]["id"] == ids["b9"]


@pytest.mark.parametrize(
    "reference",
    ["987654", "nobody", "hash:0123456789", "no/such/path.safetensors", "%2e%2e/%2e%2e/etc/passwd"],
)
def test_an_unknown_reference_is_not_found(service: Service, root: int, reference: str) -> None:
    assert service.ask("GET", f"/api/v1/loras/{reference}").status_code == 404


@pytest.mark.parametrize("name", ["new\nline", "ends\n", "\rreturn", "\u2028odd", " blank"])
def test_a_name_with_line_breaks_is_found(service: Service, builder: Builder, root: int, name: str) -> None:
    builder.file(root, f"{name}.safetensors", {})
    builder.write()
    for reference in (name, f"{name}.safetensors", f"/models/lora/{name}.safetensors"):
        assert service.get("/api/v1/loras/" + quote(reference))["lora"]["name"] == name
    answer = service.ask("GET", "/api/v1/loras/no%0Asuch")
    assert answer.json()["type"] == "urn:lora-registry:not-found"
    assert "nothing is called" in answer.json()["detail"]


@pytest.mark.parametrize("reference", ["hash:xyz", "a%00b"])
def test_a_reference_that_cannot_be_one_is_a_bad_request(service: Service, reference: str) -> None:
    assert service.ask("GET", f"/api/v1/loras/{reference}").status_code == 400


def test_what_somebody_looks_at_is_hashed_next(service: Service, builder: Builder, root: int) -> None:
    service.get("/api/v1/loras/zebra")
    with builder.catalog.read() as conn:
        (task,) = next_to_hash(conn, MACHINE, exclude=(), limit=1)
    assert task.rel == b"style/zebra.safetensors"


def test_metadata_with_lone_surrogates_and_nul_come_back_whole(
    service: Service, builder: Builder, root: int
) -> None:
    metadata = {"ss_training_comment": "half \ud800 and \x00 nothing"}
    builder.file(root, "odd.safetensors", metadata)
    builder.write()
    assert service.get("/api/v1/loras/odd")["metadata"] == metadata
