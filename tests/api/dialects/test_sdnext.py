"""The single LoRA of SD.Next over a catalog, as its clients ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from registry.formats.nsfw import X
from tests.support.serving import REMOTE
from tests.support.telling import bearer, token
from tests.support.tool_library import INK, ODD, fill, note, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Start = Callable[..., Service]


@pytest.fixture
def service(builder: Builder, start: Start) -> Service:
    fill(builder)
    return opened(start, dialect="sdnext")


def ask(service: Service, name: str, before: str = "") -> Any:
    return service.ask("GET", f"{before}/sdapi/v1/lora?lora={quote(name, safe='')}")


def test_all_is_told_about_a_lora(service: Service, builder: Builder) -> None:
    builder.hash("ink", "a" * 64, "b" * 64)
    found = ask(service, "ink").json()
    assert found["filename"] == "/srv/loras/style/ink.safetensors"
    assert (found["name"], found["fullname"], found["alias"]) == ("ink", "style/ink", INK["ss_output_name"])
    assert (found["hash"], found["shorthash"], found["sd_version"]) == ("a" * 64, "a" * 8, "sd1")
    assert found["metadata"]["ss_bucket_info"] == {"buckets": {}}
    assert found["metadata"]["ss_learning_rate"] == INK["ss_learning_rate"]


def test_dots_in_names_are_underscores(service: Service, builder: Builder) -> None:
    for path in ("_x.y_z.safetensors", "_.safetensors", "Ünder.Ⅳ_x.safetensors"):
        builder.file(1, path)
    builder.write()
    for name, path in (
        ("a_v1", "a.v1.safetensors"),
        ("_x_y_z", "_x.y_z.safetensors"),
        ("_", "_.safetensors"),
        ("Ünder_Ⅳ_x", "Ünder.Ⅳ_x.safetensors"),
    ):
        assert ask(service, name).json()["filename"] == f"/srv/loras/{path}"
    assert ask(service, "a.v1").status_code == 404


def test_of_several_with_one_name_the_last_of_the_list_is_meant(service: Service) -> None:
    assert ask(service, "hat2").json()["filename"] == "/mnt/more/hat2.safetensors"
    assert ask(service, "pen").json()["metadata"] == {}
    name = ODD.removeprefix("style/").removesuffix(".safetensors")
    assert ask(service, name).json()["filename"] == f"/srv/loras/{ODD}"


def test_paths_are_those_of_the_tool(service: Service) -> None:
    found = ask(service, "ink", "/t/win").json()
    assert (found["filename"], found["fullname"]) == (
        "D:\\ai\\models\\Lora\\style\\ink.safetensors",
        "style\\ink",
    )
    assert ask(service, "ink", "/t/alone").status_code == 404


def test_above_the_level_that_is_sent_metadata_have_no_picture_and_no_prompt(
    service: Service, builder: Builder
) -> None:
    whole = ask(service, "ink").json()["metadata"]
    note(builder, "ink", nsfw=X)
    shown = ask(service, "ink").json()["metadata"]
    assert whole.keys() - shown.keys() == {"ssmd_cover_images", "prompt"}
    raised = service.get("/sdapi/v1/lora?lora=ink&nsfw=x")
    assert raised["metadata"] == whole


def test_what_is_not_there_or_not_asked_is_told_in_their_words(service: Service) -> None:
    for name in ("nobody", "gone", "away", "x" * 5000, "\x00"):
        answer = ask(service, name)
        assert (answer.status_code, list(answer.json())) == (404, ["detail"])
    for path in ("/sdapi/v1/lora", "/sdapi/v1/lora?lora="):
        assert service.ask("GET", path).status_code == 422
    refused = service.ask("GET", "/sdapi/v1/lora?lora=ink", peer=REMOTE)
    assert (refused.status_code, list(refused.json())) == (401, ["detail"])
    # The list beside it is of A1111, and so are its errors.
    assert set(service.ask("GET", "/sdapi/v1/loras", peer=REMOTE).json()) == {
        "error", "detail", "body", "errors",
    }  # fmt: skip


def test_an_answer_is_not_sent_again_until_something_changes(service: Service, builder: Builder) -> None:
    first = ask(service, "ink")
    same = {"if-none-match": first.headers["etag"]}
    assert service.ask("GET", "/sdapi/v1/lora?lora=ink", headers=same).status_code == 304
    builder.hash("ink", "a" * 64, "b" * 64)
    assert service.ask("GET", "/sdapi/v1/lora?lora=ink", headers=same).status_code == 200


def test_every_way_to_sign_in_works_on_a_real_port(builder: Builder, start: Start) -> None:
    fill(builder)
    service = start(require_token=True)
    secret = token(service)
    path = "/sdapi/v1/lora?lora=ink"
    with service.listening() as url, httpx.Client(timeout=30) as client:
        for answer in (
            client.get(url + path, headers=bearer(secret)),
            client.get(url + path, auth=("any one", secret)),
            client.get(f"{url}/k/{secret}{path}"),
        ):
            assert answer.json()["name"] == "ink"
