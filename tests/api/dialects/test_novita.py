"""The v2 and v3 routes of Novita over a catalog, as its clients ask them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.api.dialects.novita_v3 import MOST_LOOKED_AT
from tests.support.civitai_answers import file_answer, image_answer, model_answer, version_answer
from tests.support.civitai_known import learn, lose
from tests.support.pictures import plain
from tests.support.serving import REMOTE
from tests.support.telling import bearer, token

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Start = Callable[..., Service]

INK, HAT = "1" * 64, "2" * 64
SAFE, BARE = "https://image.civitai.com/a/width=450/1.jpeg", "https://image.civitai.com/a/width=450/2.jpeg"
ONE = "/v2/model/civitai_version_id/70"


@pytest.fixture
def filled(builder: Builder) -> Builder:
    """A catalog of three loras and a checkpoint: of one of them Civitai knows two versions."""
    root = builder.root("/models/lora", label="main")
    for name in ("ink", "hat", "own"):
        builder.file(root, f"{name}.safetensors")
    builder.write()
    builder.hash("ink", INK, "a" * 64)
    builder.hash("hat", HAT, "b" * 64)
    images = [
        image_answer(SAFE, meta={"prompt": "a heron", "steps": 20}),
        image_answer(BARE, nsfwLevel=16, meta={"prompt": "a secret"}),
    ]
    learn(
        builder.catalog,
        model_answer(
            7,
            [
                version_answer(
                    70, [file_answer(INK)], images=images, nsfwLevel=17, trainedWords=["ink wash", "ink"]
                ),
                version_answer(71, [file_answer("9" * 64)]),
            ],
            name="Ink wash",
            tags=["style", "ink"],
            nsfw=True,
        ),
    )
    return builder


def data(service: Service, path: str, **headers: str) -> Any:
    answer = service.get(path, **headers)
    assert (answer["code"], answer["msg"]) == (0, "")
    return answer["data"]


def page(service: Service, query: str = "") -> tuple[list[str], str]:
    answer = service.get(f"/v3/model?{query}")
    return [one["sd_name"] for one in answer["models"]], answer["pagination"]["next_cursor"]


def test_a_version_is_told_as_novita_does(service: Service, filled: Builder) -> None:
    model = data(service, ONE)["model"]
    told = ("name", "type", "sd_name", "civitai_model_id", "civitai_version_id", "civitai_tags")
    assert [model[name] for name in told] == ["Ink wash", "lora", "ink.safetensors", 7, 70, "style,ink"]
    assert model["hash"] == "1" * 10
    assert model["civitai_trained_words"] == "ink wash,ink"
    assert model["civitai_download_url"] == "https://civitai.com/api/download/models/70"


def test_images_above_the_limit_are_sent_neither_with_address_nor_with_prompt(
    service: Service, filled: Builder
) -> None:
    text = service.ask("GET", ONE).text
    assert SAFE in text
    assert BARE not in text
    assert "a secret" not in text
    assert "a secret" in service.ask("GET", f"{ONE}?nsfw=xxx").text
    kiosk = bearer(token(service, nsfw_pictures=1))
    assert "a secret" not in service.ask("GET", f"{ONE}?nsfw=xxx", headers=kiosk).text


def test_what_is_gone_at_civitai_is_had_from_here_by_a_link_without_token(
    start: Start, filled: Builder
) -> None:
    service = start(require_token=True)
    lose(filled.catalog, 70)
    secret = token(service)
    url = data(service, ONE, Authorization=secret)["model"]["civitai_download_url"]
    assert "/api/v1/loras/hash:" in url
    path = url.removeprefix("http://127.0.0.1:8567")
    # The link is taken; there is no such folder behind this catalog.
    assert service.ask("GET", path).status_code not in {401, 403}
    assert service.ask("GET", path.partition("?")[0]).status_code == 401


@pytest.mark.parametrize(
    ("number", "code"), [("71", 404), ("99", 404), ("0", 400), ("x", 400), ("9" * 30, 400), ("-3", 400)]
)
def test_an_id_of_nothing_here_is_a_code_in_the_envelope(
    service: Service, filled: Builder, number: str, code: int
) -> None:
    answer = service.ask("GET", f"/v2/model/civitai_version_id/{number}")
    assert answer.status_code == 200
    assert (answer.json()["code"], answer.json()["data"]) == (code, {})
    assert answer.json()["msg"]


def test_keys_are_taken_as_they_stand_and_refusals_have_the_envelope(
    service: Service, filled: Builder
) -> None:
    secret = token(service)
    for value in (secret, f"Bearer {secret}"):
        answer = service.ask("GET", ONE, peer=REMOTE, headers={"Authorization": value})
        assert answer.json()["code"] == 0
    assert service.ask("GET", f"/k/{secret}{ONE}", peer=REMOTE).json()["code"] == 0
    for headers in ({}, {"Authorization": "wrong"}):
        refused = service.ask("GET", ONE, peer=REMOTE, headers=headers)
        assert (refused.status_code, refused.json()["code"], refused.json()["data"]) == (401, 401, {})
        refused = service.ask("GET", "/v3/model", peer=REMOTE, headers=headers)
        assert (refused.status_code, refused.json()["reason"]) == (401, "INVALID_API_KEY")


def test_the_list_of_v2_has_each_lora_once_and_can_be_revalidated(service: Service, filled: Builder) -> None:
    filled.file(1, "copy of hat.safetensors")
    filled.write()
    filled.hash("copy of hat", HAT, "b" * 64)
    answer = service.ask("GET", "/v2/models")
    names = [model["sd_name"] for model in answer.json()["data"]["models"]]
    assert sorted(names) == ["copy of hat.safetensors", "ink.safetensors", "own.safetensors"]
    tag = answer.headers["etag"]
    assert service.ask("GET", "/v2/models", headers={"If-None-Match": tag}).status_code == 304
    assert service.ask("GET", "/v2/models?nsfw=x", headers={"If-None-Match": tag}).status_code == 200
    assert data(service, "/v2/models?type=checkpoint") == {"models": []}
    assert data(service, "/v2/models?type=upscaler") == {"models": []}
    assert len(data(service, "/v2/models?type=lora")["models"]) == 3
    assert service.get("/v2/models?type=hypernetwork")["code"] == 400


def test_a_list_whose_links_end_is_not_revalidated_when_they_do(service: Service, filled: Builder) -> None:
    now = [1_800_000_000_000]
    filled.catalog.clock = lambda: now[0]
    tag = service.ask("GET", "/v2/models").headers["etag"]
    now[0] += 60_000
    assert service.ask("GET", "/v2/models", headers={"If-None-Match": tag}).status_code == 304
    now[0] += 3_600_000
    assert service.ask("GET", "/v2/models", headers={"If-None-Match": tag}).status_code == 200


def test_an_empty_list_of_v2_is_one(service: Service) -> None:
    assert data(service, "/v2/models") == {"models": []}


def test_pages_of_v3_follow_each_other_to_the_end(service: Service, filled: Builder) -> None:
    first, cursor = page(service, "pagination.limit=2")
    second, end = page(service, f"pagination.limit=2&pagination.cursor={cursor}")
    assert (first, second) == (["ink.safetensors", "hat.safetensors"], ["own.safetensors"])
    assert (cursor, end) == ("c_2", "")
    assert page(service, "pagination.cursor=c_999999999") == ([], "")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("filter.source=civitai", ["ink"]),
        ("filter.visibility=private", ["hat", "own"]),
        ("filter.visibility=public&filter.source=uploading", []),
        ("filter.source=training", []),
        ("filter.types=lora,vae", ["ink", "hat", "own"]),
        ("filter.types=upscaler", []),
        ("filter.tags=INK,style", ["ink"]),
        ("filter.tags=style,other", []),
        ("filter.query=ha", ["hat"]),
        ("filter.query=sty", ["ink"]),
        ("filter.query=!!!", []),
        (f"filter.query={'%22' * 500}", []),
        (f"filter.query={'ink ' * 120}", []),
        ("filter.query=hat)%20OR%20name:ink", []),
        ("filter.is_nsfw=true", ["ink"]),
        ("filter.is_nsfw=false", ["hat", "own"]),
        ("filter.is_inpainting=true", []),
        ("filter.is_sdxl=true", []),
        ("filter.is_sdxl=false&pagination.limit=1", ["ink"]),
    ],
)
def test_v3_is_narrowed(service: Service, filled: Builder, query: str, names: list[str]) -> None:
    service.catch_up()
    found, _ = page(service, query)
    assert [name.removesuffix(".safetensors") for name in found] == names


def test_filters_cost_no_model_of_a_page(service: Service, filled: Builder) -> None:
    found, cursor = page(service, "filter.source=uploading&pagination.limit=1")
    assert (found, cursor) == (["hat.safetensors"], "c_2")
    assert page(service, f"filter.source=uploading&pagination.limit=1&pagination.cursor={cursor}") == (
        ["own.safetensors"],
        "",
    )


def test_a_filter_that_few_fit_is_looked_for_bit_by_bit(service: Service, builder: Builder) -> None:
    root = builder.root("/models/lora")
    for number in range(MOST_LOOKED_AT):
        builder.file(root, f"{number}.safetensors", {"ss_network_module": "networks.lora"})
    builder.file(root, "last inpainting.safetensors", {"modelspec.architecture": "x"})
    builder.write()
    builder.hash("last inpainting", INK, "a" * 64)
    version = version_answer(70, [file_answer(INK)], baseModel="SDXL Inpainting")
    learn(builder.catalog, model_answer(7, [version]))
    found, cursor = page(service, "filter.is_inpainting=true")
    assert (found, cursor) == ([], f"c_{MOST_LOOKED_AT}")
    found, cursor = page(service, f"filter.is_inpainting=true&pagination.cursor={cursor}")
    assert (found, cursor) == (["last inpainting.safetensors"], "")


def test_a_model_of_v3_leads_to_its_file_and_picture_here(start: Start, filled: Builder) -> None:
    service = start(require_token=True)
    writer = bearer(token(service, "writer", "write"))
    given = service.ask("PUT", "/api/v1/loras/own/pictures", content=plain(), headers=writer)
    assert given.status_code == 201
    models = service.get("/v3/model", **writer)["models"]
    covers = {model["sd_name"]: model["cover_url"] for model in models}
    # Fetched without any token.
    picture = service.ask("GET", covers["own.safetensors"].removeprefix("http://127.0.0.1:8567"))
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/webp")
    assert (covers["ink.safetensors"], covers["hat.safetensors"]) == (SAFE, "")
    assert all(3600 <= model["download_url_ttl"] <= 7200 for model in models)
    assert [model["hash_sha256"] for model in models] == [INK, HAT, ""]


@pytest.mark.parametrize(
    "query", ["pagination.limit=0", "pagination.limit=101", "pagination.cursor=x", "filter.is_nsfw=perhaps"]
)
def test_a_parameter_of_v3_that_cannot_be_is_said_in_its_words(service: Service, query: str) -> None:
    answer = service.ask("GET", f"/v3/model?{query}")
    assert answer.status_code == 400
    assert list(answer.json()) == ["code", "reason", "message", "metadata"]
    assert answer.json()["reason"] == "INVALID_REQUEST_BODY"


def test_a_version_is_asked_of_civitai_by_those_who_may_write(service: Service) -> None:
    for role, status, code in (("read", 403, 403), ("write", 200, 0)):
        headers = bearer(token(service, role, role))
        answer = service.ask("POST", f"{ONE}/sync", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["data"] == {"job": 10}
    assert service.actions.asked == [("sync version", 70, "write")]
    service.actions.busy = True
    busy = service.ask("POST", f"{ONE}/sync")
    assert (busy.status_code, busy.json()["code"]) == (200, 409)
    assert service.ask("POST", "/v2/model/civitai_version_id/x/sync").json()["code"] == 400


def test_a_version_that_a_sidecar_or_the_user_names_is_found_too(service: Service, filled: Builder) -> None:
    edited = service.ask("PATCH", "/api/v1/loras/hat", json={"civitai": {"version": 71}})
    assert edited.status_code == 200, edited.text
    assert service.get("/v2/model/civitai_version_id/71")["code"] == 404
    service.catch_up()
    assert data(service, "/v2/model/civitai_version_id/71")["model"]["sd_name"] == "hat.safetensors"


def test_files_of_other_roots_and_above_the_level_are_told_to_nobody(start: Start, filled: Builder) -> None:
    other = filled.root("/models/more", label="more")
    filled.file(other, "far.safetensors")
    filled.write()
    service = start(tools={"nova": {"dialect": "novita", "roots": ["more"]}})
    assert page(service) == (["ink.safetensors", "hat.safetensors", "own.safetensors", "far.safetensors"], "")
    assert service.get(f"/t/nova{ONE}")["code"] == 404
    models = service.get("/t/nova/v3/model")["models"]
    assert [model["sd_name"] for model in models] == ["far.safetensors"]
    assert "/t/nova/api/v1/loras/" in models[0]["download_url"]
    service.catch_up()
    limited = bearer(token(service, nsfw_entries=1))
    hidden = service.ask("GET", ONE, headers=limited)
    assert hidden.json()["code"] == 404
    answer = service.ask("GET", "/v3/model", headers=limited)
    assert "ink.safetensors" not in answer.text
    assert answer.headers["x-loras-withheld"] == "1"
    # What the index does not know yet is withheld too.
    assert service.ask("PATCH", "/api/v1/loras/own", json={"nsfw": "x"}).status_code == 200
    for path in ("/v3/model", "/v2/models"):
        answer = service.ask("GET", path, headers=limited)
        assert "hat.safetensors" in answer.text
        assert "own.safetensors" not in answer.text
