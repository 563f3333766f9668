"""The model records of InvokeAI over a catalog, as its clients ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from registry.formats.nsfw import X
from tests.support.serving import REMOTE
from tests.support.telling import bearer, token
from tests.support.tool_library import MAIN, MORE, fill, give_picture, note, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Start = Callable[..., Service]

LIST = "/api/v2/models/"
COUNT = len(MAIN) + len(MORE) + 1


@pytest.fixture
def service(builder: Builder, start: Start) -> Service:
    fill(builder)
    return opened(start, dialect="invokeai")


def models(service: Service, query: str = "", before: str = "") -> list[dict[str, Any]]:
    answer = service.get(f"{before}{LIST}{query}")
    assert list(answer) == ["models"]
    return list(answer["models"])


def one(service: Service, name: str = "ink") -> dict[str, Any]:
    (found,) = models(service, f"?model_name={name}")
    return found


def test_the_list_has_every_file_and_each_is_found_by_its_key(service: Service) -> None:
    found = models(service)
    assert len(found) == COUNT
    assert [each["name"] for each in found] == sorted((each["name"] for each in found), key=str.lower)
    for each in found:
        assert service.get(f"{LIST}i/{each['key']}") == each
    assert {each["path"] for each in found} >= {
        "/srv/loras/style/ink.safetensors",
        "/mnt/more/hat2.safetensors",
    }


def test_what_is_told_of_a_file_is_there(service: Service, builder: Builder) -> None:
    note(builder, "ink", triggers=(("ink wash", "ink"),), weight=0.8)
    found = one(service)
    assert found["trigger_phrases"] == ["ink wash, ink"]
    assert found["default_settings"] == {"weight": 0.8, "weight_min": None, "weight_max": None}
    assert (found["base"], found["type"], found["format"]) == ("sd-1", "lora", "lycoris")
    assert (found["hash"], found["cover_image"]) == ("", None)


def test_the_list_is_narrowed_and_sorted_as_asked(service: Service, builder: Builder) -> None:
    note(builder, "cap", architecture="flux1")
    assert [each["name"] for each in models(service, "?base_models=flux")] == ["cap"]
    both = models(service, "?base_models=flux&base_models=sd-1&model_type=lora")
    assert [each["base"] for each in both] == ["flux"] + ["sd-1"] * (len(both) - 1)
    assert models(service, "?model_type=vae") == models(service, "?model_format=omi") == []
    sizes = [each["file_size"] for each in models(service, "?order_by=size&direction=DESC")]
    assert sizes == sorted(sizes, reverse=True)
    paths = [each["path"].lower() for each in models(service, "?order_by=path")]
    assert paths == sorted(paths)


def test_a_file_is_found_by_its_hashes(service: Service, builder: Builder) -> None:
    builder.hash("ink", "a" * 64, "b" * 64)
    path = "/api/v2/models/get_by_hash?hash="
    found = service.get(f"{path}sha256:{'A' * 64}")
    assert found["name"] == "ink"
    for digits in ("b" * 64, "blake3:" + "a" * 64, "ink", "a" * 8):
        answer = service.ask("GET", path + digits)
        assert (answer.status_code, list(answer.json())) == (404, ["detail"])
    assert service.ask("GET", f"/t/alone{path}sha256:{'a' * 64}").status_code == 404


def test_a_file_is_found_by_its_name_type_and_base(service: Service) -> None:
    path = "/api/v2/models/get_by_attrs?type=lora&base=sd-1&name="
    assert service.get(f"{path}hat2")["path"] == "/srv/loras/hat2.safetensors"
    assert service.get(f"/t/alone{path}hat2")["path"] == "/mnt/more/hat2.safetensors"
    assert service.get(f"{path}a.v1")["name"] == "a.v1"
    for name in ("HAT2", "gone", "away", "hat2.safetensors", "%00"):
        assert service.ask("GET", path + name).status_code == 404


def test_paths_are_those_of_the_tool(service: Service) -> None:
    found = {each["path"] for each in models(service, before="/t/win")}
    assert found >= {"D:\\ai\\models\\Lora\\style\\ink.safetensors", "\\\\nas\\loras\\flux\\cap.safetensors"}
    assert len(models(service, before="/t/alone")) == len(MORE)
    key = one(service)["key"]
    assert service.ask("GET", f"/t/alone{LIST}i/{key}").status_code == 404


def test_a_picture_is_sent_up_to_its_level_and_told_of_no_further(service: Service) -> None:
    give_picture(service, "ink", X)
    found = one(service)
    image = f"{LIST}i/{found['key']}/image"
    assert found["cover_image"] is None
    refused = service.ask("GET", image)
    assert (refused.status_code, list(refused.json())) == (404, ["detail"])
    (raised,) = models(service, "?model_name=ink&nsfw=x")
    assert "/" + raised["cover_image"] == image
    answer = service.ask("GET", f"{image}?nsfw=x")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{LIST}i/00000000-0000-0000-0000-00000000ffff", 404),
        (f"{LIST}i/7", 404),
        (f"{LIST}i/7/image", 404),
        (f"{LIST}?order_by=colour", 422),
        (f"{LIST}?direction=up", 422),
        ("/api/v2/models/get_by_hash", 422),
        ("/api/v2/models/get_by_attrs?name=ink", 422),
    ],
)
def test_what_is_not_there_or_wrong_is_told_in_their_words(service: Service, path: str, status: int) -> None:
    answer = service.ask("GET", path)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    assert answer.headers["content-type"] == "application/json"


def test_who_may_not_look_is_told_in_their_words(service: Service) -> None:
    refused = service.ask("GET", LIST, peer=REMOTE)
    assert (refused.status_code, list(refused.json())) == (401, ["detail"])
    assert "www-authenticate" in refused.headers


def test_a_list_is_not_sent_again_until_something_changes(service: Service, builder: Builder) -> None:
    first = service.ask("GET", LIST)
    same = {"if-none-match": first.headers["etag"]}
    assert service.ask("GET", LIST, headers=same).status_code == 304
    assert service.ask("GET", f"/t/win{LIST}", headers=same).status_code == 200
    note(builder, "ink", weight=0.5)
    assert service.ask("GET", LIST, headers=same).json() != first.json()


def test_a_long_list_comes_whole_in_every_coding(service: Service, builder: Builder) -> None:
    for number in range(1200):
        builder.file(1, f"many/{number:04}.safetensors", {"ss_output_name": "x"})
    builder.write()
    answers = [
        service.ask("GET", LIST, headers={"accept-encoding": coding})
        for coding in ("identity", "gzip", "zstd")
    ]
    assert [answer.headers.get("content-encoding") for answer in answers] == [None, "gzip", "zstd"]
    first, *others = (answer.json()["models"] for answer in answers)
    assert all(other == first for other in others)
    assert [each["name"] for each in first if each["name"].isdecimal()] == [f"{n:04}" for n in range(1200)]


def test_every_way_to_sign_in_works_on_a_real_port(builder: Builder, start: Start) -> None:
    fill(builder)
    service = start(require_token=True)
    secret = token(service)
    with service.listening() as url, httpx.Client(timeout=30) as client:
        for answer in (
            client.get(url + LIST, headers=bearer(secret)),
            client.get(url + LIST, auth=("any one", secret)),
            client.get(f"{url}/k/{secret}{LIST}"),
        ):
            assert len(answer.json()["models"]) == COUNT
