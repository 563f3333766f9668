"""What the forms on the page of a lora do, without any script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.tokens import TokenScope, create_token
from registry.formats.nsfw import R
from tests.support.documents import Document, document
from tests.support.known_loras import id_of, note
from tests.support.serving import REMOTE

if TYPE_CHECKING:
    import httpx

    from tests.support.catalogs import Builder
    from tests.support.serving import Service


@pytest.fixture
def one(builder: Builder) -> int:
    builder.file(builder.root("/models"), "one.safetensors")
    builder.file(builder.root("/models"), "two.safetensors")
    builder.write()
    return id_of(builder, "one")


def page_of(service: Service, lora_id: int) -> Document:
    return document(service.ask("GET", f"/loras/{lora_id}"))


def form_of(service: Service, lora_id: int) -> dict[str, str]:
    return page_of(service, lora_id).form(f"/loras/{lora_id}", "note")


def send(service: Service, lora_id: int, rest: str = "", **fields: str) -> httpx.Response:
    return service.ask("POST", f"/loras/{lora_id}{rest}", data=fields)


def followed(service: Service, answer: httpx.Response) -> Document:
    assert answer.status_code == 303, answer.text
    return document(service.ask("GET", answer.headers["location"]))


def noted(service: Service, lora_id: int) -> dict[str, Any]:
    fields = service.get(f"/api/v1/loras/{lora_id}/curation")["fields"]
    return {name: one["value"] for name, one in fields.items() if one["value"] is not None}


def test_a_form_notes_what_was_typed_and_can_be_taken_back(one: int, service: Service) -> None:
    form = form_of(service, one)
    form |= {
        "note": "line\nof two", "tags": "水墨\nkeep", "rating": "4", "favorite": "yes", "weight": "0,8",
        "triggers": "ink wash, sumi-e\nink", "display_name": " The  ink ", "nsfw": "r", "base_model": "PONY",
        "architecture": "sdxl", "civitai_other": "https://civitai.com/models/45?modelVersionId=123",
    }  # fmt: skip
    answer = send(service, one, **form)
    page = followed(service, answer)
    assert "Saved." in page.text
    assert noted(service, one) == {
        "note": "line\nof two", "tags": ["水墨", "keep"], "rating": 4, "favorite": True, "weight": 0.8,
        "triggers": [["ink wash", "sumi-e"], ["ink"]], "display_name": "The ink", "nsfw": 4,
        "base_model": "pony", "architecture": "sdxl", "civitai": {"version": 123, "model": 45},
    }  # fmt: skip
    assert "Rating: nothing → 4" in page.text
    again = page.form(f"/loras/{one}", "note")
    assert again == {**form, "display_name": "The ink", "weight": "0.8", "base_model": "pony",
                     "civitai": "123,45", "civitai_other": "", "revision": again["revision"]}  # fmt: skip
    undo = page.form(f"/loras/{one}/undo")
    undone = followed(service, send(service, one, "/undo", **undo))
    assert "Taken back." in undone.text
    assert noted(service, one) == {}
    redone = followed(service, send(service, one, "/undo", **undone.form(f"/loras/{one}/undo")))
    assert noted(service, one)["rating"] == 4
    assert "Taken back." in redone.text


def test_a_form_as_it_stands_changes_nothing(one: int, service: Service, builder: Builder) -> None:
    every: dict[str, Any] = {"note": "\n a\n", "tags": ["a, b"], "triggers": [["x, y"]], "favorite": False,
                             "rating": 0, "weight": 0.123456789, "civitai": {"unlinked": True}}  # fmt: skip
    note(builder, "one", **every)
    before = noted(service, one)
    page = followed(service, send(service, one, **form_of(service, one)))
    assert "Nothing was changed." in page.text
    assert noted(service, one) == before


def test_a_form_that_is_older_than_the_notes_is_refused_with_both_versions(
    one: int, service: Service, builder: Builder
) -> None:
    form = form_of(service, one)
    note(builder, "one", "anna", note="hers", rating=5)
    page = document(send(service, one, **{**form, "note": "mine", "tags": "kept"}), 409)
    assert "These notes were changed since you began to edit them." in page.text
    for text in ("There now", "Yours", "hers", "mine", "Rating"):
        assert text in page.text
    assert noted(service, one) == {"note": "hers", "rating": 5}
    typed = page.form(f"/loras/{one}", "note")
    assert (typed["note"], typed["tags"], typed["rating"]) == ("mine", "kept", "")
    assert next(one for one in page.all("details") if one.get("id") == "edit").keys() >= {"open"}
    followed(service, send(service, one, **typed))
    assert noted(service, one) == {"note": "mine", "tags": ["kept"]}


def test_a_form_without_news_is_never_too_old(one: int, service: Service, builder: Builder) -> None:
    form = form_of(service, one)
    note(builder, "one", "anna", note="hers")
    page = followed(service, send(service, one, **{**form, "note": "hers"}))
    assert "Nothing was changed." in page.text


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("weight", "heavy", "Weight is 'heavy', not a number from -10 to 10."),
        ("weight", "99", "Weight is 99, not a number from -10 to 10."),
        ("architecture", "sd9", "Architecture is 'sd9', which is none that is known."),
        ("civitai_other", "the newest", "Civitai is 'the newest', not a choice of a version."),
        ("nsfw", "<b>", "Nsfw is '<b>', not a level."),
        ("tags", "x" * 300, "Tags is a text of more than 200 characters."),
    ],
)
def test_what_cannot_be_noted_is_said_and_what_was_typed_stays(
    one: int, service: Service, field: str, text: str, said: str
) -> None:
    form = {**form_of(service, one), "note": "typed\nlong", field: text}
    page = document(send(service, one, **form), 400)
    assert said in page.text
    typed = page.form(f"/loras/{one}", "note")
    assert (typed["note"], typed[field]) == ("typed\nlong", text)
    assert noted(service, one) == {}


def test_a_range_that_is_upside_down_is_refused(one: int, service: Service) -> None:
    form = {**form_of(service, one), "weight_min": "1", "weight_max": "0.5"}
    assert "Weight_min is 1 and weight_max 0.5." in document(send(service, one, **form), 400).text


def test_small_forms_change_one_thing_only(one: int, service: Service, builder: Builder) -> None:
    note(builder, "one", note="stays", tags=["a"])
    path = f"/loras/{one}"
    quick = page_of(service, one).form(path, "favorite")
    assert quick == {"revision": quick["revision"], "favorite": "yes"}
    page = followed(service, send(service, one, **quick))
    assert noted(service, one) == {"note": "stays", "tags": ["a"], "favorite": True}
    off = page.form(path, "favorite")
    assert off["favorite"] == ""
    followed(service, send(service, one, **off))
    assert noted(service, one) == {"note": "stays", "tags": ["a"]}


def test_taking_back_what_was_changed_again_is_refused(one: int, service: Service, builder: Builder) -> None:
    page = followed(service, send(service, one, **{**form_of(service, one), "note": "first"}))
    note(builder, "one", note="second")
    refused = document(send(service, one, "/undo", **page.form(f"/loras/{one}/undo")), 409)
    assert "Changed again since: note of lora" in refused.text
    assert noted(service, one) == {"note": "second"}


@pytest.mark.parametrize(
    ("rest", "fields", "status"),
    [
        ("/undo", {"batch": "999"}, 404),
        ("/undo", {"batch": "x"}, 400),
        ("/undo", {}, 400),
        ("/undo", {"batch": "9" * 30}, 400),
        ("/carry", {"from": "999"}, 404),
        ("/carry", {"from": "one"}, 400),
        ("/carry", {}, 400),
    ],
)
def test_forms_that_nobody_was_given_are_refused(
    one: int, service: Service, rest: str, fields: dict[str, str], status: int
) -> None:
    document(send(service, one, rest, **fields), status)
    assert noted(service, one) == {}


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"&".join(b"a%d=1" % n for n in range(500)), b"note=%ZZ%", b"{}", b""]
)
def test_bodies_that_are_no_form_note_nothing(one: int, service: Service, body: bytes) -> None:
    answer = service.ask("POST", f"/loras/{one}", content=body)
    assert answer.status_code in {303, 400, 409}
    assert noted(service, one) == {}


def test_notes_of_the_weights_before_are_offered_and_carried_over(
    one: int, service: Service, builder: Builder
) -> None:
    two = id_of(builder, "two")
    note(builder, "two", note="of the old weights", rating=3)
    assert "Carry the notes over" not in page_of(service, one).text
    with builder.catalog.write() as unit:
        unit.conn.exec_driver_sql(f"UPDATE lora SET replaces_id = {two} WHERE id = {one}")
    page = page_of(service, one)
    assert f"/loras/{two}" in page.links
    form = page.form(f"/loras/{one}/carry")
    assert form == {"from": str(two)}
    after = followed(service, send(service, one, "/carry", **form))
    assert noted(service, one) == {"note": "of the old weights", "rating": 3}
    assert "Carry the notes over" not in after.text
    followed(service, send(service, one, "/undo", **after.form(f"/loras/{one}/undo")))
    assert noted(service, one) == {}


def test_who_may_only_read_changes_nothing(one: int, service: Service) -> None:
    secret = service.token("friend", "read")
    for rest in ("", "/undo", "/carry"):
        answer = service.ask(
            "POST",
            f"/loras/{one}{rest}",
            peer=REMOTE,
            auth=("x", secret),
            data={"note": "x", "revision": "0"},
        )
        assert "needs the role write" in document(answer, 403).text
    assert noted(service, one) == {}
    writer = service.token("anna", "write")
    form = {"note": "x", "revision": "0"}
    answer = service.ask("POST", f"/loras/{one}", peer=REMOTE, auth=("x", writer), data=form)
    assert answer.status_code == 303
    assert service.get(f"/api/v1/loras/{one}/curation")["fields"]["note"]["actor"] == "anna"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://example.com"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_forms_of_other_sites_are_refused(one: int, service: Service, headers: dict[str, str]) -> None:
    for path in (f"/loras/{one}", f"/loras/{one}/undo", f"/loras/{one}/carry", "/level"):
        form = {"note": "x", "revision": "0", "level": "x", "to": "/"}
        answer = service.ask("POST", path, headers=headers, data=form)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
    assert noted(service, one) == {}


def test_an_id_that_was_merged_notes_what_it_became(builder: Builder, service: Service) -> None:
    root = builder.root("/models")
    builder.file(root, "a.safetensors")
    builder.file(root, "b.safetensors")
    builder.write()
    ids = {id_of(builder, "a"), id_of(builder, "b")}
    for name in ("a", "b"):
        builder.hash(name, name * 64, "c" * 64)
    kept = id_of(builder, "a")
    (gone,) = ids - {kept}
    answer = send(service, gone, revision="0", note="x")
    assert answer.headers["location"].startswith(f"/loras/{kept}?saved=")
    assert noted(service, kept) == {"note": "x"}


def test_what_the_address_says_of_saving_is_only_believed_as_a_number(one: int, service: Service) -> None:
    for given in ("<b>", "-1", "", "9" * 40, "1x"):
        page = document(service.ask("GET", f"/loras/{one}", params={"saved": given}))
        assert "Saved." not in page.text
    assert "Nothing was changed." in document(service.ask("GET", f"/loras/{one}?saved=0")).text


def test_who_is_limited_changes_no_level_and_carries_nothing_over_that_is_hidden(
    one: int, service: Service, builder: Builder
) -> None:
    two = id_of(builder, "two")
    note(builder, "one", nsfw="r")
    note(builder, "two", nsfw="xxx", note="secret")
    with builder.catalog.write() as unit:
        scope = TokenScope(nsfw_entries=R)
        auth = ("x", create_token(unit, "guest", "write", scope=scope))
    changed = form_of(service, one)
    last = service.get(f"/api/v1/loras/{one}/history")["items"][0]["batch"]

    def post(rest: str, **fields: str) -> httpx.Response:
        return service.ask("POST", f"/loras/{one}{rest}", peer=REMOTE, auth=auth, data=fields)

    for rest, fields in (("", changed | {"nsfw": "pg", "note": "typed"}), ("/undo", {"batch": str(last)})):
        assert "changes none" in document(post(rest, **fields), 403).text
    assert "Hidden by level." in document(post("/carry", **{"from": str(two)}), 403).text
    assert noted(service, one) == {"nsfw": R}
    assert post("", **changed | {"note": "typed"}).status_code == 303
    assert noted(service, one) == {"nsfw": R, "note": "typed"}
