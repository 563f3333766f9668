"""The model routes of ComfyUI over a catalog, as its clients ask them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from registry.formats.nsfw import PG, X
from tests.support.pictures import opened as image_of
from tests.support.serving import REMOTE
from tests.support.telling import bearer, token
from tests.support.tool_library import INK, MAIN, MORE, ODD, fill, give_picture, note, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Start = Callable[..., Service]

NAMES = sorted({*MAIN, *MORE, "style/ink.safetensors"})


@pytest.fixture
def service(builder: Builder, start: Start) -> Service:
    fill(builder)
    return opened(start, dialect="comfyui")


def metadata(service: Service, name: str, before: str = "") -> Any:
    return service.ask("GET", f"{before}/view_metadata/loras?filename={quote(name, safe='')}")


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_every_route_is_there_under_api_too(service: Service, prefix: str) -> None:
    assert service.get(f"{prefix}/models") == ["loras"]
    assert service.get(f"{prefix}/models/loras") == NAMES
    assert (
        service.get(f"{prefix}/object_info/LoraLoader")["LoraLoader"]["input"]["required"]["lora_name"][0]
        == NAMES
    )
    assert service.get(f"{prefix}/object_info/KSampler") == {}
    assert service.get(f"{prefix}/experiment/models") == [
        {"name": "loras", "folders": ["/srv/loras", "/mnt/more"]}
    ]
    assert len(service.get(f"{prefix}/experiment/models/loras")) == len(MAIN) + len(MORE) + 1
    assert metadata(service, "style/ink.safetensors", prefix).json() == INK
    give_picture(service, "ink")
    assert service.ask("GET", f"{prefix}/experiment/models/preview/loras/0/style/ink").status_code == 200


def test_the_detailed_list_tells_of_each_file_of_each_root(service: Service) -> None:
    rows = service.get("/experiment/models/loras")
    assert [(row["name"], row["pathIndex"]) for row in rows if "hat2" in row["name"]] == [
        ("hat2.safetensors", 0),
        ("hat2.safetensors", 1),
    ]
    assert all(row["size"] > 4096 and 1_700_000_000 <= row["modified"] < row["created"] for row in rows)


def test_a_tool_on_windows_gets_its_separator_and_may_use_it(service: Service) -> None:
    assert service.get("/t/win/models/loras") == sorted(name.replace("/", "\\") for name in NAMES)
    assert metadata(service, "style\\ink.safetensors", "/t/win").json() == INK
    assert metadata(service, "style\\ink.safetensors").status_code == 404
    give_picture(service, "ink")
    preview = "experiment/models/preview/loras/0"
    assert service.ask("GET", f"/t/win/{preview}/style%5Cink.safetensors").status_code == 200
    assert service.ask("GET", f"/{preview}/style%5Cink.safetensors").status_code == 404


def test_roots_are_counted_in_the_order_of_the_tool(service: Service) -> None:
    assert service.get("/t/alone/models/loras") == sorted(MORE)
    assert {row["pathIndex"] for row in service.get("/t/alone/experiment/models/loras")} == {0}
    assert service.get("/t/alone/experiment/models")[0]["folders"] == ["/mnt/more"]
    assert metadata(service, "style/ink.safetensors", "/t/alone").status_code == 404


def test_metadata_are_shown_as_they_stand_for_every_name_of_the_list(service: Service) -> None:
    assert metadata(service, ODD).json()["ss_output_name"]
    assert metadata(service, "../../style//./ink.safetensors").json() == INK
    for name in NAMES:
        assert metadata(service, name).status_code == (404 if name.endswith(".pt") else 200), name


@pytest.mark.parametrize(
    "path",
    [
        "/models/vae",
        "/experiment/models/vae",
        "/view_metadata/vae?filename=a.v1.safetensors",
        "/view_metadata/loras",
        "/view_metadata/loras?filename=gone.safetensors",
        "/view_metadata/loras?filename=away.safetensors",
        "/view_metadata/loras?filename=nowhere%00.safetensors",
        "/view_metadata/loras?filename=%FF",
        f"/view_metadata/loras?filename={'x' * 5000}",
        "/experiment/models/preview/loras/0/hat2.safetensors",
        "/experiment/models/preview/loras/7/hat2.safetensors",
        "/experiment/models/preview/loras/0/..%2F..%2Fhat2.safetensors",
    ],
)
def test_what_is_not_there_is_a_404_without_a_body(service: Service, path: str) -> None:
    answer = service.ask("GET", path)
    assert (answer.status_code, answer.content) == (404, b"")


def test_what_cannot_be_meant_is_refused_without_a_body_too(service: Service) -> None:
    answer = service.ask("GET", "/experiment/models/preview/loras/first/hat2.safetensors")
    assert (answer.status_code, answer.content) == (400, b"")
    assert service.ask("POST", "/models/loras").status_code == 405
    refused = service.ask("GET", "/models/loras", peer=REMOTE)
    assert (refused.status_code, refused.content) == (401, b"")
    assert 'Basic realm="' in refused.headers["www-authenticate"]
    # Elsewhere errors stay as they are.
    assert service.ask("GET", "/api/v1/loras/nobody").json()["detail"]


def test_a_picture_is_a_webp_that_is_not_sent_twice_and_not_above_its_level(service: Service) -> None:
    key = give_picture(service, "ink", X)
    path = "/experiment/models/preview/loras/0/style/ink.safetensors"
    assert service.ask("GET", path).status_code == 404
    answer = service.ask("GET", f"{path}?nsfw=x")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert image_of(answer.content).format == "WEBP"
    assert answer.headers["etag"] == f'"{key}"'
    again = service.ask("GET", f"{path}?nsfw=x", headers={"if-none-match": f'"{key}"'})
    assert (again.status_code, again.content) == (304, b"")


def test_above_the_level_that_is_sent_metadata_have_no_picture_and_no_prompt(service: Service) -> None:
    note(service.builder, "ink", nsfw=X)
    shown = metadata(service, "style/ink.safetensors").json()
    assert INK.keys() - shown.keys() == {"ssmd_cover_images", "prompt"}
    raised = service.ask("GET", "/view_metadata/loras?filename=style/ink.safetensors&nsfw=x").json()
    assert raised == INK


def test_entries_above_a_limit_are_counted_and_nothing_else(service: Service, builder: Builder) -> None:
    note(builder, "ink", nsfw=X)
    note(builder, "cap", nsfw=PG)
    service.catch_up()
    headers = bearer(token(service, nsfw_entries=PG))
    answer = service.ask("GET", "/models/loras", headers=headers)
    assert answer.json() == [name for name in NAMES if "ink" not in name]
    assert answer.headers["x-loras-withheld"] == "1"
    assert "x-loras-withheld" not in service.ask("GET", "/models/loras").headers
    found = service.ask("GET", "/view_metadata/loras?filename=style/ink.safetensors", headers=headers)
    assert found.status_code == 404
    note(builder, "ink", nsfw=PG)
    same = {**headers, "if-none-match": answer.headers["etag"]}
    stale = service.ask("GET", "/models/loras", headers=same)
    service.catch_up()
    # What was told of the index as it was is not what it tells now.
    fresh = service.ask("GET", "/models/loras", headers={**headers, "if-none-match": stale.headers["etag"]})
    assert (fresh.status_code, fresh.json()) == (200, NAMES)


@pytest.mark.parametrize("path", ["/models/loras", "/object_info/LoraLoader", "/experiment/models/loras"])
def test_lists_are_not_sent_again_until_something_changes(
    service: Service, builder: Builder, path: str
) -> None:
    first = service.ask("GET", path)
    same = {"if-none-match": first.headers["etag"]}
    assert service.ask("GET", path, headers=same).status_code == 304
    for other in (f"/t/win{path}", f"/t/alone{path}", f"{path}?nsfw=x"):
        assert service.ask("GET", other, headers=same).status_code == 200
    for coding in ("identity", "gzip", "zstd"):
        assert service.ask("GET", path, headers={"accept-encoding": coding}).json() == first.json()
    builder.file(1, "new.safetensors")
    builder.write()
    assert service.ask("GET", path, headers=same).status_code == 200


def test_every_way_to_sign_in_works_on_a_real_port(builder: Builder, start: Start) -> None:
    fill(builder)
    service = start(require_token=True)
    secret = token(service)
    with service.listening() as url:
        ask = httpx.Client(timeout=30)
        assert ask.get(f"{url}/models/loras").status_code == 401
        for answer in (
            ask.get(f"{url}/models/loras", headers=bearer(secret)),
            ask.get(f"{url}/api/models/loras", auth=("any one", secret)),
            ask.get(f"{url}/k/{secret}/models/loras"),
        ):
            assert answer.json() == NAMES
        odd = ask.get(f"{url}/k/{secret}/view_metadata/loras", params={"filename": ODD})
        assert odd.status_code == 200
        assert len(ask.get(f"{url}/k/{secret}/experiment/models/loras").json()) == len(MAIN) + len(MORE) + 1
        ask.close()
