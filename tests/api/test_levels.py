"""What our own lists, searches and details tell by the limits of levels."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from registry.api.signing import sign
from registry.catalog.curation import edit
from registry.catalog.drawing import drawables
from registry.catalog.jobs import finish_job, start_job
from registry.catalog.lookup import resolve
from registry.catalog.secrets import make_link_key
from registry.catalog.tokens import TokenScope, create_token
from registry.curation import read_changes
from tests.support.catalogs import MACHINE
from tests.support.civitai_answers import file_answer, image_answer, model_answer, version_answer
from tests.support.civitai_known import learn
from tests.support.serving import REMOTE

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import httpx

    from tests.support.catalogs import Builder
    from tests.support.serving import Service


@pytest.fixture
def library(service: Service, builder: Builder) -> Service:
    """Two loras: one of level XXX by the user, one with pictures of PG and X on Civitai."""
    root = builder.root("/models")
    builder.file(root, "plain.safetensors")
    builder.file(root, "other.safetensors")
    builder.write()
    builder.hash("plain", "1" * 64, "2" * 64)
    images = [
        image_answer(
            f"https://image.civitai.com/{level}.jpeg", nsfwLevel=level, meta={"prompt": f"prompt {level}"}
        )
        for level in (1, 8)
    ]
    learn(builder.catalog, model_answer(7, [version_answer(70, [file_answer("1" * 64)], images=images)]))
    with builder.catalog.write() as unit:
        edit(unit, [resolve(unit.conn, "other", MACHINE)], read_changes({"nsfw": "xxx"}))
    service.catch_up()
    return service


def bearer(builder: Builder, *, nsfw_entries: int, role: str = "read") -> dict[str, str]:
    with builder.catalog.write() as unit:
        secret = create_token(unit, "picker", role, scope=TokenScope(nsfw_entries=nsfw_entries))
    return {"authorization": f"Bearer {secret}"}


def test_pictures_and_prompts_above_the_limit_are_in_no_answer(library: Service) -> None:
    text = library.ask("GET", "/api/v1/loras/plain").text
    assert "prompt 1" in text
    assert "prompt 8" not in text
    assert "8.jpeg" not in text
    assert "prompt 8" in library.ask("GET", "/api/v1/loras/plain?nsfw=x").text


@pytest.mark.parametrize(("level", "examples"), [("pg", ("prompt 1",)), ("x", ("prompt 1", "prompt 8"))])
def test_nothing_is_drawn_by_a_prompt_above_the_level_of_its_lora(
    library: Service, builder: Builder, level: str, examples: tuple[str, ...]
) -> None:
    with builder.catalog.write() as unit:
        plain = resolve(unit.conn, "plain", MACHINE)
        edit(unit, [plain], read_changes({"nsfw": level}))
        (found,) = drawables(unit.conn, [plain], MACHINE)
    assert found.examples == examples


def test_answers_for_other_limits_are_not_taken_for_the_same(library: Service) -> None:
    first = library.ask("GET", "/api/v1/loras/plain")
    raised = library.ask(
        "GET", "/api/v1/loras/plain", headers={"if-none-match": first.headers["etag"], "cookie": "nsfw=x"}
    )
    assert raised.status_code == 200
    assert "prompt 8" in raised.text


def test_a_token_with_a_cap_is_told_only_how_many_are_hidden(library: Service, builder: Builder) -> None:
    capped = bearer(builder, nsfw_entries=8)
    listed = library.ask("GET", "/api/v1/loras", peer=REMOTE, headers=capped).json()
    assert [one["name"] for one in listed["items"]] == ["plain"]
    assert listed["withheld"] == 1
    found = library.ask("GET", "/api/v1/search?q=&facets=nsfw", peer=REMOTE, headers=capped).json()
    assert ([one["name"] for one in found["items"]], found["total"], found["withheld"]) == (["plain"], 1, 1)
    assert "xxx" not in str(found["facets"])
    hidden = library.ask("GET", "/api/v1/loras/other", peer=REMOTE, headers=capped)
    assert hidden.status_code == 403
    names = library.ask("GET", "/api/v1/suggest?q=oth", peer=REMOTE, headers=capped).json()
    assert "other" not in str(names)


def test_everything_is_listed_unless_somebody_limits_it(library: Service) -> None:
    assert len(library.get("/api/v1/loras")["items"]) == 2
    assert library.get("/api/v1/search?q=")["withheld"] == 0


@pytest.fixture
def capped(library: Service, builder: Builder) -> Callable[..., httpx.Response]:
    """Ask as somebody who may write and is told of nothing above X."""
    headers = bearer(builder, nsfw_entries=8, role="write")

    def ask(method: str, path: str, **more: object) -> httpx.Response:
        return library.ask(method, path, peer=REMOTE, headers=headers, **more)

    return ask


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("GET", "", None),
        ("GET", "/curation", None),
        ("GET", "/history", None),
        ("GET", "/file", None),
        ("HEAD", "/file", None),
        ("GET", "/preview", None),
        ("GET", "/pictures", None),
        ("PUT", "/pictures", {}),
        ("DELETE", f"/pictures/{'a' * 64}", None),
        ("POST", "/link", {}),
        ("POST", "/undo", {}),
        ("POST", "/copy-from", {"from": "plain"}),
        ("PATCH", "", {"note": "x"}),
    ],
)
def test_no_route_of_one_lora_tells_of_one_above_the_limit(
    capped: Callable[..., httpx.Response], method: str, rest: str, body: object
) -> None:
    for ref in ("other", "other.safetensors", "/models/other.safetensors"):
        asked = capped(method, f"/api/v1/loras/{ref}{rest}", **({} if body is None else {"json": body}))
        assert asked.status_code == 403, asked.text
        assert method == "HEAD" or asked.json()["detail"] == "hidden by level"


def test_notes_of_a_lora_above_the_limit_are_not_copied(capped: Callable[..., httpx.Response]) -> None:
    assert capped("POST", "/api/v1/loras/plain/copy-from", json={"from": "other"}).status_code == 403


def test_a_link_works_for_whoever_has_it(library: Service, capped: Callable[..., httpx.Response]) -> None:
    path = "/api/v1/loras/other/file"
    with library.builder.catalog.write() as unit:
        key = make_link_key(unit)
    path = f"{path}?{sign(key, path, unit.now // 1000 + 60)}"
    # There is no such disk.
    assert library.ask("GET", path, peer=REMOTE).status_code == 409
    # With a token the link says nothing.
    assert capped("GET", path).status_code == 403


def test_hashes_of_what_is_above_the_limit_are_missing(
    builder: Builder, capped: Callable[..., httpx.Response]
) -> None:
    builder.hash("other", "5" * 64, "6" * 64)
    assert capped("GET", f"/api/v1/loras/by-hash/{'5' * 64}").json()["missing"] == ["5" * 64]
    many = capped("POST", "/api/v1/loras/by-hash", json={"hashes": ["5" * 64, "1" * 64]}).json()
    assert ([one["hash"] for one in many["items"]], many["missing"]) == (["1" * 64], ["5" * 64])


def test_the_answers_for_one_limit_are_not_those_for_another(
    library: Service, capped: Callable[..., httpx.Response]
) -> None:
    for path in ("/api/v1/duplicates", f"/api/v1/loras/by-hash/{'1' * 64}", "/api/v1/loras/plain/pictures"):
        assert capped("GET", path).headers["etag"] != library.ask("GET", path).headers["etag"]


def test_duplicates_above_the_limit_are_left_out(
    library: Service, builder: Builder, capped: Callable[..., httpx.Response]
) -> None:
    root = builder.root("/models")
    for place, digest in (("a", "a" * 64), ("b", "b" * 64), ("c", "c" * 64)):
        for name in (f"{place}1", f"{place}2"):
            builder.file(root, f"{name}.safetensors")
        builder.write()
        for name in (f"{place}1", f"{place}2"):
            builder.hash(name, digest, digest[::-1])
    with builder.catalog.write() as unit:
        hidden = [resolve(unit.conn, name, MACHINE) for name in ("a1", "b1")]
        edit(unit, hidden, read_changes({"nsfw": "xxx"}))
    assert len(library.get("/api/v1/duplicates")["items"]) == 3
    told = capped("GET", "/api/v1/duplicates?limit=1").json()
    assert ([one["value"] for one in told["items"]], told["next_cursor"]) == (["c" * 64], None)


def test_problems_of_what_is_above_the_limit_are_left_out(
    library: Service, builder: Builder, capped: Callable[..., httpx.Response]
) -> None:
    builder.file(builder.root("/models"), "broken.safetensors", cause="truncated-data")
    builder.write()
    assert "broken" in capped("GET", "/api/v1/problems").text
    with builder.catalog.write() as unit:
        edit(unit, [resolve(unit.conn, "broken", MACHINE)], read_changes({"nsfw": "xxx"}))
    assert "broken" in library.ask("GET", "/api/v1/problems").text
    assert "broken" not in capped("GET", "/api/v1/problems").text


def test_what_came_of_jobs_is_told_to_who_is_told_of_everything(
    library: Service, builder: Builder, capped: Callable[..., httpx.Response]
) -> None:
    with builder.catalog.write() as unit:
        job = start_job(unit, "export", "all", "m:1:1")
        finish_job(unit, job, "done", result={"changes": [{"path": "other.json"}]})
    assert "other.json" in library.ask("GET", "/api/v1/jobs").text
    told = capped("GET", "/api/v1/jobs").json()["items"]
    assert [(one["state"], one["result"]) for one in told] == [("done", None)]


def test_of_what_a_reference_may_mean_only_some_is_told(
    library: Service, builder: Builder, capped: Callable[..., httpx.Response]
) -> None:
    root = builder.root("/models")
    for place in ("a", "b", "c"):
        builder.file(root, f"{place}/same.safetensors")
    builder.write()
    with builder.catalog.write() as unit:
        edit(unit, [resolve(unit.conn, "b/same.safetensors", MACHINE)], read_changes({"nsfw": "xxx"}))
    for rest in ("", "/curation", "/file", "/preview"):
        path = f"/api/v1/loras/same{rest}"
        assert len(library.ask("GET", path).json()["candidates"]) == 3
        told = capped("GET", path)
        assert told.status_code == 409
        assert [one["path"] for one in told.json()["candidates"]] == [
            "a/same.safetensors",
            "c/same.safetensors",
        ]


def test_who_is_limited_changes_no_level(library: Service, capped: Callable[..., httpx.Response]) -> None:
    plain = library.get("/api/v1/loras/plain")["lora"]["id"]
    noted = library.ask("PATCH", "/api/v1/loras/plain", json={"nsfw": "r"}).json()
    edits: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("PATCH", "/api/v1/loras/plain", {"nsfw": "pg"}),
        ("PATCH", "/api/v1/loras/plain", {"nsfw": None, "note": "x"}),
        ("POST", "/api/v1/loras/edit", {"ids": [plain], "changes": {"nsfw": "pg"}}),
        ("POST", "/api/v1/loras/edit", {"ids": [plain], "changes": {"nsfw": "pg"}, "dry_run": True}),
        ("POST", "/api/v1/loras/plain/undo", {}),
        ("POST", f"/api/v1/edits/{noted['batch']}/undo", {}),
    )
    for method, path, body in edits:
        refused = capped(method, path, json=body)
        assert (refused.status_code, "without such limits" in refused.text) == (403, True), refused.text
    assert library.get("/api/v1/loras/plain/curation")["fields"]["nsfw"]["value"] == 4
    assert capped("PATCH", "/api/v1/loras/plain", json={"note": "x"}).status_code == 200


def test_edits_of_many_leave_out_what_is_above_the_limit(
    library: Service, builder: Builder, capped: Callable[..., httpx.Response]
) -> None:
    wish = {"query": "name:*", "changes": {"note": "x"}}
    assert capped("POST", "/api/v1/loras/edit", json=wish).json()["changed"] == 1
    done = library.ask("POST", "/api/v1/loras/edit", json=wish).json()
    assert done["changed"] == 1
    assert capped("POST", f"/api/v1/edits/{done['batch']}/undo").status_code == 403
    assert library.ask("POST", f"/api/v1/edits/{done['batch']}/undo").status_code == 200


@pytest.mark.parametrize("sort", ["name", "size", "date", "added", "id"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_are_filled_with_what_is_told_and_lead_past_the_rest(
    builder: Builder, service: Service, sort: str, order: str
) -> None:
    root = builder.root("/models")
    names = [f"lora_{number:03d}" for number in range(30)]
    for name in names:
        builder.file(root, f"{name}.safetensors")
    builder.write()
    told = names[5:30:6]
    with builder.catalog.write() as unit:
        hidden = [resolve(unit.conn, name, MACHINE) for name in names if name not in told]
        edit(unit, hidden, read_changes({"nsfw": "xxx"}))
    headers = bearer(builder, nsfw_entries=8)
    seen: list[str] = []
    withheld = 0
    cursor: str | None = ""
    while cursor is not None:
        path = f"/api/v1/loras?sort={sort}&order={order}&limit=2{cursor and f'&cursor={cursor}'}"
        page = service.ask("GET", path, peer=REMOTE, headers=headers).json()
        seen += [one["name"] for one in page["items"]]
        withheld += page["withheld"]
        cursor = page["next_cursor"]
        if cursor is not None:
            assert len(page["items"]) == 2
            place = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
            assert not any(name in place for name in names if name not in told)
    assert seen == (told if order == "asc" else told[::-1])
    assert withheld == 25


def test_a_place_may_lie_behind_loras_that_nobody_names(builder: Builder, service: Service) -> None:
    root = builder.root("/models")
    for name in ("a", "hidden_b", "hidden_c", "z"):
        builder.file(root, f"{name}.safetensors")
    builder.write()
    with builder.catalog.write() as unit:
        hidden = [resolve(unit.conn, name, MACHINE) for name in ("hidden_b", "hidden_c")]
        edit(unit, hidden, read_changes({"nsfw": "xxx"}))
    headers = bearer(builder, nsfw_entries=8)
    for skip, first, withheld in ((0, "a", 0), (2, "z", 1), (3, "z", 0)):
        path = f"/api/v1/loras?cursor=.{skip}&limit=1"
        page = service.ask("GET", path, peer=REMOTE, headers=headers).json()
        assert ([one["name"] for one in page["items"]], page["withheld"]) == ([first], withheld)


@pytest.mark.parametrize("cursor", [".", ".x", ".-1", "x.1", "." + "9" * 19, "..1", ".\u0664"])
def test_what_is_no_place_is_refused(capped: Callable[..., httpx.Response], cursor: str) -> None:
    assert capped("GET", "/api/v1/loras", params={"cursor": cursor}).status_code == 400


def test_suggestions_tell_of_no_lora_where_some_are_hidden(
    library: Service, builder: Builder, capped: Callable[..., httpx.Response]
) -> None:
    with builder.catalog.write() as unit:
        lora_id = resolve(unit.conn, "other", MACHINE)
        edit(unit, [lora_id], read_changes({"tags": ["otherworld"], "note": "otherwise"}))
    library.catch_up()
    for typed in ("oth", "name:oth", "title:oth", "path:oth", "usertag:oth", "note:oth", "tag:oth"):
        told = capped("GET", "/api/v1/suggest", params={"q": typed}).json()["items"]
        assert not [one for one in told if "oth" in one["text"]], told
    assert library.get("/api/v1/suggest?q=usertag:oth")["items"]
    assert [one["text"] for one in capped("GET", "/api/v1/suggest?q=arch:sdx").json()["items"]]
    assert [one["text"] for one in capped("GET", "/api/v1/suggest?q=arc").json()["items"]] == ["arch:"]


def test_no_other_word_is_meant_where_some_loras_are_hidden(
    library: Service, capped: Callable[..., httpx.Response]
) -> None:
    assert library.get("/api/v1/search?q=othre")["did_you_mean"] is not None
    assert capped("GET", "/api/v1/search?q=othre").json()["did_you_mean"] is None


def test_what_other_work_came_to_names_nothing_that_is_hidden(library: Service, builder: Builder) -> None:
    with builder.catalog.write() as unit:
        secret = create_token(unit, "editor", "write", scope=TokenScope(nsfw_entries=8))
        job = start_job(unit, "sync", "civitai", "m1:1:x")
        finish_job(unit, job, "failed", error="other.safetensors failed")
    capped = {"authorization": f"Bearer {secret}"}
    told = library.ask("GET", "/api/v1/sync", peer=REMOTE, headers=capped).json()
    assert [(one["state"], one["error"]) for one in told["runs"]] == [("failed", None)]
    wish = {"query": "", "to": ["a1111"], "dry_run": True}
    assert library.ask("POST", "/api/v1/export", peer=REMOTE, headers=capped, json=wish).status_code == 403
