"""What users note of loras: read, changed, brought back, of one lora and of thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from registry.catalog import tables
from registry.curation import FIELDS
from tests.support.schemas import violations

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

LORAS = "/api/v1/loras"
EDIT = f"{LORAS}/edit"
HISTORY = tables.TABLES["curation_history"]


@pytest.fixture
def two(builder: Builder) -> int:
    """Loras `one` and `two`; the root that they are in."""
    root = builder.root("/models/lora")
    builder.file(root, "one.safetensors")
    builder.file(root, "two.safetensors")
    builder.write()
    return root


def of(reference: object, rest: str = "") -> str:
    return f"{LORAS}/{quote(str(reference), safe='')}{rest}"


def id_of(service: Service, reference: str) -> int:
    return int(service.get(of(reference))["lora"]["id"])


def patch(service: Service, reference: object, headers: dict[str, str] | None = None, **changes: Any) -> Any:
    answer = service.ask("PATCH", of(reference), headers=headers, json=changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(service: Service, path: str, **body: Any) -> Any:
    answer = service.ask("POST", path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def noted(service: Service, reference: object) -> dict[str, Any]:
    fields = service.get(of(reference, "/curation"))["fields"]
    return {name: one["value"] for name, one in fields.items() if one["value"] is not None}


def refused(answer: httpx.Response, status: int) -> Any:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    return answer.json()


def rows(builder: Builder) -> int:
    with builder.catalog.read() as conn:
        return len(conn.execute(HISTORY.select()).all())


# One lora


def test_what_is_noted_is_told_with_who_noted_it_and_when(
    service: Service, builder: Builder, two: int
) -> None:
    builder.catalog.clock = lambda: 1_800_000_000_000
    headers = {"Authorization": f"Bearer {service.token('anna', 'write')}"}
    told = patch(service, "one", headers, tags=["水墨", "长发"], rating=0, civitai={"unlinked": True})
    assert told["batch"] == told["revision"] - 2
    read = service.get(of("one", "/curation"))
    assert read == {name: value for name, value in told.items() if name != "batch"}
    assert list(read["fields"]) == list(FIELDS)
    assert read["fields"]["tags"] == {"value": ["水墨", "长发"], "at": 1_800_000_000_000, "actor": "anna"}
    assert read["fields"]["note"] == {"value": None, "at": None, "actor": None}
    assert noted(service, "one") == {"tags": ["水墨", "长发"], "rating": 0, "civitai": {"unlinked": True}}


def test_a_change_merges_fields_and_null_clears_one(service: Service, two: int) -> None:
    patch(service, "one", note="n", tags=["a", "b"], weight=0.5)
    patch(service, "one", note=None, tags={"add": ["C"], "remove": ["A"]}, triggers=[["x", "y"], "z"])
    assert noted(service, "one") == {"tags": ["b", "C"], "triggers": [["x", "y"], ["z"]], "weight": 0.5}


def test_what_changes_nothing_has_no_batch_and_the_same_revision(service: Service, two: int) -> None:
    before = patch(service, "one", rating=3)
    after = patch(service, "one", rating=3, note=" ")
    assert (after["batch"], after["revision"]) == (None, before["revision"])
    assert patch(service, "one")["batch"] is None


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("changes", "detail", "remedy"),
    [
        ({"rating": 6}, "rating is 6", "from 0 to 5"),
        ({"rating": "5"}, "rating is '5'", "from 0 to 5"),
        ({"rating": True}, "rating is true", "null clears it"),
        ({"rating": 10**400}, "rating is", "from 0 to 5"),
        ({"stars": 5}, "no field 'stars'", "rating"),
        ({"tags": "a"}, "tags is 'a', not a list", "up to 1,000 tags"),
        ({"tags": {"put": ["a"]}}, "other members", "up to 1,000 tags"),
        ({"tags": ["x" * 201]}, "more than 200", "200 characters"),
        ({"architecture": "sdxxl"}, "'sdxxl'", "sdxl"),
        ({"weight_min": 2, "weight_max": 1}, "weight_min is 2", "the lower one first"),
        ({"note": {"a": {"b": []}}}, "note is an object", "null clears it"),
    ],
)
def test_what_cannot_be_noted_is_refused_with_what_can_be(
    service: Service, builder: Builder, changes: dict[str, Any], detail: str, remedy: str
) -> None:
    for told in (
        refused(service.ask("PATCH", of("one"), json=changes), 400),
        refused(service.ask("POST", EDIT, json={"ids": [1, 2], "changes": changes}), 400),
    ):
        assert detail in told["detail"]
        assert remedy in told["remedy"]
    assert rows(builder) == 0


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"5", b"null", b'"rating"', b"{", b'{"rating": NaN}', b"[" * 9000]
)
def test_a_body_that_is_no_change_is_refused(
    service: Service, builder: Builder, two: int, body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = service.ask("PATCH", of("one"), content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    assert rows(builder) == 0


@pytest.mark.parametrize(
    "asked",
    [
        ("PATCH", "", {"rating": 1}),
        ("GET", "/curation", None),
        ("GET", "/history", None),
        ("POST", "/undo", {}),
        ("POST", "/copy-from", {"from": "two"}),
    ],
)
def test_a_reference_is_the_same_everywhere(
    service: Service, builder: Builder, two: int, asked: tuple[str, str, object]
) -> None:
    method, rest, body = asked
    refused(service.ask(method, of("nobody", rest), json=body), 404)
    refused(service.ask(method, of("a\x00", rest), json=body), 400)
    builder.file(two, "deep/one.safetensors")
    builder.write()
    told = refused(service.ask(method, of("one", rest), json=body), 409)
    assert len(told["candidates"]) == 2


@pytest.mark.parametrize(
    "path", ["a/長髮 🎀.safetensors", "?#%&.safetensors", "curation/history.safetensors"]
)
def test_odd_names_are_references_too(service: Service, builder: Builder, path: str) -> None:
    builder.file(builder.root("/models/lora"), path)
    builder.write()
    told = patch(service, path, display_name="墨")
    assert noted(service, path) == {"display_name": "墨"}
    assert service.get(of(path, "/history"))["items"][0]["batch"] == told["batch"]
    assert service.get(of(path))["curation"] == {"display_name": "墨"}


# Races


def test_of_two_who_read_the_same_only_the_first_may_write(service: Service, two: int) -> None:
    read = service.ask("GET", of("one", "/curation"))
    assert read.headers["etag"] == '"0"'
    seen = {"If-Match": read.headers["etag"]}
    first = service.ask("PATCH", of("one"), headers=seen, json={"rating": 4})
    assert (first.status_code, first.headers["etag"]) == (200, f'"{first.json()["revision"]}"')
    second = service.ask("PATCH", of("one"), headers=seen, json={"rating": 1})
    told = refused(second, 412)
    assert told["type"] == "urn:lora-registry:precondition-failed"
    assert second.headers["etag"] == first.headers["etag"]
    assert first.headers["etag"] in told["detail"]
    assert noted(service, "one") == {"rating": 4}
    again = service.ask("PATCH", of("one"), headers={"If-Match": second.headers["etag"]}, json={"rating": 1})
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [("*", 200), ('"7", "0"', 200), ('W/"0"', 412), ("0", 412), ('"00"', 412), ("", 412), ('"9"', 412)],
)
def test_if_match_takes_what_http_says(service: Service, two: int, given: str, status: int) -> None:
    answer = service.ask("PATCH", of("one"), headers={"If-Match": given}, json={"rating": 4})
    assert answer.status_code == status


def test_undoing_and_copying_heed_if_match_too(service: Service, two: int) -> None:
    patch(service, "one", rating=1)
    for rest, body in (("/undo", {}), ("/copy-from", {"from": "two"})):
        refused(service.ask("POST", of("one", rest), headers={"If-Match": '"0"'}, json=body), 412)
    assert noted(service, "one") == {"rating": 1}


def test_what_is_read_is_never_answered_as_unchanged_for_what_is_offered_may_be(
    service: Service, two: int
) -> None:
    headers = {"If-None-Match": '"0"'}
    assert service.ask("GET", of("one", "/curation"), headers=headers).status_code == 200


# History and undoing


def test_the_history_is_paged_the_latest_first(service: Service, two: int) -> None:
    for rating in range(5):
        patch(service, "one", rating=rating)
    whole = service.get(of("one", "/history"))
    assert [item["new"] for item in whole["items"]] == [4, 3, 2, 1, 0]
    assert whole["next_cursor"] is None
    first = service.get(of("one", "/history?limit=2"))
    second = service.get(of("one", f"/history?limit=3&cursor={first['next_cursor']}"))
    assert [*first["items"], *second["items"]] == whole["items"]
    assert second["next_cursor"] is None
    refused(service.ask("GET", of("one", "/history?cursor=nonsense")), 400)
    refused(service.ask("GET", of("one", "/history?limit=0")), 400)


def test_the_last_change_or_another_one_is_undone(service: Service, two: int) -> None:
    first = patch(service, "one", rating=1, note="x")
    patch(service, "one", rating=2, tags=["t"])
    undone = post(service, of("one", "/undo"))
    assert noted(service, "one") == {"rating": 1, "note": "x"}
    assert undone["fields"]["rating"]["value"] == 1
    post(service, of("one", "/undo"), batch=first["batch"], fields=["note"])
    assert noted(service, "one") == {"rating": 1}
    post(service, of("one", "/undo"))
    assert noted(service, "one") == {"rating": 1, "note": "x"}


def test_undoing_what_changed_since_is_a_conflict_unless_it_is_forced(service: Service, two: int) -> None:
    first = patch(service, "one", rating=1)
    patch(service, "one", rating=2)
    told = refused(service.ask("POST", of("one", "/undo"), json={"batch": first["batch"]}), 409)
    assert "rating" in told["detail"]
    assert noted(service, "one") == {"rating": 2}
    post(service, of("one", "/undo"), batch=first["batch"], force=True)
    assert noted(service, "one") == {}


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (of("one", "/undo"), {}, 404),
        (of("one", "/undo"), {"batch": 7}, 404),
        (of("one", "/undo"), {"batch": -1}, 400),
        (of("one", "/undo"), {"fields": ["stars"]}, 400),
        (of("one", "/undo"), {"fields": []}, 404),
        (of("one", "/undo"), {"more": 1}, 400),
        ("/api/v1/edits/7/undo", {}, 404),
        ("/api/v1/edits/x/undo", {}, 400),
        (f"/api/v1/edits/{2**63}/undo", {}, 400),
        ("/api/v1/edits/7/undo", {"batch": 7}, 400),
        (of("one", "/copy-from"), {}, 400),
        (of("one", "/copy-from"), {"from": "one"}, 400),
        (of("one", "/copy-from"), {"from": "nobody"}, 404),
        (of("one", "/copy-from"), {"from": 5}, 400),
        (of("one", "/copy-from"), {"from": "a\x00"}, 400),
    ],
)
def test_what_cannot_be_brought_back_or_copied_is_a_problem(
    service: Service, builder: Builder, path: str, body: object, status: int
) -> None:
    refused(service.ask("POST", path, json=body), status)
    assert rows(builder) == 0


def test_an_undo_without_a_body_is_one(service: Service, two: int) -> None:
    done = patch(service, "one", rating=1)
    assert service.ask("POST", of("one", "/undo")).status_code == 200
    assert service.ask("POST", f"/api/v1/edits/{done['batch']}/undo").json() == {"changed": 0, "batch": None}


# Merging, and other weights


def test_an_id_that_was_merged_leads_to_where_its_notes_went(
    service: Service, builder: Builder, two: int
) -> None:
    old, kept = id_of(service, "two"), id_of(service, "one")
    patch(service, old, tags=["of two"], rating=2)
    edit = post(service, EDIT, ids=[old, kept], changes={"note": "x"})
    builder.hash("one", "a" * 64, "b" * 64)
    builder.hash("two", "c" * 64, "b" * 64)
    assert service.get(of(old, "/curation"))["lora_id"] == kept
    told = patch(service, old, tags={"add": ["of one"]})
    assert (told["lora_id"], noted(service, kept)["tags"]) == (kept, ["of two", "of one"])
    assert service.get(of(old, "/history")) == service.get(of(kept, "/history"))
    again = post(service, EDIT, ids=[old, kept], changes={"rating": 5})
    assert (again["matched"], again["changed"]) == (1, 1)
    assert post(service, f"/api/v1/edits/{edit['batch']}/undo")["changed"] == 1
    assert noted(service, old) == {"tags": ["of two", "of one"], "rating": 5}


def test_notes_are_copied_to_other_weights(service: Service, two: int) -> None:
    patch(service, "one", tags=["a"], rating=3, note="old", civitai={"version": 5})
    patch(service, "two", tags=["b"], rating=1)
    told = post(service, of("two", "/copy-from"), **{"from": "one"})
    assert told["carry_offer"] is None
    assert noted(service, "two") == {"tags": ["b", "a"], "rating": 1, "note": "old"}
    post(service, of("two", "/undo"))
    assert noted(service, "two") == {"tags": ["b"], "rating": 1}


def test_notes_of_what_a_file_was_before_are_offered(service: Service, builder: Builder, two: int) -> None:
    builder.hash("one", "a" * 64, "b" * 64)
    old = id_of(service, "one")
    patch(service, old, rating=3)
    builder.file(two, "one.safetensors")
    builder.write()
    builder.hash("one.safetensors", "c" * 64, "d" * 64)
    new = id_of(service, "one.safetensors")
    assert service.get(of(new, "/curation"))["carry_offer"] == old != new
    post(service, of(new, "/copy-from"), **{"from": str(old)})
    assert noted(service, new) == {"rating": 3}
    assert service.get(of(new, "/curation"))["carry_offer"] is None


# Many


@pytest.fixture
def many(service: Service, builder: Builder) -> int:
    """3,000 loras of one word and one of another, all of them in the index; how many there are."""
    root = builder.root("/models/lora")
    for number in range(3000):
        builder.file(root, f"ink_{number}.safetensors", {"ss_output_name": f"ink {number}"}, modules=1)
    builder.file(root, "other.safetensors")
    builder.write()
    service.catch_up()
    return 3001


def test_thousands_that_a_query_finds_are_edited_as_one_batch_and_undone(
    service: Service, builder: Builder, many: int
) -> None:
    changes = {"tags": {"add": ["水墨"]}, "rating": 4}
    patch(service, "ink_7", tags=["水墨"], rating=4)
    patch(service, "other", note="mine")
    service.catch_up()
    planned = post(service, EDIT, query="ink", changes=changes, dry_run=True)
    assert planned == {"matched": 3000, "changed": 2999, "batch": None}
    assert rows(builder) == 3
    done = post(service, EDIT, query="ink", changes=changes)
    assert (done["matched"], done["changed"]) == (3000, 2999)
    assert noted(service, "ink_2999") == {"tags": ["水墨"], "rating": 4}
    assert noted(service, "other") == {"note": "mine"}
    service.catch_up()
    assert service.get("/api/v1/search?q=rating:4 usertag:水墨&limit=1")["total"] == 3000
    assert post(service, EDIT, query="rating:4 usertag:水墨", changes=changes) == {
        "matched": 3000,
        "changed": 0,
        "batch": None,
    }
    undone = post(service, f"/api/v1/edits/{done['batch']}/undo")
    assert undone["changed"] == 2999
    assert noted(service, "ink_2999") == {}
    assert noted(service, "ink_7") == {"tags": ["水墨"], "rating": 4}


def test_what_does_not_fit_one_of_many_changes_none(service: Service, builder: Builder, many: int) -> None:
    patch(service, "ink_2999", weight_max=0.5)
    before = rows(builder)
    told = refused(service.ask("POST", EDIT, json={"query": "ink", "changes": {"weight_min": 1}}), 400)
    assert "weight_min is 1" in told["detail"]
    assert rows(builder) == before


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"changes": {"rating": 1}}, "query or of ids"),
        ({"query": "one", "ids": [1], "changes": {"rating": 1}}, "query or of ids"),
        ({"query": "", "changes": {"rating": 1}}, "asks for nothing"),
        ({"query": " sort:-date ", "changes": {"rating": 1}}, "asks for nothing"),
        ({"query": "rank:abc", "changes": {"rating": 1}}, "not clear"),
        ({"query": "one OR", "changes": {"rating": 1}}, "not clear"),
        ({"query": "one"}, "changes"),
        ({"ids": [1], "changes": None}, "changes"),
        ({"ids": [1], "changes": []}, "changes"),
        ({"ids": [-1], "changes": {"rating": 1}}, "ids.0"),
        ({"ids": [2**63], "changes": {"rating": 1}}, "ids.0"),
        ({"ids": [1], "changes": {"rating": 1}, "more": 1}, "more"),
    ],
)
def test_an_edit_that_is_not_clear_changes_nothing(
    service: Service, builder: Builder, two: int, body: dict[str, Any], told: str
) -> None:
    service.catch_up()
    assert told in refused(service.ask("POST", EDIT, json=body), 400)["detail"]
    assert rows(builder) == 0


def test_too_many_ids_are_refused(service: Service, two: int) -> None:
    body = {"ids": [1] * 100_001, "changes": {"rating": 1}}
    assert "100000" in refused(service.ask("POST", EDIT, json=body), 400)["detail"]


def test_an_id_that_is_not_there_is_told_and_nothing_changes(
    service: Service, builder: Builder, two: int
) -> None:
    told = refused(service.ask("POST", EDIT, json={"ids": [1, 99], "changes": {"rating": 1}}), 404)
    assert "99" in told["detail"]
    assert rows(builder) == 0


def test_a_query_that_finds_nothing_edits_nothing(service: Service, two: int) -> None:
    service.catch_up()
    nothing = {"matched": 0, "changed": 0, "batch": None}
    assert post(service, EDIT, query="zzz", changes={"rating": 1}) == nothing
    assert post(service, EDIT, ids=[], changes={"rating": 1}) == nothing


def test_answers_are_what_the_document_declares(service: Service, two: int) -> None:
    document = service.get("/openapi.json")

    def declared(method: str, path: str) -> dict[str, Any]:
        content = document["paths"][path][method]["responses"]["200"]["content"]
        return dict(content["application/json"]["schema"])

    one = f"{LORAS}/{{ref}}"
    done = post(
        service, EDIT, ids=[1, 2], changes={"tags": ["x"], "triggers": [["a"]], "civitai": {"version": 1}}
    )
    answers: list[tuple[str, str, Callable[[], Any]]] = [
        ("post", EDIT, lambda: done),
        ("patch", one, lambda: patch(service, "one", rating=1, favorite=True)),
        ("get", f"{one}/curation", lambda: service.get(of("one", "/curation"))),
        ("get", f"{one}/history", lambda: service.get(of("one", "/history"))),
        ("post", f"{one}/undo", lambda: post(service, of("one", "/undo"))),
        ("post", f"{one}/copy-from", lambda: post(service, of("one", "/copy-from"), **{"from": "two"})),
        (
            "post",
            "/api/v1/edits/{batch}/undo",
            lambda: post(service, f"/api/v1/edits/{done['batch']}/undo", force=True),
        ),
    ]
    for method, path, answer in answers:
        assert violations(answer(), declared(method, path), document) == [], path
