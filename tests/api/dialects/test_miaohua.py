"""The lists of Miaohua over a catalog, asked with the token in the body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.civitai_answers import file_answer, image_answer, model_answer, version_answer
from tests.support.civitai_known import learn
from tests.support.pictures import plain
from tests.support.serving import REMOTE
from tests.support.telling import token

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Start = Callable[..., Service]

PATHS = ("/api/v1b/models/lora", "/api/v1b/models/base", "/api/v1b/models/private")
LORA, BASE, PRIVATE = PATHS
LOGIN = "/api/v1b/get_token"
WRONG = "of nobody"
SAFE, BARE = "https://image.civitai.com/a/width=450/1.jpeg", "https://image.civitai.com/a/width=450/2.jpeg"


@pytest.fixture
def filled(builder: Builder) -> Builder:
    """A catalog of three LoRAs, of one of which Civitai knows, and a checkpoint."""
    root = builder.root("/models/lora", label="main")
    for name in ("ink", "hat", "own", "base"):
        builder.file(root, f"{name}.safetensors")
    builder.write()
    builder.hash("ink", "1" * 64, "a" * 64)
    images = [image_answer(BARE, nsfwLevel=16), image_answer(SAFE)]
    version = version_answer(70, [file_answer("1" * 64)], images=images, nsfwLevel=17)
    learn(builder.catalog, model_answer(7, [version], name="墨水", tags=["水墨"], creator="Konan"))
    return builder


@pytest.fixture
def opened(start: Start, filled: Builder) -> Service:
    """A server at which nobody may do anything without a token."""
    service = start(require_token=True)
    answer = service.ask(
        "PATCH",
        "/api/v1/loras/base",
        json={"kind": "checkpoint"},
        headers={"Authorization": f"Bearer {token(service, 'writer', 'write')}"},
    )
    assert answer.status_code == 200, answer.text
    service.catch_up()
    return service


def post(service: Service, path: str, **body: Any) -> httpx.Response:
    return service.ask("POST", path, peer=REMOTE, json=body)


def names(service: Service, path: str, **body: Any) -> list[str]:
    answer = post(service, path, **body).json()
    assert (answer["code"], answer["msg"]) == (0, "")
    return [model["model_name"] for model in answer["info"]["models"]]


def refusal(answer: httpx.Response) -> int:
    """Return the code of a failure in its envelope."""
    body = answer.json()
    assert answer.status_code == 200
    assert body["code"] != 0
    assert (list(body), body["info"]) == (["code", "info", "msg"], "")
    assert body["msg"]
    code: int = body["code"]
    return code


def test_a_token_is_its_own_password(opened: Service) -> None:
    secret = token(opened)
    answer = post(opened, LOGIN, email="me@example.com", password=secret)
    assert answer.json() == {"token": secret}
    assert answer.headers["cache-control"] == "no-store"
    assert refusal(post(opened, LOGIN, email="me@example.com", password=WRONG)) == 401
    assert refusal(post(opened, LOGIN, email="me@example.com")) == 400


def test_the_lists_need_a_token_that_is_known_in_the_body(opened: Service) -> None:
    for path in PATHS:
        assert refusal(post(opened, path)) == 401
        assert refusal(post(opened, path, token="")) == 401
        assert refusal(opened.ask("POST", path, peer=REMOTE)) == 401
        assert refusal(opened.ask("POST", path, peer=REMOTE, json=[])) == 401
    assert refusal(post(opened, LORA, token=WRONG)) == 401
    assert names(opened, LORA, token=token(opened))


@pytest.mark.parametrize("header", ["Authorization", "address"])
def test_who_is_known_by_other_ways_needs_no_token_in_the_body(opened: Service, header: str) -> None:
    secret = token(opened)
    headers = {"Authorization": f"Bearer {secret}"} if header == "Authorization" else {}
    path = LORA if headers else f"/k/{secret}{LORA}"
    assert opened.ask("POST", path, peer=REMOTE, json={}, headers=headers).json()["code"] == 0
    assert refusal(opened.ask("POST", LORA, peer=REMOTE, json={}, headers={"Authorization": "no"})) == 401


def test_who_guesses_is_slowed_and_who_knows_is_served(start: Start, filled: Builder) -> None:
    service = start(require_token=True)
    codes = [post(service, LORA, token=f"wrong{number}").status_code for number in range(6)]
    assert codes == [200] * 4 + [429] * 2
    assert post(service, LOGIN, password=WRONG).status_code == 429
    assert post(service, LORA, token=token(service)).json()["code"] == 0


def test_a_token_that_is_wrong_is_refused_on_this_machine_too(service: Service, filled: Builder) -> None:
    assert service.ask("POST", LORA, json={}).json()["code"] == 0
    assert refusal(service.ask("POST", LORA, json={"token": "wrong"})) == 401


def test_a_token_in_the_body_opens_nothing_else(opened: Service) -> None:
    secret = token(opened, "all", "admin")
    for path in ("/api/v1/scan", "/api/v1b/models/other", "/sdapi/v1/refresh-loras"):
        assert post(opened, path, token=secret).status_code == 401
    assert opened.ask("GET", LORA, peer=REMOTE).status_code == 405


def test_each_list_holds_its_kinds(opened: Service) -> None:
    secret = token(opened)
    assert names(opened, LORA, token=secret) == ["墨水", "hat", "own"]
    assert names(opened, BASE, token=secret) == ["base"]
    assert names(opened, PRIVATE, token=secret) == ["hat", "own", "base"]


def test_a_model_has_what_is_shown_of_it(opened: Service) -> None:
    model = post(opened, LORA, token=token(opened)).json()["info"]["models"][0]
    assert (model["author"], model["base_model"], model["tag"]) == ("Konan", "SDXL 1.0", "LORA")
    assert model["description"] == "What it is for."
    assert model["versionid"] == str(model["model_id"])
    assert (
        opened.ask(
            "GET", f"/api/v1/loras/{model['model_id']}", headers={"Authorization": token(opened, "other")}
        ).json()["lora"]["name"]
        == "ink"
    )


def test_pages_follow_each_other(opened: Service) -> None:
    asked = {"token": token(opened), "per_page": 2}
    pages = [post(opened, LORA, **asked, page=page).json()["info"] for page in (1, 2, 3)]
    assert [[model["model_name"] for model in page["models"]] for page in pages] == [
        ["墨水", "hat"],
        ["own"],
        [],
    ]
    assert [page["has_next"] for page in pages] == [True, False, False]
    assert [(page["page"], page["per_page"]) for page in pages] == [(1, 2), (2, 2), (3, 2)]


@pytest.mark.parametrize(
    ("query", "found"), [("墨水", ["墨水"]), ("水墨", ["墨水"]), ("HA", ["hat"]), ("???", []), ("nobody", [])]
)
def test_a_query_is_looked_for_in_names_and_tags(opened: Service, query: str, found: list[str]) -> None:
    assert names(opened, LORA, token=token(opened), query=query) == found


@pytest.mark.parametrize(
    "body", [{"page": 0}, {"per_page": 1001}, {"page": "x"}, {"query": 5}, {"token": 5}, {"query": "x" * 600}]
)
def test_what_cannot_be_is_a_400_in_the_envelope(opened: Service, body: dict[str, Any]) -> None:
    assert refusal(post(opened, LORA, **{"token": token(opened), **body})) == 400


def test_what_is_no_json_is_a_400_in_the_envelope(opened: Service) -> None:
    assert refusal(opened.ask("POST", LORA, peer=REMOTE, content=b"{")) == 400


def test_no_picture_above_the_limit_is_named(opened: Service) -> None:
    answer = post(opened, LORA, token=token(opened))
    assert BARE not in answer.text
    assert answer.json()["info"]["models"][0]["demo_picture"] == SAFE
    raised = opened.ask("POST", f"{LORA}?nsfw=xxx", peer=REMOTE, json={"token": token(opened, "other")})
    assert raised.json()["info"]["models"][0]["demo_picture"] == BARE


def test_the_limits_of_the_token_in_the_body_hold(opened: Service) -> None:
    secret = token(opened, nsfw_pictures=1, nsfw_entries=1)
    answer = opened.ask("POST", f"{LORA}?nsfw=xxx", peer=REMOTE, json={"token": secret})
    assert "墨水" not in answer.text
    assert BARE not in answer.text
    assert answer.headers["x-loras-withheld"] == "1"


def test_a_picture_of_here_is_fetched_without_any_token(opened: Service) -> None:
    writer = {"Authorization": f"Bearer {token(opened, 'painter', 'write')}"}
    for size, (name, level) in enumerate([("hat", "pg"), ("own", "x")], 40):
        picture = plain(size=(size, size))
        given = opened.ask("PUT", f"/api/v1/loras/{name}/pictures", content=picture, headers=writer)
        assert given.status_code == 201
        opened.ask("PATCH", f"/api/v1/loras/{name}", json={"nsfw": level}, headers=writer)
    answer = opened.ask("POST", f"{LORA}?nsfw=xxx", json={"token": token(opened)})
    urls = [model["demo_picture"] for model in answer.json()["info"]["models"]]
    for url in urls[1:]:
        assert opened.ask("GET", url.removeprefix("http://127.0.0.1:8567"), peer=REMOTE).status_code == 200
    unasked = post(opened, LORA, token=token(opened, "other")).json()["info"]["models"]
    assert [bool(model["demo_picture"]) for model in unasked[1:]] == [True, False]
