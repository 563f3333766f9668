"""Hashes, duplicates, problems, roots, scans, jobs and the state of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.jobs import start_job
from registry.views import Note

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

BYTES, DATA, OTHER = "1a" * 32, "2b" * 32, "2b" * 31 + "3c"
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def root(builder: Builder) -> int:
    root_id = builder.root("/models/lora")
    for name in ("one", "two", "three"):
        builder.file(root_id, f"{name}.safetensors")
    builder.write()
    return root_id


def names(answer: dict[str, Any]) -> list[list[str]]:
    return [[lora["name"] for lora in item["loras"]] for item in answer["items"]]


@pytest.mark.parametrize("asked", [BYTES, BYTES[:8], BYTES.upper(), "0x" + BYTES, "blake3:" + BYTES[:10]])
def test_a_hash_is_found_by_its_beginning_in_any_spelling(
    service: Service, builder: Builder, root: int, asked: str
) -> None:
    builder.hash("one", BYTES, DATA)
    answer = service.get(f"/api/v1/loras/by-hash/{asked}")
    assert names(answer) == [["one"]]
    assert (answer["items"][0]["hash"], answer["ambiguous"], answer["missing"]) == (asked, [], [])


def test_a_beginning_that_two_loras_share_lists_both_and_is_called_ambiguous(
    service: Service, builder: Builder, root: int
) -> None:
    builder.hash("one", BYTES, DATA)
    builder.hash("two", "4d" * 32, OTHER)
    answer = service.get(f"/api/v1/loras/by-hash/{DATA[:12]}")
    assert names(answer) == [["one", "two"]]
    assert answer["ambiguous"] == [DATA[:12]]
    assert service.get(f"/api/v1/loras/by-hash/{DATA}")["ambiguous"] == []


def test_many_hashes_are_answered_at_once_each_once(service: Service, builder: Builder, root: int) -> None:
    builder.hash("one", BYTES, DATA)
    builder.hash("two", "4d" * 32, OTHER)
    hashes = [BYTES, "ffffffff", DATA[:10], BYTES, "no hash", NOTHING, "\x00"]
    answer = service.ask("POST", "/api/v1/loras/by-hash", json={"hashes": hashes})
    assert answer.status_code == 200
    found = answer.json()
    assert names(found) == [["one"], ["one", "two"]]
    assert found["ambiguous"] == [DATA[:10]]
    assert found["missing"] == ["ffffffff", "no hash", NOTHING, "\x00"]


@pytest.mark.parametrize(
    "body",
    [{"hashes": ["a" * 8] * 1001}, {"hashes": [5]}, {"hashes": "abc"}, {}, {"hashes": [], "more": 1}, []],
)
def test_a_batch_that_cannot_be_used_is_a_bad_request(service: Service, body: object) -> None:
    assert service.ask("POST", "/api/v1/loras/by-hash", json=body).status_code == 400


def test_a_thousand_hashes_are_not_too_many(service: Service) -> None:
    hashes = [f"{number:08x}aa" for number in range(1000)]
    answer = service.ask("POST", "/api/v1/loras/by-hash", json={"hashes": hashes}).json()
    assert answer == {"items": [], "ambiguous": [], "missing": hashes}


def test_what_is_no_hash_is_refused(service: Service) -> None:
    assert service.ask("GET", "/api/v1/loras/by-hash/zzzzzzzz").status_code == 400
    assert service.get("/api/v1/loras/by-hash/12345678")["missing"] == ["12345678"]


def test_duplicates_come_by_kind_and_page(service: Service, builder: Builder, root: int) -> None:
    for number in range(4):
        for copy in ("a", "b"):
            builder.file(root, f"{copy}/same{number}.safetensors")
    builder.write()
    for number in range(4):
        for copy in ("a", "b"):
            builder.hash(f"{copy}/same{number}.safetensors", f"{number}a" * 32, f"{number}b" * 32)
    first = service.get("/api/v1/duplicates?limit=3")
    second = service.get(f"/api/v1/duplicates?limit=3&cursor={first['next_cursor']}")
    assert [len(first["items"]), len(second["items"]), second["next_cursor"]] == [3, 1, None]
    assert {group["value"] for group in first["items"] + second["items"]} == {f"{n}a" * 32 for n in range(4)}
    assert [len(group["files"]) for group in first["items"]] == [2, 2, 2]
    assert all(group["reclaimable"] > 0 for group in first["items"])
    assert service.get("/api/v1/duplicates?kind=same_weights")["items"] == []
    assert service.ask("GET", "/api/v1/duplicates?kind=same_names").status_code == 400


def test_links_are_no_duplicates_and_are_named_beside_copies(
    service: Service, builder: Builder, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    root_id = builder.root(str(folder))
    folder.mkdir()
    (folder / "real.safetensors").write_bytes(b"x")
    (folder / "link.safetensors").symlink_to("real.safetensors")
    for name in ("link", "real"):
        builder.file(root_id, f"{name}.safetensors")
    builder.write()
    for name in ("link", "real"):
        builder.hash(f"{name}.safetensors", BYTES, DATA)
    assert service.get("/api/v1/duplicates") == {"items": [], "next_cursor": None}
    (folder / "copy.safetensors").write_bytes(b"x")
    builder.file(root_id, "copy.safetensors")
    builder.write()
    builder.hash("copy.safetensors", BYTES, DATA)
    (group,) = service.get("/api/v1/duplicates")["items"]
    ids = {file["name"]: file["id"] for file in group["files"]}
    assert list(ids) == ["real", "link", "copy"]
    assert group["links"] == [{"id": ids["link"], "file_id": ids["real"], "symlink": True}]


def test_equal_weights_under_other_headers_are_a_kind_of_their_own(
    service: Service, builder: Builder, root: int
) -> None:
    builder.hash("one", BYTES, DATA)
    builder.hash("two", "4d" * 32, DATA)
    (group,) = service.get("/api/v1/duplicates?kind=same_weights")["items"]
    assert (group["kind"], group["value"], len(group["files"])) == ("same_weights", DATA, 2)


def test_problems_come_in_pages_and_by_kind(service: Service, builder: Builder, root: int) -> None:
    for number in range(5):
        builder.file(root, f"bad{number}.safetensors", cause="truncated-data")
    builder.write()
    builder.hash("one", BYTES, DATA, [Note("odd-claim", "the header lies")])
    first = service.get("/api/v1/problems?limit=4")
    second = service.get(f"/api/v1/problems?limit=4&cursor={first['next_cursor']}")
    assert (first["total"], len(first["items"]), len(second["items"]), second["next_cursor"]) == (
        6,
        4,
        2,
        None,
    )
    assert service.get("/api/v1/problems?slug=odd-claim")["items"][0]["text"] == "the header lies"
    assert service.get("/api/v1/problems?slug=nothing") == {"items": [], "next_cursor": None, "total": 0}
    assert service.get("/api/v1/status")["problems"] == {"odd-claim": 1, "truncated-data": 5}


def test_a_root_is_added_changed_moved_and_removed(service: Service) -> None:
    new = {"path": "/models/a", "label": "A", "pickles": True}
    added = service.ask("POST", "/api/v1/roots", json=new)
    assert added.status_code == 201
    assert service.ask("POST", "/api/v1/roots", json=new).status_code == 200
    root_id = added.json()["id"]
    assert (added.json()["label"], added.json()["pickles"], added.json()["path"]) == ("A", True, "/models/a")
    changed = service.ask("PATCH", f"/api/v1/roots/{root_id}", json={"poll": "always", "hash_readers": None})
    assert (changed.json()["poll"], changed.json()["label"]) == ("always", "A")
    moved = service.ask("POST", f"/api/v1/roots/{root_id}/relocate", json={"path": "/mnt/a"})
    assert moved.json()["path"] == "/mnt/a"
    assert [each["id"] for each in service.get("/api/v1/roots")["items"]] == [root_id]
    assert service.ask("DELETE", f"/api/v1/roots/{root_id}").status_code == 204
    assert service.get("/api/v1/roots")["items"] == []
    assert service.ask("DELETE", f"/api/v1/roots/{root_id}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"path": ""},
        {"path": "/a\x00b"},
        {"path": "/a", "nonsense": 1},
        {"path": "/a", "poll": "often"},
        {"path": "/a", "header_readers": 65},
        {"path": "/a", "label": None},
        {"path": "/a" * 3000},
    ],
)
def test_a_root_that_cannot_be_is_refused(service: Service, body: dict[str, Any]) -> None:
    assert service.ask("POST", "/api/v1/roots", json=body).status_code == 400
    assert service.get("/api/v1/roots")["items"] == []


@pytest.mark.parametrize("path", ["loras", "./loras", "../loras", "~/loras", "~"])
def test_a_path_that_depends_on_where_the_server_was_started_is_refused(
    service: Service, builder: Builder, path: str
) -> None:
    root = builder.root("/a")
    for place in ("/api/v1/roots", f"/api/v1/roots/{root}/relocate"):
        answer = service.ask("POST", place, json={"path": path})
        assert answer.status_code == 400
        assert answer.json()["detail"] == f"{path!r} is not an absolute path"
    assert [each["path"] for each in service.get("/api/v1/roots")["items"]] == ["/a"]


def test_roots_are_shown_with_the_number_of_their_present_files(
    service: Service, builder: Builder, root: int
) -> None:
    empty = builder.root("/models/empty")
    listed = service.get("/api/v1/roots")["items"]
    assert {each["id"]: each["files"] for each in listed} == {root: 3, empty: 0}
    changed = service.ask("PATCH", f"/api/v1/roots/{root}", json={"label": "x"})
    assert (changed.json()["label"], changed.json()["files"]) == ("x", 3)


def test_changing_nothing_or_what_is_not_there_is_refused(service: Service, builder: Builder) -> None:
    root = builder.root("/a")
    assert service.ask("PATCH", f"/api/v1/roots/{root}", json={}).status_code == 400
    assert service.ask("PATCH", f"/api/v1/roots/{root}", json={"poll": None}).status_code == 400
    assert service.ask("PATCH", "/api/v1/roots/99", json={"poll": "auto"}).status_code == 404


def test_a_scan_starts_for_all_or_some_roots_and_a_second_one_is_a_conflict(service: Service) -> None:
    assert service.ask("POST", "/api/v1/scan").json() == {"jobs": [7]}
    assert service.ask("POST", "/api/v1/scan", json={"roots": [3]}).status_code == 202
    assert service.actions.asked == [("scan", None, None), ("scan", [3], None)]
    assert service.ask("POST", "/api/v1/scan", json={"roots": []}).status_code == 400
    service.actions.busy = True
    answer = service.ask("POST", "/api/v1/scan")
    assert (answer.status_code, answer.json()["remedy"]) == (409, "wait for it")


def test_jobs_are_listed_and_cancelled(service: Service, builder: Builder) -> None:
    with builder.catalog.write() as unit:
        job_id = start_job(unit, "scan", "1", "me")
    (job,) = service.get("/api/v1/jobs?live=true")["items"]
    assert (job["id"], job["kind"], job["state"]) == (job_id, "scan", "running")
    assert service.ask("POST", f"/api/v1/jobs/{job_id}/cancel").status_code == 204
    assert service.ask("POST", "/api/v1/jobs/99/cancel").status_code == 404


def test_status_counts_what_there_is(service: Service, builder: Builder, root: int) -> None:
    status = service.get("/api/v1/status")
    assert (status["loras"], status["files"], status["database"]) == (3, {"present": 3}, "sqlite")
    assert status["progress"] == {"scan": [], "hashing": {"files": 0}}
    before = status["generation"]
    builder.file(root, "four.safetensors")
    builder.write()
    assert service.get("/api/v1/status")["generation"] > before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/api/v1/loras", 405), ("GET", "/api/v1/loras/", 404)],
)
def test_routes_that_are_not_there_answer_with_a_problem(
    service: Service, method: str, path: str, status: int
) -> None:
    answer = service.ask(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status


def test_a_crash_tells_nothing_of_its_insides(service: Service, builder: Builder) -> None:
    builder.catalog.clock = lambda: 1 // 0
    answer = service.ask("PATCH", "/api/v1/roots/1", json={"poll": "auto"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "Zero" not in answer.text


def test_a_catalog_that_cannot_be_read_is_named_as_the_cause(service: Service, builder: Builder) -> None:
    with builder.catalog.bare() as conn:
        conn.exec_driver_sql("ALTER TABLE change RENAME TO elsewhere")
        conn.commit()
    for path in ("/healthz", "/api/v1/loras"):
        answer = service.ask("GET", path)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:lora-registry:catalog-error")


def test_text_that_is_no_text_is_a_bad_request(service: Service) -> None:
    for content in (b'{"hashes": ["\\ud800\\ud800"]}', b'{"hashes": ["\xff"]}', b"{", b"[" * 100_000):
        headers = {"Content-Type": "application/json"}
        answer = service.ask("POST", "/api/v1/loras/by-hash", content=content, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_hashing_is_paused_by_those_who_may_write(service: Service) -> None:
    assert service.ask("PUT", "/api/v1/hashing", json={"paused": True}).status_code == 204
    assert service.ask("PUT", "/api/v1/hashing", json={"paused": False}).status_code == 204
    assert service.ask("PUT", "/api/v1/hashing", json={}).status_code == 400
    assert service.actions.asked == [("pause", None), ("go on", None)]
